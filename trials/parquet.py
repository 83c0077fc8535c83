"""Parquet files as the Hugging Face hub stores them: images, audio, series and volumes with a label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trials import cache, parallel, sources
from trials.columns import NO_GROUP, Columns, described, find_columns
from trials.dataset import Dataset, Decoded, Ints
from trials.decoding import Size, sampling_rate
from trials.parallel import Piece
from trials.reference import Task
from trials.resizing import refuse_misplaced
from trials.shards import Shard, integers, open_shard

if TYPE_CHECKING:
    from trials.finding import Progress

FORMAT = 2
"""Of decoded rows in the cache: to be raised whenever the same rows would be decoded to something else."""
_MOST = 2**63 - 1
NO_LABEL = -1
"""In test splits of the hub whose labels are kept back."""


def open_parquet(task: Task, progress: Progress | None = None) -> Dataset:
    """The dataset of a task whose source is a directory, a glob or a URL of Parquet files.

    Classes are named by the ClassLabel in the files' metadata, else by the values of the training labels,
    sorted. A test split without labels is left out, so that test rows are carved from the training rows;
    the dataset's `columns` say so. Nothing but footers and labels is read.

    Args:
        task: its source, columns, size and limits are used.
        progress: told what is done of all: bytes while files are fetched, rows while they are decoded.

    Raises:
        ValueError: no Parquet file, a file that cannot be read, a missing column, a split without rows or
            with more than `task.max_rows`.
    """
    splits = {
        split: [open_shard(file) for file in files]
        for split, files in sources.find(task.source, progress).items()
    }
    for split, shards in splits.items():
        _check_rows(task, split, shards)
    first = splits["train"][0]
    columns = find_columns(first.file.url, first.schema, task)
    hidden = ""
    if "test" in splits and all(_has_null_labels(shard, columns.label) for shard in splits["test"]):
        del splits["test"]
        hidden = "missing (null)"
    for shards in splits.values():
        for shard in shards:
            _check_columns(shard, first, columns, task)
    known = _known(splits["train"], columns)
    notes: tuple[str, ...] = ()
    said = first.file.split
    if len(splits) == 1 and said != "train":
        notes = (f"files name {f'the split {said} alone' if said else 'no split'}: all are training rows",)
    if "test" in splits and _has_no_labels(splits["test"], columns.label, known):
        del splits["test"]
        hidden = "-1 (none)"
    if hidden:
        notes = (f"labels of the test files are all {hidden}: test rows are carved from the training rows",)
    refuse_misplaced(columns.kind in ("audio", "series"), task)
    rate = task.rate
    if columns.kind == "audio":
        rate = rate or columns.rate or _rate(splits["train"], columns.input)
    size = Size(resolution=task.resolution, rate=rate, max_pixels=task.max_pixels)
    parts = {split: _Part(tuple(shards), columns, known, size, progress) for split, shards in splits.items()}
    names = columns.names or tuple(str(value) for value in known.to_pylist())
    return Dataset(
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        class_names=names,
        origin=f"Parquet files of {task.source}"
        if "://" in task.source
        else f"Parquet files of {task.dataset}",
        columns=(*described(first.schema, columns, len(names)), *notes),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """One split on disk. `known` are the label values of the classes, in order."""

    shards: tuple[Shard, ...]
    columns: Columns
    known: pa.Array
    resampled: Size
    progress: Progress | None

    @property
    def size(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def labels(self) -> Ints:
        name = self.columns.label
        found = []
        for shard in self.shards:
            values = _label_values(shard, name)
            places = pc.index_in(values, value_set=self.known)
            if places.null_count:
                row = int(np.argmax(places.is_null().to_numpy()))
                raise ValueError(
                    f"{shard.place(row, name)}: unknown class {values[row].as_py()!r}; there are "
                    f"{len(self.known)} classes, {self.known[0]} to {self.known[-1]}; drop the row, or add "
                    f"the class to {'the declared names' if self.columns.names else 'the training files'}"
                )
            found.append(np.from_dlpack(places.combine_chunks()).astype(np.int64))  # to_numpy imports pandas
        return np.concatenate(found)

    def groups(self) -> NDArray[np.generic] | None:
        name = self.columns.group
        if name is None:
            return None
        values = [value for shard in self.shards for value in shard.read_whole(name).to_pylist()]
        return np.array([str(value) for value in values])

    def decoded(self, rows: Ints) -> Decoded:
        content = {
            "format": FORMAT,
            "files": [cache.digest(shard.file.path) for shard in self.shards],
            "input": (self.columns.input, self.columns.kind),
            "size": (self.resampled.resolution, self.resampled.rate),  # what is decoded is below any limit
            "rows": "all" if len(rows) == self.size else hashlib.sha256(rows.tobytes()).hexdigest(),
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

        def make(folder: Path) -> None:
            pieces = list(_pieces(self.shards, rows))
            parallel.decode(
                pieces, self.columns.input, self.columns.kind, self.resampled, folder, self.progress
            )

        return cache.kept(f"decoded/{key}", make, cache.load)


def _pieces(shards: Sequence[Shard], rows: Ints) -> Iterator[Piece]:
    """The rows by row group; large groups several times, so that all cores find work."""
    start = 0
    for shard in shards:
        for group, count in enumerate(shard.groups):
            first, last = np.searchsorted(rows, (start, start + count))
            shares = max(1, min(4 * parallel.cores(), (last - first) // 1000))
            for chosen in np.array_split(rows[first:last] - start, shares):
                if len(chosen):
                    yield Piece(shard, group, chosen)
            start += count


def _check_rows(task: Task, split: str, shards: Sequence[Shard]) -> None:
    rows = sum(shard.rows for shard in shards)
    where = shards[0].file.url
    if rows == 0:
        raise ValueError(f"{where}: the {split} split must have rows, got 0; fill it or delete it")
    if rows > task.max_rows:
        raise ValueError(
            f"{where}: the {split} split must have at most max_rows={task.max_rows} rows, got {rows}; "
            f"raise the limit, as in {task.source}@max_rows={rows}"
        )


def _check_columns(shard: Shard, first: Shard, columns: Columns, task: Task) -> None:
    """Refuses a file that is not like the first training file."""
    said = replace(task, input=columns.input, label=columns.label, group=columns.group or NO_GROUP)
    found = find_columns(shard.file.url, shard.schema, said)
    if (theirs := _roles(shard, found)) != (ours := _roles(first, columns)):
        raise ValueError(
            f"{shard.file.url} must have the columns of the first training file, {ours}; got {theirs}"
        )
    if found.names and columns.names and found.names != columns.names:
        raise ValueError(
            f"{shard.file.url} must declare the class names of the first training file, in their order: "
            f"{', '.join(columns.names[:10])}; got {', '.join(found.names[:10])}; correct its features"
        )


def _roles(shard: Shard, columns: Columns) -> str:
    group = f", group {columns.group}" if columns.group else ""
    label = _values(shard.schema.field(columns.label).type)
    return f"input {columns.input} ({columns.kind}), label {columns.label} ({label}){group}"


def _values(kind: pa.DataType) -> str:
    """The type that labels are compared in."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return "int64" if pa.types.is_integer(kind) else "bool" if pa.types.is_boolean(kind) else "string"


