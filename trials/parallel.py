"""Rows of Parquet files decoded by all cores, written as one array that is larger than memory if need be."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trials import cache, decoding
from trials.columns import is_list
from trials.dataset import Ints, moments
from trials.shards import Shard, integers

if TYPE_CHECKING:
    from trials.finding import Progress

ALONE = 2_000
"""With fewer rows, starting processes takes longer than decoding."""
_BLOCK = 500
"""Rows that are in memory at once, of each process."""
_IDLE = 10
"""Seconds after which a process without work ends."""

_write_header: Callable[..., None] = np.lib.format.write_array_header_1_0

Moments = NDArray[np.float64]
Hashes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one row group: what a process decodes at a time.

    Attributes:
        shard: the file.
        group: number of the row group.
        rows: positions in the group, ascending.
    """

    shard: Shard
    group: int
    rows: Ints


@dataclass(frozen=True, slots=True)
class _Block:
    """Decoded rows in a file of their own; `where` names the first."""

    path: Path
    where: str
    shape: tuple[int, ...]
    dtype: str
    hashes: Hashes
    moments: Moments


def decode(
    pieces: Sequence[Piece],
    column: str,
    kind: str,
    size: decoding.Size,
    folder: Path,
    progress: Progress | None = None,
) -> None:
    """Writes the decoded rows of pieces into a folder, as `trials.cache.load` reads them.

    Args:
        pieces: in the order of the rows.
        column: the input.
        kind: a key of `trials.decoding.KINDS`.
        size: as resampled.
        folder: made here.
        progress: told rows decoded of all rows.

    Raises:
        ValueError: a row cannot be decoded or does not fit the others; names file, row and column.
    """
    folder.mkdir()
    total = sum(len(piece.rows) for piece in pieces)
    blocks: list[_Block] = []
    done = 0
    for found in _each(pieces, column, kind, size, folder, parallel=total > ALONE):
        blocks += found
        done += sum(block.shape[0] for block in found)
        if progress is not None:
            progress(done, total)
    _merge(blocks, folder)
    cache.save(
        folder,
        np.concatenate([block.hashes for block in blocks]),
        np.concatenate([block.moments for block in blocks]),
    )


def cores() -> int:
    """That this process may use."""
    import joblib

    return int(joblib.cpu_count())


def fingerprints(column: pa.Array) -> Hashes:
    """Hashes, uint8 (rows, 16), of rows as they are stored, whatever size they are decoded at.

    Of series, whatever type their numbers are stored in.
    """
    if pa.types.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    if not is_list(column.type):
        stored: Iterable[bytes] = (value.as_py() for value in column)
    else:
        depth = 0
        starts: Ints = np.arange(len(column) + 1)
        while is_list(column.type):
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
            starts = np.concatenate(([0], np.cumsum(lengths)))[starts]
            column, depth = pc.list_flatten(column), depth + 1
        values = column.to_numpy(zero_copy_only=False)
        values = values if depth == 3 else values.astype(np.float32)  # volumes are uint8
        stored = (values[start:end].tobytes() for start, end in itertools.pairwise(starts))
    hashes = b"".join(blake2b(each, digest_size=16).digest() for each in stored)
    return np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 16)


def _each(
    pieces: Sequence[Piece], column: str, kind: str, size: decoding.Size, folder: Path, parallel: bool
) -> Iterable[list[_Block]]:
    arguments = ((number, piece, column, kind, size, folder) for number, piece in enumerate(pieces))
    if not parallel or cores() == 1:
        return (_decode(*each) for each in arguments)
    import joblib

    pool = joblib.Parallel(n_jobs=cores(), backend="loky", return_as="generator", idle_worker_timeout=_IDLE)
    blocks: Iterable[list[_Block]] = pool(joblib.delayed(_decode)(*each) for each in arguments)
    return blocks


def _decode(
    number: int, piece: Piece, column: str, kind: str, size: decoding.Size, folder: Path
) -> list[_Block]:
    first = sum(piece.shard.groups[: piece.group])
    blocks = []
    start = 0
    for stored in piece.shard.batches(column, piece.group, _BLOCK):
        begin, end = np.searchsorted(piece.rows, (start, start + len(stored)))
        rows = piece.rows[begin:end]
        if len(rows):

            def where(i: int, rows: Ints = rows) -> str:
                return piece.shard.place(first + int(rows[i]), column)

            taken = stored.take(integers(rows - start))
            inputs = decoding.KINDS[kind](taken, size, where)
            path = folder / f"{number}-{start}.npy"
            np.save(path, inputs)
            blocks.append(
                _Block(path, where(0), inputs.shape, inputs.dtype.str, fingerprints(taken), moments(inputs))
            )
        start += len(stored)
        if end == len(piece.rows):
            break
    return blocks


def _merge(blocks: Sequence[_Block], folder: Path) -> None:
    """All blocks in one array, series filled with NaN to the longest."""
    _, channels, *extent = blocks[0].shape
    series = len(extent) == 1
    if series:
        extent = [max(block.shape[2] for block in blocks)]
    for block in blocks:
        if block.shape[1] != channels or not (series or list(block.shape[2:]) == extent):
            raise ValueError(
                f"{block.where}: all rows must have {_text((channels, *extent))} (channels x extent) as "
                f"the rows before, got {_text(block.shape[1:])}; resize or convert them"
            )
    shape = (sum(block.shape[0] for block in blocks), channels, *extent)
    header = {"descr": blocks[0].dtype, "fortran_order": False, "shape": shape}
    with (folder / "inputs.npy").open("wb") as file:  # not a map: a full disk is an error there, no signal
        _write_header(file, header)
        for block in blocks:
            values = np.load(block.path)
            if series and block.shape[2] < extent[0]:
                missing = extent[0] - block.shape[2]
                values = np.pad(values, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
            file.write(np.ascontiguousarray(values).data)
            block.path.unlink()
        file.flush()
        os.fsync(file.fileno())  # pages that are not written yet would count as each process's own


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
