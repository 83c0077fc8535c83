"""Which column is input, label and group: found, said and shown; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.trials.tables import NAMES, SERIES, image_table, read_all, series_table, write

COUNT = range(30)


def columns_of(folder: Path, **fields: Any) -> dict[str, str]:
    """Roles by name of the column, as shown."""
    lines = (line.partition(" (") for line in read_all(folder, **fields).columns)
    return {name: rest.rpartition("): ")[2] for name, _, rest in lines}


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: column for each, column in columns.items() if each != name}


def test_columns_are_shown(tmp_path: Path) -> None:
    table = {**image_table(), "drawer": [i // 3 for i in COUNT], "source": ["web"] * 30}
    write(tmp_path / "train.parquet", table)
    assert read_all(tmp_path).columns == (
        "image (struct<bytes: binary, path: string>): input (image)",
        "label (int64): label (3 classes)",
        "drawer (int64): group (never divided by a split)",
        "source (string): not used",
    )


def test_columns_that_are_said(tmp_path: Path) -> None:
    table = {**image_table(), **series_table(), "kind": ["a", "b"] * 15, "who": [i // 2 for i in COUNT]}
    write(tmp_path / "train.parquet", table)
    roles = columns_of(tmp_path, input="series", label="kind", group="who")
    assert roles["series"] == "input (series)" and roles["kind"] == "label (2 classes)"
    assert roles["who"].startswith("group") and roles["label"] == roles["image"] == "not used"
    for role in ("input", "label", "group"):
        with pytest.raises(
            ValueError, match=rf"has no column 'nobody' \({role}\); its columns: image .*label"
        ):
            read_all(tmp_path, **{"input": "series", role: "nobody"})
    with pytest.raises(ValueError, match=r"column 'who' must be an input.*its columns: image"):
        read_all(tmp_path, input="who")
    with pytest.raises(ValueError, match=r"column 'image': labels must be integers, strings or booleans"):
        read_all(tmp_path, input="series", label="image")


@pytest.mark.parametrize(
    ("others", "label"),
    [
        ({"kind": [i % 3 for i in COUNT]}, "kind"),
        ({"kind": ["a", "b", "c"] * 10, "weight": [0.5] * 30}, "kind"),
        ({"kind": ["a", "b", "c"] * 10, "speaker": ["x", "y"] * 15}, "kind"),
        ({"kind": [True, False] * 15, "__index_level_0__": list(COUNT)}, "kind"),
        ({"kind": pa.array(["a", "b", "c"] * 10).dictionary_encode()}, "kind"),
        ({"label": ["a", "b", "c"] * 10, "count": list(COUNT)}, "label"),
    ],
)
def test_the_label_is_found(tmp_path: Path, others: dict[str, Any], label: str) -> None:
    write(tmp_path / "train.parquet", {"series": series_table()["series"], **others}, None)
    assert columns_of(tmp_path)[label].startswith("label")


def test_several_columns_that_could_be_the_label_are_listed(tmp_path: Path) -> None:
    table = {**without(image_table(), "label"), "age": [i % 7 for i in COUNT], "diagnosis": ["a", "b"] * 15}
    write(tmp_path / "train.parquet", table, None)
    message = r"only one of integers, strings or booleans: it has age, diagnosis; name one, as in label=age"
    with pytest.raises(ValueError, match=message):
        read_all(tmp_path)
    assert read_all(tmp_path, label="diagnosis").class_names == ("a", "b")


def test_a_group_can_be_switched_off_or_be_the_label(tmp_path: Path) -> None:
    speakers = {"speaker": ["x", "y"] * 15, "drawer": [i // 2 for i in COUNT]}
    for name in ("train", "test"):
        write(tmp_path / f"{name}.parquet", {**series_table(), **speakers})
    roles = columns_of(tmp_path, label="speaker")
    assert roles["speaker"] == "label (2 classes)" and roles["drawer"].startswith("group")
    dataset = read_all(tmp_path, group="none")
    assert dataset.train.groups() is None and dataset.columns[2] == "speaker (string): not used"
    for fields in (
        {"label": "speaker", "group": "speaker"},
        {"label": "label", "group": "label"},
        {"input": "series", "group": "series"},
    ):
        with pytest.raises(ValueError, match=r"group must be another column than .*; name another one, or"):
            read_all(tmp_path, **fields)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("name", "kind"), [("image", None), ("x", "Array2D"), ("x", "Array3D")])
def test_images_as_lists_of_numbers_are_refused(
    tmp_path: Path, depth: int, name: str, kind: str | None
) -> None:
    numbers: Any = 1
    column_type = pa.uint8()
    for _ in range(depth):
        numbers, column_type = [numbers] * 4, pa.list_(column_type)
    table = {name: pa.array([numbers] * 30, column_type), "label": series_table()["label"]}
    write(tmp_path / "train.parquet", table, {**NAMES, name: {"_type": kind}})
    called = "volume" if depth == 3 else "series"
    with pytest.raises(ValueError, match=rf"column '{name}': images must be PNG.*call the column {called}$"):
        read_all(tmp_path)
    write(
        tmp_path / "train.parquet", {called: table[name], "label": table["label"]}, {called: {"_type": kind}}
    )
    assert columns_of(tmp_path)[called] == f"input ({called})"


def test_a_declared_label_is_found_among_integers(tmp_path: Path) -> None:
    table = {"series": series_table()["series"], "fine": list(COUNT), "coarse": [i % 3 for i in COUNT]}
    write(tmp_path / "train.parquet", table, {"coarse": NAMES["label"]})
    dataset = read_all(tmp_path)
    assert dataset.class_names == ("cat", "dog", "eel")
    assert dataset.train.labels().tolist() == [i % 3 for i in COUNT]


@pytest.mark.parametrize(
    ("values", "names", "first"),
    [
        ([5, 40, 7], ("5", "7", "40"), [0, 2, 1]),
        (["b", "a", "c"], ("a", "b", "c"), [1, 0, 2]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
    ],
)
def test_classes_without_names_are_the_values_found(
    tmp_path: Path, values: list[Any], names: tuple[str, ...], first: list[int]
) -> None:
    for encode in (False, True):
        labels = pa.array(values * 10)
        labels = labels.dictionary_encode() if encode and not isinstance(values[0], bool) else labels
        write(tmp_path / "train.parquet", {**series_table(), "label": labels}, None)
        write(tmp_path / "test.parquet", {**series_table(3), "label": pa.array(values)}, None)
        dataset = read_all(tmp_path)
        assert dataset.class_names == names and dataset.test is not None
        assert dataset.train.labels().tolist() == first * 10
        assert dataset.test.labels().tolist() == first


def test_a_class_that_training_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table(), None)
    write(tmp_path / "test.parquet", series_table(labels=[8 if i == 5 else i % 3 for i in COUNT]), None)
    with pytest.raises(
        ValueError, match=r"test\.parquet, row 5, column 'label': unknown class 8; there are 3"
    ):
        read_all(tmp_path)


BROKEN: dict[str, tuple[dict[str, Any], object, str]] = {
    "no input": (without(series_table(), "series"), NAMES, r"one input column.*Its columns: label \(int64\)"),
    "no label": (without(series_table(), "label"), None, r"column 'label'.*it has none. Its columns: series"),
    "two inputs": ({**series_table(), **image_table()}, NAMES, r"has series, image; name one, as in input="),
    "real label": ({**series_table(), "label": [0.5] * 30}, None, "labels must be integers.*got double"),
    "declared text": (
        {**series_table(), "label": ["a"] * 30},
        NAMES,
        "class names must be integers, got string",
    ),
    "two integers": (
        {"series": series_table()["series"], "a": [1] * 30, "b": [2] * 30},
        None,
        r"it has a, b; name one, as in label=a\. Its columns: series.*a .*b ",
    ),
    "bytes of nothing": ({"blob": [b"x"] * 30, "label": [0] * 30}, None, "one input column.*has none"),
    "text in lists": ({"series": [[["a"]]] * 30, "label": [0] * 30}, None, "one input column.*has none"),
    "volume of floats": ({"volume": [[[[0.5]]]] * 30, "label": [0] * 30}, None, "one input column.*has none"),
    "no rows": (series_table(0, labels=pa.array([], pa.int64())), NAMES, "train split must have rows, got 0"),
    "broken features": (series_table(), "{not JSON", "'huggingface' must be JSON"),
    "no features": (series_table(), '{"info": {}}', "'huggingface' must be JSON with info.features"),
    "features of another type": (series_table(), '{"info": {"features": 3}}', "'huggingface' must be JSON"),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_table_is_refused(tmp_path: Path, what: str) -> None:
    columns, features, message = BROKEN[what]
    write(tmp_path / "train.parquet", columns, features)
    with pytest.raises(ValueError, match=message) as error:
        read_all(tmp_path)
    assert "\n" not in str(error.value) and "train.parquet" in str(error.value)


@pytest.mark.parametrize(
    ("other", "features", "message"),
    [
        (without(series_table(), "label"), NAMES, r"no column 'label' \(label\); its columns: series"),
        ({**series_table(), "label": ["a"] * 30}, None, "label label .int64.; got .*label label .string."),
        ({**series_table(), "series": pa.array([1.0] * 30)}, NAMES, "column 'series' must be an input"),
        (
            {**series_table(), "series": pa.array([[[[1]]]] * 30, pa.list_(pa.list_(pa.list_(pa.uint8()))))},
            NAMES,
            "input series .series.*; got input series .volume.",
        ),
        (
            series_table(),
            {"label": {"names": ["dog", "cat", "eel"], "_type": "ClassLabel"}},
            "in their order: cat, dog",
        ),
    ],
)
def test_files_must_agree(tmp_path: Path, other: dict[str, Any], features: object, message: str) -> None:
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "test.parquet", other, features)
    with pytest.raises(ValueError, match=rf"test\.parquet.*{message}"):
        read_all(tmp_path)


def test_a_file_without_features_follows_the_first(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table())
    write(tmp_path / "test.parquet", {"series": pa.array([[[1.0] * 4] * 2], SERIES), "label": [2]}, None)
    dataset = read_all(tmp_path)
    assert dataset.test is not None and dataset.test.labels().tolist() == [2]
