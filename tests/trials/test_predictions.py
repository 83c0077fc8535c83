"""Predictions come back as they were written, and the file is small, whole and known for what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trials.predictions import Predicted, Predictions, Split, read, write
from trials.storage import Storage


def some(test: int = 30, classes: int = 4) -> Predictions:
    rng = np.random.default_rng(0)

    def split(rows: int) -> Predicted:
        shares = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
        return Predicted(labels=rng.integers(classes, size=rows), probabilities=shares)

    names = ("", "Ω, é", *map(str, range(classes - 2)))
    splits: dict[Split, Predicted] = {"report": split(20), "test": split(test)}
    return Predictions(trial="digits.twin.finalist.0.0001", digest="ab12", class_names=names, splits=splits)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = some()
    write(Storage(str(tmp_path / "new")), written)
    found = read(Storage(str(tmp_path / "new")))
    assert (found.trial, found.digest) == (written.trial, written.digest)
    assert found.class_names == written.class_names
    assert list(found.splits) == ["report", "test"]
    for name, split in written.splits.items():
        assert np.array_equal(found.splits[name].labels, split.labels)
        assert np.array_equal(found.splits[name].probabilities, split.probabilities)
        assert found.splits[name].probabilities.dtype == np.float32
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["predictions.parquet"]


def test_others_read_it_without_us(tmp_path: Path) -> None:
    write(Storage(str(tmp_path)), some())
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert rows[19] | {"probabilities": 4} == {
        "split": "report",
        "row": 19,
        "label": rows[19]["label"],
        "probabilities": len(rows[19]["probabilities"]),
    }
    assert [row["row"] for row in rows] == [*range(20), *range(30)]


def test_ten_thousand_rows_of_ten_classes_take_less_than_half_a_megabyte(tmp_path: Path) -> None:
    write(Storage(str(tmp_path)), some(test=10_000, classes=10))
    assert (tmp_path / "predictions.parquet").stat().st_size < 500_000


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write(Storage(str(tmp_path)), some())
    before = path.read_bytes()
    three = Predicted(labels=np.zeros(3, np.int64), probabilities=np.zeros((2, 4), np.float32))
    broken = Predictions(trial="", digest="", class_names=("a",) * 4, splits={"test": three})
    with pytest.raises(ValueError):
        write(Storage(str(tmp_path)), broken)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_what_holds_no_predictions_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(ValueError, match=r"predictions\.parquet cannot be read"):
        read(Storage(str(tmp_path)))
    write(Storage(str(tmp_path)), some())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"predictions\.parquet cannot be read"):
        read(Storage(str(tmp_path)))
    pq.write_table(pa.table({"split": ["test"]}), path)
    with pytest.raises(ValueError, match="got columns split and metadata none"):
        read(Storage(str(tmp_path)))
    write(Storage(str(tmp_path)), some())
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"class_names": '["a"]'}), path)
    with pytest.raises(ValueError, match="must have 1 probabilities a row, one a class, got 200 in 50 rows"):
        read(Storage(str(tmp_path)))
