"""A wrong row far into many is named as one of few: other files, row groups and processes are before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.trials.tables import FILE, encoded, everything, picture, read_all, write
from trials import cache, parallel

COUNT, BAD = (1000, 1500), 1234
"""Rows of two files; the wrong row, in the third row group of the second."""
SERIES = pa.list_(pa.list_(pa.float32()))
VOLUME = pa.list_(pa.list_(pa.list_(pa.uint8())))
GOOD: dict[str, tuple[list[Any], pa.DataType]] = {
    "image": ([encoded(picture(level=i)) for i in range(250)], FILE),
    "series": ([[[float(i), 1.0], [0.5, 2.0]] for i in range(250)], SERIES),
    "volume": ([[[[i, 1], [2, 3]]] for i in range(250)], VOLUME),
}
BROKEN: dict[str, tuple[str, Any, str]] = {
    "a text for an image": ("image", encoded(b"cat.png"), "PNG or JPEG, these bytes start with b'cat.png'"),
    "a truncated image": ("image", encoded(picture()[:50]), "cannot be decoded .*truncated"),
    "an image of another size": ("image", encoded(picture((5, 4))), "1x4x6 .*in the rows before, got 1x4x5"),
    "a null image": ("image", None, r"missing \(null\)"),
    "NaN": ("series", [[1.0, float("nan")], [0.5, 2.0]], "values must be finite, got nan"),
    "another channel": ("series", [[1.0, 1.0]], "channels must be 2 as in the rows before, got 1"),
    "a null value": ("series", [[1.0, None], [0.5, 2.0]], r"missing \(null\)"),
    "another volume": ("volume", [[[1, 1, 1], [2, 3, 4]]], "1x2x2 .*in the rows before, got 1x2x3"),
}


def two_files(folder: Path, column: str, bad: Any = ...) -> Path:
    good, kind = GOOD[column]
    for number, count in enumerate(COUNT):
        rows = [good[i % 250] for i in range(count)]
        if number == 1 and bad is not ...:
            rows[BAD] = bad
        table = {column: pa.array(rows, kind), "label": np.arange(count) % 3}
        write(folder / f"train-0000{number}-of-00002.parquet", table, group=500)
    return folder


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_row_far_into_the_second_file_is_named(what: str, tmp_path: Path) -> None:
    assert sum(COUNT) > parallel.ALONE
    column, bad, message = BROKEN[what]
    folder = two_files(tmp_path / "leaves", column, bad)
    place = rf"^\S*/leaves/train-00001-of-00002\.parquet, row {BAD}, column '{column}': .*{message}"
    with pytest.raises(ValueError, match=place) as error:
        read_all(folder)
    assert "\n" not in str(error.value)
    assert not list(cache.root().rglob("*.partial"))


@pytest.mark.parametrize("column", list(GOOD))
def test_sound_rows_are_in_their_order(column: str, tmp_path: Path) -> None:
    part = read_all(two_files(tmp_path / "leaves", column)).train
    found = everything(part).inputs.reshape(sum(COUNT), -1)[:, 0]
    assert found.tolist() == [i % 250 for count in COUNT for i in range(count)]
