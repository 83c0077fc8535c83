"""Directories of Parquet: the layouts that are read, and every way a corpus can be wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trials import task

SERIES = pa.list_(pa.list_(pa.float32()))
VOLUME = pa.list_(pa.list_(pa.list_(pa.uint8())))
NAMES = {"label": {"names": ["cat", "dog", "eel"], "_type": "ClassLabel"}}


def picture(size: tuple[int, int] = (6, 4), mode: str = "L", level: int = 100, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, level if mode in ("L", "1", "P") else (level, 0, 255, 255)[: len(mode)]).save(
        buffer, kind
    )
    return buffer.getvalue()


def image_table(
    count: int = 30, changed: dict[int, Any] | None = None, **picture_fields: Any
) -> dict[str, Any]:
    encoded: list[Any] = [{"bytes": picture(level=i, **picture_fields), "path": None} for i in range(count)]
    for row, value in (changed or {}).items():
        encoded[row] = value
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return {"image": pa.array(encoded, kind), "label": pa.array([i % 3 for i in range(count)])}


def series_table(
    count: int = 30, changed: dict[int, Any] | None = None, labels: list[Any] | None = None
) -> dict[str, Any]:
    rows: list[Any] = [[[float(i), 0.5, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]] for i in range(count)]
    for row, value in (changed or {}).items():
        rows[row] = value
    return {
        "series": pa.array(rows, SERIES),
        "label": pa.array(labels or [i % 3 for i in range(count)], pa.int64()),
    }


def write(path: Path, columns: dict[str, Any], features: object = NAMES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        text = features if isinstance(features, str) else json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": text})
    pq.write_table(table, path, row_group_size=7)
    return path.parent


def test_official_splits_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", image_table(30))
    write(tmp_path / "validation-00000-of-00001.parquet", image_table(12))
    write(tmp_path / "test-00000-of-00001.parquet", image_table(9))
    opened, test = task.open_task(str(tmp_path)), task.open_test(str(tmp_path))
    assert (len(opened.train), len(opened.select), len(opened.report), opened.test_rows) == (30, 6, 6, 9)
    assert opened.class_names == ("cat", "dog", "eel") and str(opened.shape) == "1x4x6"
    assert opened.name == tmp_path.name and len(test) == 9
    levels = np.round(opened.train.inputs[:, 0, 0, 0] * 255).astype(int)
    assert levels.tolist() == list(range(30))  # each image with its own label, in order
    assert opened.train.labels.tolist() == [i % 3 for i in range(30)]
    assert test.labels.tolist() == [0, 1, 2] * 3


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "0000.parquet", "data/test.parquet"])
def test_one_split_is_divided(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, image_table(60))
    opened, test = task.open_task(str(tmp_path)), task.open_test(str(tmp_path))
    sizes = len(opened.train), len(opened.select), len(opened.report), len(test)
    assert sizes == (39, 5, 4, 12) or sum(sizes) == 60
    parts: list[task.Rows] = [opened.train, opened.select, opened.report, test]
    levels = np.concatenate([part.inputs[:, 0, 0, 0] for part in parts]) * 255
    assert sorted(np.round(levels).astype(int)) == list(range(60))


def test_several_shards_in_a_data_folder(tmp_path: Path) -> None:
    write(tmp_path / "data/train-00000-of-00002.parquet", series_table(20))
    write(tmp_path / "data/train-00001-of-00002.parquet", series_table(10))
    write(tmp_path / "data/test-00000-of-00001.parquet", series_table(6))
    opened = task.open_task(str(tmp_path))
    assert len(opened.train) + len(opened.select) + len(opened.report) == 30
    assert str(opened.shape) == "2x4" and len(opened.mean) == 2
    assert opened.train.inputs[:, 1].tolist() == [[1, 2, 3, 4]] * len(opened.train)


def test_colour_jpeg_palettes_and_bits(tmp_path: Path) -> None:
    write(tmp_path / "rgb/train.parquet", image_table(mode="RGB", kind="JPEG"))
    assert task.open_task(str(tmp_path / "rgb")).shape.channels == 3
    write(tmp_path / "palette/train.parquet", image_table(mode="P"))
    assert task.open_task(str(tmp_path / "palette")).shape.channels == 3
    write(tmp_path / "bits/train.parquet", image_table(mode="1"))
    bits = task.open_task(str(tmp_path / "bits"))
    assert bits.shape.channels == 1 and set(np.unique(bits.train.inputs)) <= {0.0, 1.0}


def test_volumes_lie_in_0_to_1(tmp_path: Path) -> None:
    rows = [[[[i, 255], [0, 0], [1, 1]]] * 4 for i in range(30)]
    write(
        tmp_path / "train.parquet",
        {"volume": pa.array(rows, VOLUME), "label": [i % 2 for i in range(30)]},
        None,
    )
    opened = task.open_task(str(tmp_path))
    assert str(opened.shape) == "1x4x3x2" and opened.train.inputs.max() == 1
    assert opened.class_names == ("0", "1")


def test_classes_without_names_are_the_values_found(tmp_path: Path) -> None:
    table = series_table(labels=[(5, 7, 40)[i % 3] for i in range(30)])
    write(tmp_path / "train.parquet", {"series": table["series"], "kind": table["label"]}, None)
    opened = task.open_task(str(tmp_path))
    assert opened.class_names == ("5", "7", "40") and set(opened.train.labels) == {0, 1, 2}


def test_a_group_is_on_one_side_of_a_split(tmp_path: Path) -> None:
    speakers = [f"speaker {i // 3}" for i in range(30)]
    rows = [[[float(i // 3), 1.0]] for i in range(30)]
    columns = {"series": pa.array(rows, SERIES), "label": [i % 3 for i in range(30)], "speaker": speakers}
    write(tmp_path / "train.parquet", columns)
    opened, test = task.open_task(str(tmp_path)), task.open_test(str(tmp_path))
    held_out = np.concatenate((opened.select.inputs, opened.report.inputs))
    sets = [set(part[:, 0, 0].tolist()) for part in (opened.train.inputs, held_out, test.inputs)]
    assert sum(map(len, sets)) == 10 and set.union(*sets) == set(range(10))


def test_broken_test_rows_are_found_before_anything_is_trained(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", image_table(60))
    write(tmp_path / "test.parquet", image_table(9, {4: {"bytes": b"no image", "path": None}}))
    with pytest.raises(ValueError, match=r"test\.parquet, row 4"):
        task.open_task(f"{tmp_path}@rows=30")


BROKEN_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "another size": (
        image_table(changed={9: {"bytes": picture((5, 4)), "path": None}}),
        "row 9.*1x4x6.*got 1x4x5",
    ),
    "another mode": (
        image_table(changed={9: {"bytes": picture(mode="RGB"), "path": None}}),
        "row 9.*one size and mode",
    ),
    "transparency": (image_table(mode="RGBA"), "row 0.*greyscale or RGB, got mode RGBA"),
    "undecodable image": (
        image_table(changed={9: {"bytes": b"\x89PNG nothing", "path": None}}),
        "row 9.*decoded",
    ),
    "truncated image": (image_table(changed={9: {"bytes": picture()[:50], "path": None}}), "row 9.*decoded"),
    "empty image": (image_table(changed={9: {"bytes": b"", "path": None}}), "row 9.*decoded"),
    "image elsewhere": (image_table(changed={9: {"bytes": None, "path": "a.png"}}), "row 9.*missing"),
    "null image": (image_table(changed={9: None}), "row 9.*missing"),
    "another length": (
        series_table(changed={9: [[1.0, 2.0], [1.0, 2.0]]}),
        "row 9.*steps must be 4.*got 2.*not supp",
    ),
    "ragged channels": (series_table(changed={9: [[1.0] * 4, [1.0] * 3]}), "row 9.*steps must be 4.*got 3"),
    "another channel": (series_table(changed={9: [[1.0] * 4]}), "row 9.*channels must be 2.*got 1"),
    "empty series": (series_table(changed={9: []}), "row 9.*channels must be 2.*got 0"),
    "all empty series": (
        series_table(changed={row: [[], []] for row in range(30)}),
        "steps must be at least 1",
    ),
    "null series": (series_table(changed={9: None}), "row 9.*missing"),
    "null channel": (series_table(changed={9: [[1.0] * 4, None]}), "row 9.*missing"),
    "null value": (series_table(changed={9: [[1.0] * 4, [1.0, 2.0, None, 4.0]]}), "row 9.*missing"),
    "NaN": (series_table(changed={9: [[1.0] * 4, [1.0, 2.0, float("nan"), 4.0]]}), "row 9.*finite, got nan"),
    "infinity": (
        series_table(changed={9: [[1.0] * 4, [float("-inf"), 2.0, 3.0, 4.0]]}),
        "row 9.*finite, got -inf",
    ),
    "null label": (
        series_table(labels=[None if i == 9 else i % 3 for i in range(30)]),
        "row 9.*'label'.*missing",
    ),
    "unknown class": (
        series_table(labels=[3 if i == 9 else i % 3 for i in range(30)]),
        "row 9.*unknown class 3",
    ),
    "negative class": (
        series_table(labels=[-1 if i == 9 else i % 3 for i in range(30)]),
        "row 9.*unknown class -1",
    ),
}


@pytest.mark.parametrize("what", list(BROKEN_ROWS))
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_broken_row_is_named_with_file_and_column(tmp_path: Path, what: str, split: str) -> None:
    columns, message = BROKEN_ROWS[what]
    sound = image_table() if "image" in columns else series_table()
    for name in ("train", "validation", "test"):
        write(tmp_path / f"{name}-00000-of-00001.parquet", columns if name == split else sound)
    with pytest.raises(ValueError) as error:  # noqa: PT012
        task.open_task(str(tmp_path))
        if split == "test":
            task.open_test(str(tmp_path))
    text = str(error.value)
    if what in ("transparency", "all empty series") and split == "test":
        assert f"{split}-00000-of-00001.parquet" in text or "one shape" in text
        return
    import re

    assert re.search(message, text), text
    assert f"{split}-00000-of-00001.parquet, row" in text and "column '" in text and "\n" not in text


def test_rows_are_counted_within_their_file(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", series_table(20))
    write(tmp_path / "train-00001-of-00002.parquet", series_table(20, {16: None}))
    write(tmp_path / "test.parquet", series_table())
    with pytest.raises(ValueError, match=r"train-00001-of-00002\.parquet, row 16, column 'series'"):
        task.open_task(str(tmp_path))


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: column for each, column in columns.items() if each != name}


BROKEN_TABLES: dict[str, tuple[dict[str, Any], object, str]] = {
    "no input": (without(series_table(), "series"), NAMES, r"one input column.*Its columns: label \(int64\)"),
    "no label": (without(series_table(), "label"), None, "integer column 'label'.*its columns: series"),
    "two inputs": ({**series_table(), **image_table()}, NAMES, "it has series, .*image"),
    "text label": ({**series_table(), "label": ["a"] * 30}, None, "integer column 'label'.*string"),
    "two integers": (
        {"series": series_table()["series"], "a": [1] * 30, "b": [2] * 30},
        None,
        "only one integer column; its columns: series.*a .*b ",
    ),
    "audio": (
        {"audio": image_table()["image"], "label": [0] * 30},
        None,
        "'audio': audio is not supported yet",
    ),
    "one class": (series_table(labels=[1] * 30), NAMES, "at least two classes, got 'dog'"),
    "a class without rows": (
        series_table(labels=[i % 2 for i in range(30)]),
        NAMES,
        "'eel' has 0 rows, too few",
    ),
    "too few of a class": (
        series_table(labels=[2, *[i % 2 for i in range(29)]]),
        NAMES,
        "'eel' has 1 rows, too few",
    ),
    "no rows": (series_table(0, labels=None), NAMES, "train split must have rows, got 0"),
    "broken features": (series_table(), "{not JSON", "'huggingface' must be JSON"),
    "no features": (series_table(), '{"info": {}}', "'huggingface' must be JSON with info.features"),
}


@pytest.mark.parametrize("what", list(BROKEN_TABLES))
def test_a_broken_table_is_refused(tmp_path: Path, what: str) -> None:
    columns, features, message = BROKEN_TABLES[what]
    write(tmp_path / "train.parquet", columns, features)
    with pytest.raises(ValueError, match=message) as error:
        task.open_task(str(tmp_path))
    assert "\n" not in str(error.value)


def test_splits_must_agree(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "test.parquet", image_table())
    with pytest.raises(ValueError, match=r"test\.parquet must have the columns of the first training file"):
        task.open_task(str(tmp_path))
    write(tmp_path / "test.parquet", {**series_table(), "series": pa.array([[[1.0] * 5] * 2] * 30, SERIES)})
    task.open_task(str(tmp_path))
    with pytest.raises(ValueError, match=r"one shape, 2x4 .channels x extent. in training, got 2x5"):
        task.open_test(str(tmp_path))
    write(tmp_path / "test.parquet", series_table(0))
    with pytest.raises(ValueError, match=r"test\.parquet: the test split must have rows"):
        task.open_task(str(tmp_path))


def test_a_test_label_that_training_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table(), None)
    write(tmp_path / "test.parquet", series_table(labels=[8 if i == 5 else i % 3 for i in range(30)]), None)
    with pytest.raises(ValueError, match=r"test\.parquet, row 5, column 'label': unknown class 8"):
        task.open_task(str(tmp_path))


@pytest.mark.parametrize("keep", [0, 3, 200, -1, -400])
def test_a_file_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "train.parquet", series_table()) / "train.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"train\.parquet cannot be read as Parquet"):
        task.open_task(str(tmp_path))


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", image_table(60)) / "train.parquet"
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.parquet"):
        task.open_task(str(tmp_path))


def test_directories_without_training_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold Parquet files.*there are none"):
        task.open_task(str(tmp_path))
    write(tmp_path / "test.parquet", series_table())
    write(tmp_path / "validation.parquet", series_table())
    with pytest.raises(ValueError, match="train must be there"):
        task.open_task(str(tmp_path))
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "extra.parquet", series_table())
    with pytest.raises(ValueError, match=r"file names must start with.*extra\.parquet"):
        task.open_task(str(tmp_path))
