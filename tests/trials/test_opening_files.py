"""Files that are sound and asked for wrongly, rows that repeat, files that may not be read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from tests.trials.tables import FILE, ROWS, SERIES, as_nobody, image_table, picture, series_table, write
from trials.task import open_task

WRONG_SIZES = {
    "rows=10": "rows must be at least",
    "rows=0": "rows must be at least 1, got 0",
    "fraction=0.05": "fraction must leave a training row of each of 3 classes",
    "fraction=2": "fraction must be above 0 and at most 1, got 2",
    "resolution=8": "resolution is of images and volumes, got 8 for the series of leaves; give rate",
    "rate=0": "rate must be positive",
    "rate=1e-9": "rate",
    "input=picture": "no column 'picture'",
    "label=series": "must have one input column",
    "group=speaker": r"no column 'speaker' \(group\); its columns: series",
    "max_rows=20": "at most max_rows=20 rows, got 30",
    "max_pixels=3": r"train\.parquet, row 0, column 'series': .*at most 3 steps, got 4.*max_pixels",
    "rows=many": "rows must be int, got 'many'",
    "size=3": "a task has no 'size'; it has rows, resolution",
    "augment=turn": "augment must name some of crop, flip",
}


@pytest.mark.parametrize("size", list(WRONG_SIZES))
def test_a_size_that_does_not_fit_is_refused(
    size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))  # limits are of what is not decoded yet
    folder = write(tmp_path / "leaves" / "train.parquet", series_table())
    with pytest.raises(ValueError, match=WRONG_SIZES[size]) as error:
        open_task(f"{folder}@{size}")
    assert "\n" not in str(error.value)


def test_duplicate_rows_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table(changed={5: [[7.0] * 4] * 2, 6: [[7.0] * 4] * 2}))
    columns = series_table(changed={row: [[90.0 + row] * 4] * 2 for row in range(ROWS)})
    columns["series"] = pa.array([*columns["series"].to_pylist()[:-1], [[7.0] * 4] * 2], SERIES)
    write(tmp_path / "test.parquet", columns)
    assert open_task(str(tmp_path)).seen_in_test == 2


def test_what_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        path = write(folder / "train.parquet", series_table()) / "train.parquet"
        (folder / "cache").mkdir()
        (folder / "cache").chmod(0o777)
        monkeypatch.setenv("NAS_CACHE", str(folder / "cache"))
        open_task(str(folder))  # imports what it needs, as root
        path.chmod(0)
        with as_nobody(), pytest.raises(ValueError, match=r"train\.parquet may not be read.*permissions"):
            open_task(str(folder))
    finally:
        shutil.rmtree(folder)


def test_an_encoded_column_without_names_is_read(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([picture(level=i) for i in range(ROWS)]),
        "label": image_table()["label"],
    }
    assert pa.types.is_binary(columns["image"].type) and not pa.types.is_struct(FILE.field(0).type)
    assert open_task(str(write(tmp_path / "train.parquet", columns))).shape.extent == (4, 6)
