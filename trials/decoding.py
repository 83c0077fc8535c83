"""Columns of Parquet files -> arrays; whatever does not fit is refused by file, row and column.

A decoder gets a slice of a column, at least one row, and gives (rows, channels, *extent) in its order: uint8,
which stands for value / 255, or float32; possibly a read-only view of the column. Rows must agree within the
slice; the caller sees to it that slices agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trials import encoded, resampling
from trials.dataset import Floats, Inputs, Ints

Where = Callable[[int], str]
"""Names the place (file, row, column) of the i-th value of a slice in messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What size decoded rows are to have.

    Attributes:
        resolution: samples along every axis of images and volumes; None leaves them as they are.
        rate: audio: Hz that every row is resampled to, needed there. Series: samples per sample of the data
            (0.5 halves their number), None leaves them as they are.
        max_pixels: pixels of an image, voxels of a volume, samples a channel of series and audio, as stored
            and as wanted; what is larger is refused before it is decoded.
    """

    resolution: int | None = None
    rate: float | None = None
    max_pixels: int = 2**24


def images(column: pa.Array, size: Size, where: Where) -> NDArray[np.uint8]:
    """PNG or JPEG bytes -> uint8 (rows, 1 or 3, height, width), or resized to the resolution.

    Args:
        column: structs with a field `bytes`, or the bytes themselves; see `encoded.pixels`.
        size: what the images are to be like.
        where: for messages.

    Raises:
        ValueError: an image is missing, refused by `encoded.pixels`, or unlike the first.
    """
    found: NDArray[np.uint8] | None = None
    with _at(where, 0):
        _refuse_larger((size.resolution or 1,) * 2, "pixels", size.max_pixels)
    for i, data in enumerate(_files(column, where)):
        with _at(where, i):
            image = encoded.pixels(data, size.resolution, size.max_pixels)
            if found is None:
                found = np.empty((len(column), *image.shape), dtype=np.uint8)
            if image.shape != found.shape[1:]:
                way_out = "convert them"
                if len(image) == found.shape[1]:
                    way_out = "resize them or give a resolution"
                raise ValueError(
                    f"images must be of one size and mode, {_text(found.shape[1:])} (channels x height x "
                    f"width) in the rows before, got {_text(image.shape)}; {way_out}"
                )
            found[i] = image
    assert found is not None, "nobody asks for no rows"
    return found


def audio(column: pa.Array, size: Size, where: Where) -> Floats:
    """WAV or FLAC bytes -> float32 (rows, channels, samples) at `size.rate` Hz, NaN after a row's end.

    Each row is resampled from the rate in its own header.

    Args:
        column: structs with a field `bytes`, or the bytes themselves; see `encoded.samples`.
        size: what the rows are to be like.
        where: for messages.

    Raises:
        ValueError: a row is missing, refused by `encoded.samples`, has other channels than the first, or its
            rate is too far from the one wanted.
    """
    if size.rate is None:
        raise ValueError("audio needs a rate in Hz that all rows get")
    signals: list[Floats] = []
    for i, data in enumerate(_files(column, where)):
        with _at(where, i):
            signal, rate = encoded.samples(data, size.max_pixels)
            ratio = resampling.rate_ratio(size.rate, rate)
            _refuse_larger((resampling.resampled_length(signal.shape[1], ratio),), "samples", size.max_pixels)
            signals.append(resampling.resample(signal, ratio))
            if len(signal) != len(signals[0]):
                raise ValueError(
                    f"audio must have {len(signals[0])} channels as in the rows before, got {len(signal)}; "
                    "mix or split it to the same number"
                )
    lengths = np.array([signal.shape[1] for signal in signals])
    values = np.concatenate([signal.ravel() for signal in signals])
    return _padded(values, len(signals[0]), lengths)


def sampling_rate(column: pa.Array, where: Where) -> float:
    """Hz of the first row of an audio column, from its header.

    Raises:
        ValueError: the row is missing or not WAV or FLAC.
    """
    first = _files(column[:1], where)[0]
    with _at(where, 0):
        return float(encoded.audio_rate(first))


def series(column: pa.Array, size: Size, where: Where) -> Floats:
    """Lists [channels][steps] or [steps] of numbers -> float32 (rows, channels, steps), NaN after the end.

    Raises:
        ValueError: a value is missing, no number or not finite; a row has no steps, too many, another number
            of channels than the first, or channels of different lengths.
    """
    axes = ("steps",) if _depth(column.type)[0] == 1 else ("channels", "steps")
    values, shapes = _nested(column, axes, where)
    channels, steps = shapes[:, :-1].prod(axis=1), shapes[:, -1]
    for row in np.flatnonzero(channels != channels[0])[:1]:
        raise ValueError(
            f"{where(int(row))}: channels must be {channels[0]} as in the rows before, got {channels[row]}; "
            "give every row the same number of them"
        )
    ratio = resampling.rate_ratio(1 if size.rate is None else size.rate)
    longest = int(np.argmax(steps))
    with _at(where, longest):
        most = max(steps[longest], resampling.resampled_length(int(steps[longest]), ratio))
        _refuse_larger((int(most),), "steps", size.max_pixels)
    found = _padded(values, int(channels[0]), steps)
    if ratio == 1:
        return found
    width = resampling.resampled_length(int(steps[longest]), ratio)
    resampled = np.full((*found.shape[:2], width), np.nan, dtype=np.float32)
    for length in np.unique(steps).tolist():  # rows of one length together: none meets another's padding
        rows = np.flatnonzero(steps == length)
        block = resampling.resample(found[rows, :, :length], ratio)
        resampled[rows, :, : block.shape[2]] = block
    return resampled


def volumes(column: pa.Array, size: Size, where: Where) -> NDArray[np.uint8]:
    """Lists [depth][height][width] of uint8 -> uint8 (rows, 1, depth, height, width), or resized.

    Raises:
        ValueError: a value is missing, a row is no box or has too many voxels, or, without a resolution,
            another shape than the first.
    """
    if not pa.types.is_uint8(_depth(column.type)[1]):
        raise ValueError(
            f"{where(0)}: volumes must be lists of uint8, got {column.type}; scale them to 0..255"
        )
    values, shapes = _nested(column, ("depth", "height", "width"), where)
    counts = shapes.prod(axis=1)
    largest = int(np.argmax(counts))
    with _at(where, largest):
        _refuse_larger(shapes[largest], "voxels", size.max_pixels)
        _refuse_larger((size.resolution or 1,) * 3, "voxels", size.max_pixels)
    if size.resolution is None:
        for row in np.flatnonzero((shapes != shapes[0]).any(axis=1))[:1]:
            raise ValueError(
                f"{where(int(row))}: volumes must be of one shape, {_text(shapes[0])} (depth x height x "
                f"width) in the rows before, got {_text(shapes[row])}; crop them or give a resolution"
            )
        return values.reshape(len(column), 1, *shapes[0])
    starts = counts.cumsum() - counts
    resized = [
        resampling.resize(values[start : start + count].reshape(shape), size.resolution)
        for start, count, shape in zip(starts, counts, shapes)
    ]
    return np.stack(resized).astype(np.uint8, copy=False)[:, None]


KINDS: dict[str, Callable[[pa.Array, Size, Where], Inputs]] = {
    "image": images,
    "audio": audio,
    "series": series,
    "volume": volumes,
}
"""The decoder of each kind of column."""


def _files(column: pa.Array, where: Where) -> list[bytes]:
    """The bytes of each row, from a column of bytes or of structs {bytes, path}."""
    _refuse_missing(column, np.arange(len(column)) + 1, where)
    if not pa.types.is_struct(column.type):
        return list(column.to_pylist())
    files: list[bytes | None] = pc.struct_field(column, "bytes").to_pylist()
    found = [data for data in files if data is not None]
    if len(found) < len(files):
        row = files.index(None)
        path = column[row].as_py().get("path")
        way_out = "fill them in or drop the row"
        if path:
            way_out = f"there is only the path {path!r}, which is not followed; put the file's bytes in here"
        raise ValueError(f"{where(row)}: the bytes are missing (null); {way_out}")
    return found


def _nested(column: pa.Array, axes: tuple[str, ...], where: Where) -> tuple[NDArray[Any], Ints]:
    """All numbers of nested lists in a row (float32, but uint8 stays), and the shape of each (rows, axes)."""
    depth, leaf = _depth(column.type)
    number = pa.types.is_integer(leaf) or pa.types.is_floating(leaf)
    if depth != len(axes) or not number:
        raise ValueError(
            f"{where(0)}: the column must hold lists [{']['.join(axes)}] of numbers, got {column.type}; "
            "convert it"
        )
    shapes = []
    counts: Ints = np.ones(len(column), dtype=np.int64)  # lists of this level in each row
    for name in axes:
        ends = counts.cumsum()
        _refuse_missing(column, ends, where)
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        length = lengths[ends - counts]
        for odd in np.flatnonzero(lengths != np.repeat(length, counts))[:1]:
            row = _row_of(odd, ends)
            raise ValueError(
                f"{where(row)}: {name} must be {length[row]} as at the start of the row, got {lengths[odd]}; "
                "cut or fill it to one length, or drop the row"
            )
        for row in np.flatnonzero(length == 0)[:1]:
            raise ValueError(f"{where(int(row))}: {name} must be at least 1, got 0; drop the row")
        shapes.append(length)
        counts = counts * length
        column = pc.list_flatten(column)
    ends = counts.cumsum()
    _refuse_missing(column, ends, where)
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype != np.uint8:
        with np.errstate(over="ignore"):  # refused by the next check
            values = values.astype(np.float32)
        finite = np.isfinite(values)
        if not finite.all():
            first = int(np.argmin(finite))
            value = column[first].as_py()
            got = f"{value}, which 32 bits cannot hold" if math.isfinite(value) else f"{value}"
            raise ValueError(
                f"{where(_row_of(first, ends))}: values must be finite, got {got}; replace it or drop the row"
            )
    return values, np.stack(shapes, axis=1)


def _padded(values: NDArray[Any], channels: int, steps: Ints) -> Floats:
    """Values by row, channel and step -> (rows, channels, most steps), NaN after a row's end."""
    shape = len(steps), channels, int(steps.max())
    if (steps == steps[0]).all():
        return values.reshape(shape).astype(np.float32, copy=False)
    found = np.full(shape, np.nan, dtype=np.float32)
    inside = np.arange(shape[2]) < steps[:, None, None]
    found[np.broadcast_to(inside, shape)] = values
    return found


def _depth(kind: pa.DataType) -> tuple[int, pa.DataType]:
    """How many lists are around what."""
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        depth, kind = depth + 1, kind.value_type
    return depth, kind


def _refuse_missing(column: pa.Array, ends: Ints, where: Where) -> None:
    """`ends`: where the values of each row end in `column`."""
    if column.null_count:
        first = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(
            f"{where(_row_of(first, ends))}: the value is missing (null); fill it in or drop the row"
        )


def _row_of(position: int, ends: Ints) -> int:
    return int(np.searchsorted(ends, position, side="right"))


def _refuse_larger(shape: tuple[int, ...] | Ints, what: str, most: int) -> None:
    if math.prod(int(n) for n in shape) > most:
        raise ValueError(
            f"there must be at most {most} {what}, got {_text(shape)}; make it smaller or raise max_pixels"
        )


@contextmanager
def _at(where: Where, i: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where(i)}: {error}") from error


def _text(shape: tuple[int, ...] | Ints) -> str:
    return "x".join(str(n) for n in shape)
