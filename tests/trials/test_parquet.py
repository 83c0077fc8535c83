"""Parquet files as datasets: splits, kinds of input, labels, groups, limits; wrong rows are named."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.trials.tables import (
    FILE,
    NAMES,
    SERIES,
    VOLUME,
    everything,
    image_table,
    picture,
    read_all,
    series_table,
    write,
)
from trials import task
from trials.finding import everywhere
from trials.parquet import open_parquet
from trials.reference import Task
from trials.shards import open_shard
from trials.sources import File


def sound(steps: int, rate: int = 8000, level: float = 0.5) -> dict[str, Any]:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(steps, level), rate, format="WAV")
    return {"bytes": buffer.getvalue(), "path": None}


def test_official_splits_are_kept(tmp_path: Path) -> None:
    for name, count in (("train", 30), ("validation", 12), ("test", 9)):
        write(tmp_path / f"{name}-00000-of-00001.parquet", image_table(count))
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
    parts = [opened.train, opened.select, opened.report, test]
    levels = np.concatenate([part.inputs[:, 0, 0, 0] for part in parts]) * 255
    assert sorted(np.round(levels).astype(int)) == list(range(60))


def test_rows_of_several_files_and_groups(tmp_path: Path) -> None:
    for number, count in enumerate((20, 10)):
        table = series_table(count)
        rows = [[[100.0 * number + i, 0.0]] for i in range(count)]
        write(
            tmp_path / f"data/train-0000{number}-of-00002.parquet",
            {**table, "series": pa.array(rows, SERIES)},
        )
    part = read_all(tmp_path).train
    chosen = np.array([0, 6, 7, 19, 20, 29])
    assert part.size == 30
    assert part.decoded(chosen).inputs[:, 0, 0].tolist() == [0, 6, 7, 19, 100, 109]
    assert part.labels()[chosen].tolist() == [0, 0, 1, 1, 0, 0]


def test_only_the_rows_that_are_used_are_decoded(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", image_table(60, {40: {"bytes": b"no image", "path": None}}))
    part = open_parquet(Task(source=str(tmp_path))).train
    used = np.delete(np.arange(60), 40)
    assert part.decoded(used).inputs[:, 0, 0, 0].tolist() == used.tolist()
    with pytest.raises(ValueError, match=r"train\.parquet, row 40"):
        everything(part)


def test_kinds_of_input(tmp_path: Path) -> None:
    labels = [i % 3 for i in range(30)]
    pictures = [picture(level=i) for i in range(30)]
    volumes = [[[[i, 255], [0, 0], [1, 1]]] * 4 for i in range(30)]
    sounds = pa.array([sound(100 + i) for i in range(30)], FILE)
    tables: dict[str, tuple[Any, tuple[int, ...], str]] = {
        "image": (pa.array(pictures, pa.binary()), (1, 4, 6), "uint8"),
        "picture": (image_table()["image"], (1, 4, 6), "uint8"),
        "flat": (pa.array([[float(i), 1.0] for i in range(30)]), (1, 2), "float32"),
        "fixed": (pa.array([[i, 1] for i in range(30)], pa.list_(pa.int16(), 2)), (1, 2), "float32"),
        "lengths": (pa.array([[[1.0] * (1 + i)] for i in range(30)], SERIES), (1, 30), "float32"),
        "volume": (pa.array(volumes, VOLUME), (1, 4, 3, 2), "uint8"),
        "audio": (sounds, (1, 129), "float32"),
    }
    for name, (column, shape, dtype) in tables.items():
        write(tmp_path / name / "train.parquet", {name: column, "label": labels}, None)
        inputs = everything(read_all(tmp_path / name).train).inputs
        assert (inputs.shape, inputs.dtype) == ((30, *shape), dtype), name
        variable = name in ("lengths", "audio")
        assert np.isnan(inputs[0]).any() == variable and not np.isnan(inputs[-1]).any(), name


def test_audio_has_one_rate(tmp_path: Path) -> None:
    sounds = pa.array([sound(80, 8000), sound(160, 16000)] * 15, FILE)
    table = {"audio": sounds, "label": [i // 2 % 3 for i in range(30)]}
    for name, features, fields, steps in (
        ("first", NAMES, {}, 80),
        ("declared", {**NAMES, "audio": {"sampling_rate": 16000, "_type": "Audio"}}, {}, 160),
        ("said", NAMES, {"rate": 4000.0}, 40),
    ):
        write(tmp_path / name / "train.parquet", table, features)
        inputs = everything(read_all(tmp_path / name, **fields).train).inputs
        assert inputs.shape == (30, 1, steps) and not np.isnan(inputs).any(), name


def test_fingerprints_are_of_what_is_stored(tmp_path: Path) -> None:
    series = series_table(8, {5: [[0.0, 0.5, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]]})
    write(tmp_path / "train.parquet", series)
    write(tmp_path / "test.parquet", series_table(6, {2: [[9.0] * 9] * 2}))  # a longer one: others are filled
    dataset = read_all(tmp_path)
    assert dataset.test is not None
    train, test = everything(dataset.train).fingerprints, everything(dataset.test).fingerprints
    assert train.shape == (8, 16) and np.array_equal(train[0], train[5])
    assert np.array_equal(train[[0, 1, 3]], test[[0, 1, 3]]) and len(np.unique(train, axis=0)) == 7
    write(tmp_path / "images/train.parquet", image_table(8))
    for size in (None, 2):
        hashes = everything(read_all(tmp_path / "images", resolution=size).train).fingerprints
        assert len(np.unique(hashes, axis=0)) == 8


def test_series_are_the_same_in_any_type(tmp_path: Path) -> None:
    rows = [[i, 1, 2, 250] for i in range(30)]
    hashes = []
    for kind in (pa.uint8(), pa.int64(), pa.float64(), pa.float32()):
        column = pa.array(rows, pa.list_(kind))
        write(tmp_path / f"{kind}/train.parquet", {"series": column, "label": series_table()["label"]})
        hashes.append(everything(read_all(tmp_path / str(kind)).train).fingerprints)
    assert all(np.array_equal(each, hashes[0]) for each in hashes)


def test_a_group_is_on_one_side_of_a_split(tmp_path: Path) -> None:
    speakers = [f"speaker {i // 3}" for i in range(30)]
    rows = [[[float(i // 3), 1.0]] for i in range(30)]
    columns = {"series": pa.array(rows, SERIES), "label": [i % 3 for i in range(30)], "speaker": speakers}
    write(tmp_path / "train.parquet", columns)
    opened, test = task.open_task(str(tmp_path)), task.open_test(str(tmp_path))
    held_out = np.concatenate((opened.select.inputs, opened.report.inputs))
    sets = [set(part[:, 0, 0].tolist()) for part in (opened.train.inputs, held_out, test.inputs)]
    assert sum(map(len, sets)) == 10 and set.union(*sets) == set(range(10))


def test_labels_that_are_kept_back_are_no_test_split(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "test.parquet", series_table(9, labels=[-1] * 9))
    dataset = read_all(tmp_path)
    assert dataset.test is None and "test rows are carved" in dataset.columns[-1]
    assert task.open_task(str(tmp_path)).test_rows > 0
    labels = [(-1, 1)[i % 2] for i in range(30)]
    write(tmp_path / "signs/train.parquet", series_table(labels=labels), None)
    write(tmp_path / "signs/test.parquet", series_table(9, labels=[-1] * 9), None)
    signs = read_all(tmp_path / "signs")
    assert signs.class_names == ("-1", "1") and signs.test is not None  # -1 is a class there
    assert signs.test.labels().tolist() == [0] * 9


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))  # limits are of what is not decoded yet
    write(tmp_path / "train.parquet", series_table())
    source = Task(source=str(tmp_path), max_rows=29)
    with pytest.raises(ValueError, match=r"at most max_rows=29 rows, got 30; raise.*@max_rows=30"):
        open_parquet(source)
    with pytest.raises(ValueError, match=r"row 0, column 'series'.*max_pixels"):
        read_all(tmp_path, max_pixels=3)


BROKEN_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "another size": (image_table(changed={9: {"bytes": picture((5, 4)), "path": None}}), "row 9.*1x4x5"),
    "another mode": (image_table(changed={9: {"bytes": picture(mode="RGB"), "path": None}}), "row 9.*3x4x6"),
    "undecodable image": (image_table(changed={9: {"bytes": b"\x89PNG", "path": None}}), "row 9.*decoded"),
    "null image": (image_table(changed={9: None}), "row 9.*missing"),
    "another channel": (series_table(changed={9: [[1.0] * 4]}), "row 9.*channels.*2.*1"),
    "null series": (series_table(changed={9: None}), "row 9.*missing"),
    "NaN": (series_table(changed={9: [[1.0] * 4, [1.0, float("nan")] * 2]}), "row 9.*finite.*nan"),
    "null label": (series_table(labels=[None if i == 9 else i % 3 for i in range(30)]), "row 9.*missing"),
    "unknown class": (series_table(labels=[3 if i == 9 else i % 3 for i in range(30)]), "row 9.*class 3;"),
    "negative class": (series_table(labels=[-1 if i == 9 else i % 3 for i in range(30)]), "row 9.*class -1;"),
    "no group": (
        {**series_table(), "speaker": [None if i == 9 else "anna" for i in range(30)]},
        "row 9.*'speaker'.*missing",
    ),
}


@pytest.mark.parametrize("what", list(BROKEN_ROWS))
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_broken_row_is_named_with_file_and_column(tmp_path: Path, what: str, split: str) -> None:
    columns, message = BROKEN_ROWS[what]
    sound = image_table() if "image" in columns else series_table()
    sound = {**sound, "speaker": ["anna"] * 30} if "speaker" in columns else sound
    for name in ("train", "validation", "test"):
        write(tmp_path / f"{name}-00000-of-00001.parquet", columns if name == split else sound)
    with pytest.raises(ValueError, match=message) as error:
        read_all(tmp_path)
    text = str(error.value)
    assert f"{split}-00000-of-00001.parquet, row 9, column '" in text and "\n" not in text


def test_rows_are_counted_within_their_file(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", series_table(20))
    write(tmp_path / "train-00001-of-00002.parquet", series_table(20, {16: None}))
    with pytest.raises(ValueError, match=r"train-00001-of-00002\.parquet, row 16, column 'series'"):
        read_all(tmp_path)


def test_rows_must_agree_across_row_groups(tmp_path: Path) -> None:
    table = image_table(changed={row: {"bytes": picture((5, 4)), "path": None} for row in range(14, 30)})
    write(tmp_path / "train.parquet", table)
    with pytest.raises(ValueError, match=r"train\.parquet, row 14, column 'image': .*1x4x6.*got 1x4x5"):
        read_all(tmp_path)
    table = series_table(changed={row: [[1.0] * 4] for row in range(21, 30)})
    write(tmp_path / "other/train.parquet", table)
    with pytest.raises(ValueError, match=r"row 21, column 'series': .*2x4.*got 1x4"):
        read_all(tmp_path / "other")


@pytest.mark.parametrize("nulls", [pa.array([None] * 30), pa.array([None] * 30, pa.int64())])
def test_null_labels_of_all_test_rows_are_no_test_split(tmp_path: Path, nulls: pa.Array) -> None:
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "test.parquet", series_table(labels=nulls), None)
    dataset = read_all(tmp_path)
    assert dataset.test is None and "of the test files are all missing (null): test" in dataset.columns[-1]
    write(tmp_path / "test.parquet", series_table(labels=[0, *nulls.to_pylist()[1:]]), None)
    with pytest.raises(ValueError, match=r"test\.parquet, row 1, column 'label'.*missing"):
        read_all(tmp_path)


def test_a_single_file_is_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "some.parquet", series_table())
    monkeypatch.chdir(tmp_path)
    assert task.open_task("some.parquet").columns[-1].startswith("files name no split")
    assert everywhere(Task(source="some.parquet")).source == str(tmp_path / "some.parquet")
    with pytest.raises(ValueError, match=r"unknown task 'none\.parquet'.*or a file, directory or glob"):
        task.open_task("none.parquet")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("0000.parquet", ("files name no split: all are training rows",)),
        ("test.parquet", ("files name the split test alone: all are training rows",)),
        ("train.parquet", ()),
    ],
)
def test_files_that_name_no_training_split_are_noted(
    tmp_path: Path, name: str, note: tuple[str, ...]
) -> None:
    write(tmp_path / name, series_table())
    assert read_all(tmp_path).columns[2:] == note


def test_a_large_row_group_is_not_read_as_a_whole(tmp_path: Path) -> None:
    padded = [{"bytes": picture() + bytes(100_000), "path": None}] * 600
    table = pa.table({"image": pa.array(padded, FILE), "label": [i % 3 for i in range(600)]})
    pq.write_table(
        table, tmp_path / "train.parquet", compression="none", use_dictionary=False, write_batch_size=10
    )
    shard = open_shard(File("train.parquet", tmp_path / "train.parquet", "train"))
    assert shard.groups == (600,)
    before, rows = pa.total_allocated_bytes(), 0
    for values in shard.batches("image", 0, 500):
        rows += len(values)
        assert pa.total_allocated_bytes() - before < 30e6  # of 60 MB
    assert rows == 600
