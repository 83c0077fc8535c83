"""Directories of Parquet files in the Hugging Face layout: images, series and volumes with a label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trials import decoding
from trials.dataset import Dataset, Decoded, Floats, Ints
from trials.finding import Progress
from trials.reference import Task

GROUPS = ("speaker", "drawer")
"""Columns whose rows are never separated by a split."""
INPUTS = (
    "image (struct of bytes and path), series (lists [channels][steps] of numbers) or "
    "volume (lists [depth][height][width] of uint8)"
)
_SPLIT = re.compile(r"(train|validation|test)\b")


def open_parquet(task: Task, progress: Progress | None = None) -> Dataset:
    """The dataset of a task's directory."""
    return open_directory(Path(task.source).expanduser())


def open_directory(directory: Path) -> Dataset:
    """A dataset from ``{train,validation,test}-*.parquet`` in a directory or in its ``data`` folder.

    Files of a single split, or named after none, are training rows: the other splits are carved from them.
    Columns are found by their type: one `image`, `series` or `volume`, and as the label the column `label`
    or the only integer column. Classes are named by the ClassLabel in the files' metadata, else by the
    values in the training files. Nothing but footers and training labels is read.

    Raises:
        ValueError: no Parquet file, a file that cannot be read, a missing column, a split without rows.
    """
    paths = _paths_by_split(directory)
    columns = _columns(paths["train"][0])
    parts = {split: _part(files, columns) for split, files in paths.items()}
    for split, part in parts.items():
        if part.size == 0:
            raise ValueError(
                f"{part.shards[0].path}: the {split} split must have rows, got 0; fill it or delete it"
            )
    declared = _class_names(paths["train"][0], columns.label)
    known = np.arange(len(declared)) if declared else np.unique(parts["train"].raw_labels())
    parts = {split: _Part(part.shards, part.columns, known) for split, part in parts.items()}
    return Dataset(
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        class_names=declared or tuple(str(value) for value in known),
        origin=f"Parquet files of {directory.resolve().name}",
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column is what; `kind` is a key of `decoding.KINDS`."""

    input: str
    kind: str
    label: str
    group: str | None


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    rows: int


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """One split on disk. `known` are the label values of the classes, in order."""

    shards: tuple[_Shard, ...]
    columns: _Columns
    known: Ints

    @property
    def size(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def raw_labels(self) -> Ints:
        found = []
        for shard in self.shards:
            column = _read(shard.path, self.columns.label)
            if column.null_count:
                row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                raise ValueError(
                    f"{_place(shard.path, row, self.columns.label)}: the label is missing (null); "
                    "fill it in or drop the row"
                )
            found.append(column.to_numpy().astype(np.int64))
        return np.concatenate(found)

    def labels(self) -> Ints:
        raw = self.raw_labels()
        places = np.searchsorted(self.known, raw).clip(max=len(self.known) - 1)
        for row in np.flatnonzero(self.known[places] != raw)[:1]:
            value, first = raw[row], 0
            for shard in self.shards:
                if row - first < shard.rows:
                    place = _place(shard.path, int(row) - first, self.columns.label)
                    raise ValueError(
                        f"{place}: unknown class {value}; the training files know {len(self.known)} classes, "
                        f"{self.known[0]} to {self.known[-1]}; drop the row or add the class there"
                    )
                first += shard.rows
        return places

    def groups(self) -> NDArray[np.generic] | None:
        if self.columns.group is None:
            return None
        columns = [_read(shard.path, self.columns.group) for shard in self.shards]
        return np.array([str(value) for column in columns for value in column.to_pylist()])

    def decoded(self, rows: Ints) -> Decoded:
        return Decoded.of(self.inputs(rows))

    def inputs(self, rows: Ints) -> Floats:
        found: Floats | None = None
        decode = decoding.KINDS[self.columns.kind]
        for positions, column, numbers, path in self._selected(rows):
            block = decode(column, decoding.Size(), partial(self._value_place, path, numbers))
            if found is None:
                found = np.empty((len(rows), *block.shape[1:]), dtype=np.float32)
            found[positions] = block / np.float32(255) if block.dtype == np.uint8 else block
        assert found is not None, "nobody asks for no rows"
        return found

    def _value_place(self, path: Path, numbers: Ints, i: int) -> str:
        return _place(path, int(numbers[i]), self.columns.input)

    def _selected(self, rows: Ints) -> Iterator[tuple[Ints, pa.Array, Ints, Path]]:
        """Of each row group: positions in `rows`, the values there, their numbers in the file, the file."""
        start = 0
        for shard in self.shards:
            with _reading(shard.path), pq.ParquetFile(shard.path) as file:
                first = start
                for group in range(file.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    positions = np.flatnonzero((rows >= first) & (rows < first + count))
                    if len(positions):
                        with _reading(shard.path):
                            table = file.read_row_group(group, columns=[self.columns.input])
                        column = table.column(0).combine_chunks().take(pa.array(rows[positions] - first))
                        yield positions, column, rows[positions] - start, shard.path
                    first += count
            start += shard.rows


def _paths_by_split(directory: Path) -> dict[str, list[Path]]:
    paths = sorted(directory.glob("*.parquet")) or sorted((directory / "data").glob("*.parquet"))
    if not paths:
        raise ValueError(
            f"{directory} must hold Parquet files, as {{train,validation,test}}-*.parquet or in data/, "
            "but there are none"
        )
    by_split: dict[str, list[Path]] = {}
    for path in paths:
        match = _SPLIT.match(path.name)
        by_split.setdefault(match[1] if match else "", []).append(path)
    if len(by_split) == 1:
        return {"train": paths}
    if "" in by_split or "train" not in by_split:
        raise ValueError(
            f"{directory}: file names must start with train, validation or test, and train must be there, "
            f"got {', '.join(path.name for path in paths[:5])}; rename them"
        )
    return by_split


def _part(paths: list[Path], columns: _Columns) -> _Part:
    shards = []
    for path in paths:
        found = _columns(path)
        if found != columns:
            raise ValueError(
                f"{path} must have the columns of the first training file, {columns}, got {found}"
            )
        with _reading(path), pq.ParquetFile(path) as file:
            shards.append(_Shard(path, file.metadata.num_rows))
    return _Part(tuple(shards), columns, np.zeros(0, dtype=np.int64))


def _columns(path: Path) -> _Columns:
    with _reading(path):
        schema = pq.read_schema(path)
    features = _features(path, schema)
    listed = ", ".join(f"{field.name} ({field.type})" for field in schema)
    kinds = {field.name: _kind(field, features.get(field.name)) for field in schema}
    inputs = [name for name, kind in kinds.items() if kind]
    if len(inputs) != 1:
        what = "has none" if not inputs else f"has {', '.join(inputs)}"
        raise ValueError(f"{path} must have one input column: {INPUTS}; it {what}. Its columns: {listed}")
    if kinds[inputs[0]] == "audio":
        raise ValueError(f"{path}, column {inputs[0]!r}: audio is not supported yet; decode it to series")
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    labels = ["label"] if "label" in integers else integers
    if len(labels) != 1:
        raise ValueError(
            f"{path} must have an integer column 'label', or only one integer column; its columns: {listed}"
        )
    group = next((name for name in GROUPS if name in schema.names), None)
    return _Columns(inputs[0], kinds[inputs[0]], labels[0], group)


def _kind(field: pa.Field, feature: object) -> str:
    """image, audio, series, volume, or nothing for a column that is no input."""
    if pa.types.is_struct(field.type):
        if field.type.get_field_index("bytes") < 0:
            return ""
        declared = feature.get("_type") if isinstance(feature, dict) else None
        return "audio" if declared == "Audio" or field.name == "audio" else "image"
    depth, inner = 0, field.type
    while pa.types.is_list(inner) or pa.types.is_large_list(inner) or pa.types.is_fixed_size_list(inner):
        depth, inner = depth + 1, inner.value_type
    if depth == 2 and (pa.types.is_floating(inner) or pa.types.is_integer(inner)):
        return "series"
    return "volume" if depth == 3 and pa.types.is_uint8(inner) else ""


def _features(path: Path, schema: pa.Schema) -> dict[str, object]:
    """The features of the Hugging Face metadata, by column; empty without them."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        features = json.loads(text)["info"]["features"]
        return dict(features)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: the metadata key 'huggingface' must be JSON with info.features ({error}); "
            "write it anew or drop it"
        ) from error


def _class_names(path: Path, label: str) -> tuple[str, ...]:
    with _reading(path):
        schema = pq.read_schema(path)
    feature = _features(path, schema).get(label)
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _read(path: Path, column: str) -> pa.Array:
    with _reading(path):
        read: pa.Array = pq.read_table(path, columns=[column]).column(0).combine_chunks()
    return read


def _place(path: Path, row: int, column: str) -> str:
    return f"{path}, row {row}, column {column!r}"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}); "
            "it may be cut off: fetch it again"
        ) from error
