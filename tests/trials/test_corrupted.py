"""Many ways in which files, splits, columns and labels can be wrong: each one line that names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.trials.breaking import Break, at, is_named_in_one_line, train
from tests.trials.tables import (
    NAMES,
    ROWS,
    SERIES,
    image_table,
    series_table,
    write,
)


def beside(columns: dict[str, Any], features: object = NAMES, sound_one: Any = None) -> Break:
    """A sound training file, and a test file with these columns."""

    def make(folder: Path) -> None:
        write(folder / "train.parquet", sound_one or series_table())
        write(folder / "test.parquet", columns, features)

    return make


def cut(keep: int) -> Break:
    """A training file cut off: so many bytes are left, or lack at the end if negative."""

    def make(folder: Path) -> None:
        path = write(folder / "train.parquet", series_table()) / "train.parquet"
        path.write_bytes(path.read_bytes()[:keep])

    return make


def zeroed(folder: Path) -> None:
    path = write(folder / "train.parquet", image_table(200)) / "train.parquet"
    content = bytearray(path.read_bytes())
    content[100:3000] = bytes(2900)
    path.write_bytes(content)


def files(**named: str | dict[str, Any]) -> Break:
    """Files of a folder: columns for Parquet, or a text."""

    def make(folder: Path) -> None:
        for name, content in named.items():
            path = folder / name.replace("__", "/").replace("_parquet", ".parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content)
            else:
                write(path, content)

    return make


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: column for each, column in columns.items() if each != name}


def labels(*values: Any) -> list[Any]:
    """The first labels as given, the others 0, 1, 2, 0, ..."""
    return [*values, *(i % 3 for i in range(len(values), ROWS))]


def dangling(folder: Path) -> None:
    (folder / "train.parquet").symlink_to(folder / "gone.parquet")


def directory_of_that_name(folder: Path) -> None:
    (folder / "train.parquet").mkdir()


BROKEN: dict[str, tuple[Break, str]] = {
    # files and folders
    "a directory of nothing": (lambda folder: None, "must hold Parquet files.*there are none"),
    "other files alone": (files(readme_md="hello"), "there are none"),
    "an empty file": (cut(0), r"train\.parquet cannot be read as Parquet"),
    "cut off after 3 bytes": (cut(3), r"train\.parquet cannot be read as Parquet"),
    "cut off in the middle": (cut(200), r"train\.parquet cannot be read as Parquet"),
    "the last byte missing": (cut(-1), r"train\.parquet cannot be read as Parquet"),
    "the footer missing": (cut(-400), r"train\.parquet cannot be read as Parquet"),
    "a text called Parquet": (files(train_parquet="series,label\n1,2\n"), r"train\.parquet cannot be read"),
    "damaged pages": (
        zeroed,
        r"train\.parquet cannot be read as Parquet \(.+\); it may be cut off: fetch it again",
    ),
    "a link to nothing": (dangling, r"train\.parquet cannot be read as Parquet .*No such file"),
    "a folder called Parquet": (directory_of_that_name, "there are none"),
    "no training file": (
        files(test_parquet=series_table(), validation_parquet=series_table()),
        "train must be there",
    ),
    "a file of no split": (
        files(train_parquet=series_table(), extra_parquet=series_table()),
        r"must say train, validation or test.*extra\.parquet",
    ),
    "two configurations": (
        files(small__train_parquet=series_table(), large__train_parquet=series_table()),
        "must hold one configuration, got large, small",
    ),
    "a shard missing": (
        lambda folder: write(folder / "train-00000-of-00002.parquet", series_table()) and None,
        r"leaves: train-00001-of-00002\.parquet is missing, 1 of 2 shards are there; fetch it",
    ),
    # splits
    "no rows": (train(series_table(0)), r"train\.parquet: the train split must have rows, got 0"),
    "no test rows": (beside(series_table(0)), r"test\.parquet: the test split must have rows, got 0"),
    "one validation row": (
        files(train_parquet=series_table(), validation_parquet=series_table(1)),
        "at least 2 validation rows, one a half, got 1",
    ),
    "other columns in test": (beside(image_table()), r"test\.parquet.*column"),
    "other class names in test": (
        beside(series_table(), {"label": {"names": ["dog", "cat", "eel"], "_type": "ClassLabel"}}),
        r"test\.parquet must declare the class names of the first training file",
    ),
    "longer series in test alone": (
        beside({**series_table(), "series": pa.array([[[1.0] * 5] * 2] * ROWS, SERIES)}),
        "one shape, 2x4 .* in training, got 2x5",
    ),
    "larger images in test": (
        beside(image_table(size=(8, 4)), sound_one=image_table()),
        "one shape, 1x4x6 .* in training, got 1x4x8",
    ),
    "colour in test alone": (
        beside(image_table(mode="RGB"), sound_one=image_table()),
        "one shape, 1x4x6 .* in training, got 3x4x6",
    ),
    # columns
    "no input": (
        train(without(series_table(), "series")),
        r"one input column.*columns: label \(int64\)",
    ),
    "no label": (train(without(series_table(), "label"), None), "column 'label'.*columns: series"),
    "two inputs": (
        train({**series_table(), **image_table()}),
        "it has series, image; name one, as in input=series",
    ),
    "labels that are fractions": (
        train({**series_table(), "label": [0.5] * ROWS}, None),
        "'label': labels must be integers, strings or booleans, got double",
    ),
    "texts where the features declare classes": (
        train({**series_table(), "label": ["cat"] * ROWS}),
        "'label': labels with declared class names must be integers, got string",
    ),
    "two candidates for a label": (
        train({"series": series_table()["series"], "a": [1] * ROWS, "b": [2] * ROWS}, None),
        "it has a, b; name one, as in label=a",
    ),
    "unknown features": (train(series_table(), "{not JSON"), "'huggingface' must be JSON"),
    "features without a list": (
        train(series_table(), '{"info": {}}'),
        "must be JSON with info.features",
    ),
    "features that are a list": (train(series_table(), "[1]"), "must be JSON with info.features"),
    "a group in one lump": (
        train({**series_table(), "speaker": ["one"] * ROWS}),
        "rows of leaves must belong to at least 3 groups to be divided by them, got one",
    ),
    "a group that is missing": (
        train({**series_table(), "speaker": [None, *map(str, range(ROWS - 1))]}),
        at(0, "speaker", "missing"),
    ),
    # labels
    "a null label": (train(series_table(labels=labels(0, None))), at(1, "label", "missing")),
    "an unknown class": (
        train(series_table(labels=labels(0, 3))),
        at(1, "label", "unknown class 3"),
    ),
    "a negative class": (
        train(series_table(labels=labels(-1))),
        at(0, "label", "unknown class -1"),
    ),
    "one class": (train(series_table(labels=[1] * ROWS)), "at least two classes, got 'dog'"),
    "a class without rows": (
        train(series_table(labels=[i % 2 for i in range(ROWS)])),
        "class 'eel' has 0 rows, too few to divide",
    ),
    "too few of a class": (
        train(series_table(labels=[2, *(i % 2 for i in range(ROWS - 1))])),
        "class 'eel' has 1 rows, too few to divide",
    ),
    "a class that only test has": (
        lambda folder: (
            write(folder / "train.parquet", series_table(), None)
            and write(folder / "test.parquet", series_table(labels=labels(0, 0, 0, 8)), None)
            and None
        ),
        at(3, "label", "unknown class 8", file="test"),
    ),
    "half of the test labels kept back": (
        beside(series_table(labels=labels(-1))),
        at(0, "label", "unknown class -1", file="test"),
    ),
    "labels beyond 64 bits": (
        train(
            series_table(labels=pa.array([2**63 + i % 3 if i > 4 else i for i in range(ROWS)], pa.uint64())),
            None,
        ),
        at(
            5,
            "label",
            "must be at most 9223372036854775807, got 9223372036854775810; number the classes anew",
        ),
    ),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_it_is_named_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_named_in_one_line(*BROKEN[what], tmp_path, capsys, monkeypatch)
