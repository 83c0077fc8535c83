"""Real datasets open as their manifest says. They are not part of the product: skipped where absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trials import task

DATA = Path(__file__).parents[3] / "shared" / "data"
ROWS = {"omniglot_small": 2400}  # 242 classes
NAMES = (
    "acsf1",
    "adrenalmnist3d_32",
    "cifar10_jpeg",
    "fashion_mnist",
    "mnist",
    "omniglot_small",
    "osuleaf",
    "pneumoniamnist",
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_opens_as_the_manifest_says(name: str) -> None:
    entry = json.loads((DATA / "MANIFEST.json").read_text())["datasets"][name]
    rows = ROWS.get(name, 100)
    opened = task.open_task(f"{DATA / name}@rows={rows}" if rows else str(DATA / name))
    assert opened.name == f"{name}@rows={rows}"
    assert [opened.shape.channels, *opened.shape.extent] == entry["shape"]
    assert opened.shape.classes == entry["classes"]
    if isinstance(entry["class_names"], list):
        assert list(opened.class_names) == entry["class_names"]
    assert len(opened.train) + len(opened.select) + len(opened.report) == rows
    counted = {path.split("/")[1].split("-")[0]: each["rows"] for path, each in entry["files"].items()}
    assert opened.test_rows == counted["test"]
    assert np.isfinite(opened.train.inputs).all()
    assert len(np.unique(opened.train.labels)) == entry["classes"]


@needs_data
@pytest.mark.parametrize("name", ["acsf1", "osuleaf", "pneumoniamnist", "adrenalmnist3d_32"])
def test_opens_whole_with_its_official_splits(name: str) -> None:
    entry = json.loads((DATA / "MANIFEST.json").read_text())["datasets"][name]
    counted = {path.split("/")[1].split("-")[0]: each["rows"] for path, each in entry["files"].items()}
    opened, test = task.open_task(str(DATA / name)), task.open_test(str(DATA / name))
    validation = len(opened.select) + len(opened.report)
    assert len(opened.train) + validation == counted["train"] + counted.get("validation", 0)
    if "validation" in counted:
        assert validation == counted["validation"]
    assert len(test) == counted["test"]
    assert test.inputs.shape[1:] == opened.train.inputs.shape[1:]


@needs_data
@pytest.mark.parametrize(
    ("name", "rows", "longest"), [("free_spoken_digit", 150, None), ("japanese_vowels", None, 26)]
)
def test_series_of_variable_length_open(name: str, rows: int | None, longest: int | None) -> None:
    entry = json.loads((DATA / "MANIFEST.json").read_text())["datasets"][name]
    opened = task.open_task(str(DATA / name) if rows is None else f"{DATA / name}@rows={rows}")
    assert opened.shape.channels == entry["shape"][0] and opened.shape.variable
    assert list(opened.class_names) == entry["class_names"]
    least, most = (int(each) for each in entry["shape"][1].split(" ")[0].split(".."))
    lengths = (~np.isnan(opened.train.inputs[:, 0])).sum(axis=1)
    assert least <= lengths.min() < lengths.max() <= most
    assert longest is None or opened.shape.extent == (longest,)