def _label_values(shard: Shard, name: str) -> pa.ChunkedArray:
    values = shard.read_whole(name)
    if pa.types.is_uint64(values.type):
        beyond = pc.index(pc.greater(values, pa.scalar(_MOST, pa.uint64())), True).as_py()
        if beyond >= 0:
            raise ValueError(
                f"{shard.place(beyond, name)}: labels must be at most {_MOST}, got {values[beyond]}; "
                "number the classes anew, or write them as strings"
            )
    return values.cast(_values(shard.schema.field(name).type))


def _known(shards: Sequence[Shard], columns: Columns) -> pa.Array:
    """The label values of the classes: all that are declared, else those of the training rows, sorted."""
    if columns.names:
        return integers(np.arange(len(columns.names)))
    chunks = [_label_values(shard, columns.label).unique() for shard in shards]
    found = pa.chunked_array(chunks).unique()
    return found.take(pc.sort_indices(found))


def _has_null_labels(shard: Shard, label: str) -> bool:
    return label in shard.schema.names and shard.read(label).null_count == shard.rows


def _has_no_labels(shards: Sequence[Shard], label: str, known: pa.Array) -> bool:
    """Whether the labels of a split are kept back: nothing but -1, where that is no class."""
    if known.type != pa.int64() or NO_LABEL in known.to_pylist():
        return False
    found = (_label_values(shard, label).unique().to_pylist() for shard in shards)
    return {value for values in found for value in values} == {NO_LABEL}


def _rate(shards: Sequence[Shard], column: str) -> float:
    """The sampling rate of the first training row."""
    shard = next(shard for shard in shards if shard.rows)
    group = next(group for group, count in enumerate(shard.groups) if count)
    values = next(shard.batches(column, group, 1))
    return sampling_rate(values, lambda i: shard.place(i, column))
