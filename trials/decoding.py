"""Columns of Parquet files -> float32 arrays; whatever does not fit is refused by file, row and column."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trials.dataset import Floats

Shape = tuple[int, ...]
Where = Callable[[int], str]
"""Names the place of the i-th value of a column in messages."""
_CONVERTED = {"1": "L", "P": "RGB"}
"""Modes of Pillow that are read as another one: bits and palettes."""


def images(column: pa.Array, expected: Shape | None, where: Where) -> Floats:
    """PNG or JPEG bytes -> (rows, 1 or 3, height, width) in [0, 1].

    Args:
        column: structs with a field `bytes`.
        expected: (channels, height, width) of the images before, None for the first.
        where: for messages.

    Raises:
        ValueError: an image is missing, undecodable, of another size or another mode.
    """
    from PIL import Image

    _refuse_missing(column, np.arange(len(column)), where)
    encoded = pc.struct_field(column, "bytes")
    _refuse_missing(encoded, np.arange(len(column)), where)
    decoded = []
    for i, value in enumerate(encoded):
        try:
            with Image.open(io.BytesIO(value.as_py())) as image:
                mode = image.mode
                pixels = np.asarray(image.convert(_CONVERTED[mode]) if mode in _CONVERTED else image)
        except Exception as error:  # Pillow's plugins raise whatever they meet in broken bytes
            raise ValueError(
                f"{where(i)}: the image cannot be decoded ({error}); repair or drop it"
            ) from error
        if mode not in ("L", "RGB", *_CONVERTED):
            raise ValueError(
                f"{where(i)}: images must be 8-bit greyscale or RGB, got mode {mode}; convert them"
            )
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        expected = expected or pixels.shape
        if pixels.shape != expected:
            raise ValueError(
                f"{where(i)}: images must be of one size and mode, {_text(expected)} (channels x height x "
                f"width) in the rows before, got {_text(pixels.shape)}; resize or convert them"
            )
        decoded.append(pixels)
    return np.stack(decoded).astype(np.float32) / np.float32(255)


def series(column: pa.Array, expected: Shape | None, where: Where) -> Floats:
    """Lists [channels][steps] of numbers -> (rows, channels, steps).

    Raises:
        ValueError: a value is missing or not finite, or a row has other channels or another length.
    """
    return _nested(column, ("channels", "steps"), expected, where)


def volumes(column: pa.Array, expected: Shape | None, where: Where) -> Floats:
    """Lists [depth][height][width] of uint8 -> (rows, 1, depth, height, width) in [0, 1].

    Raises:
        ValueError: a value is missing, or a row has another shape.
    """
    extent = None if expected is None else expected[1:]
    return _nested(column, ("depth", "height", "width"), extent, where)[:, None] / np.float32(255)


def _nested(column: pa.Array, axes: tuple[str, ...], expected: Shape | None, where: Where) -> Floats:
    shape: list[int] = []
    row_of = np.arange(len(column))  # the row that each list of this level belongs to
    for axis, name in enumerate(axes):
        _refuse_missing(column, row_of, where)
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        length = int(lengths[0]) if expected is None else expected[axis]
        for other in np.flatnonzero(lengths != length)[:1]:
            way_out = "give every row the same number of them"
            if name == "steps":
                way_out = "series of variable length are not supported yet, cut or pad them to one length"
            raise ValueError(
                f"{where(int(row_of[other]))}: {name} must be {length} as in the rows before, "
                f"got {lengths[other]}; {way_out}"
            )
        if length == 0:
            raise ValueError(f"{where(0)}: {name} must be at least 1, got 0; drop the row or the column")
        shape.append(length)
        row_of = np.repeat(row_of, length)
        column = pc.list_flatten(column)
    _refuse_missing(column, row_of, where)
    values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"{where(int(row_of[first]))}: values must be finite, got {values[first]}; "
            "replace it or drop the row"
        )
    return values.reshape(-1, *shape)


def _refuse_missing(column: pa.Array, row_of: np.ndarray, where: Where) -> None:
    if column.null_count:
        first = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(
            f"{where(int(row_of[first]))}: the value is missing (null); fill it in or drop the row"
        )


def _text(shape: Shape) -> str:
    assert math.prod(shape) > 0
    return "x".join(str(n) for n in shape)
