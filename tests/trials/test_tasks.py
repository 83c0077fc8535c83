"""The contract of every task that ships and of real datasets: what opens, and that it can be learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trials.examples import trial
from trials.finding import TASKS
from trials.task import open_task, open_test
from trials.training import run_trial

DATA = Path(__file__).parents[3] / "shared" / "data"

LEARNED = {
    "digits": ("", "twin_3x3", 5, 0.5),
    "digits_sequence": ("", "tcn_standard", 5, 0.5),
    "mnist5k": ("@rows=1500,resolution=14", "twin_3x3", 5, 0.5),
    "mnist5k_sequence": ("@rows=1000,rate=0.25", "tcn_standard", 4, 0.3),
    "mnist5k_permuted": ("@rows=1500", "twin_7x7", 5, 0.2),
    "osuleaf": ("@rate=0.5", "tcn_standard", 20, 0.1),
    "acsf1": ("@rate=0.25", "tcn_standard", 20, 0.1),
    "japanese_vowels": ("", "tcn_standard", 10, 0.5),
    "order_sequence": ("@rows=1000", "tcn_standard", 3, 0.3),
    "order_sequence_near": ("@rows=1000", "tcn_standard", 3, 0.3),
    "order_image": ("", "twin_7x7", 8, 0.3),
    "pattern_sequence": ("@rows=1000", "twin_3x3", 5, 0.3),
    "pattern_image": ("@rows=1000", "twin_3x3", 5, 0.3),
    "adding": ("@rows=1000", "twin_3x3", 5, 0.2),
}
"""Sizes, space, epochs, and by how much its design must then beat the majority class on validation rows."""
REAL = {
    "acsf1": ("@rate=0.25", "tcn_standard", 20, 0.1),
    "adrenalmnist3d_32": ("@rows=400,resolution=12", "twin_3x3", 5, 0.0),
    "cifar10_jpeg": ("@rows=2000,resolution=16", "twin_3x3", 5, 0.15),
    "fashion_mnist": ("@rows=1500,resolution=14", "twin_3x3", 5, 0.4),
    "free_spoken_digit": ("@rows=600,rate=1000", "resnet_20", 5, 0.1),
    "japanese_vowels": ("", "tcn_standard", 10, 0.5),
    "mnist": ("@rows=1500,resolution=14", "twin_3x3", 5, 0.5),
    "omniglot_small": ("@resolution=14", "twin_3x3", 3, 0.02),
    "osuleaf": ("@rate=0.5", "tcn_standard", 20, 0.1),
    "pneumoniamnist": ("@rows=1000,resolution=14", "twin_3x3", 5, 0.05),
}


def entries() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "MANIFEST.json").read_text())["datasets"]
    return found


EVERY = [
    *(pytest.param(name, name, id=name) for name in TASKS),
    *(
        pytest.param(
            str(DATA / name),
            name,
            id=f"real-{name}",
            marks=pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository"),
        )
        for name in REAL
    ),
]


def sized(source: str, name: str) -> str:
    return source + (LEARNED if source == name else REAL)[name][0]


@pytest.mark.parametrize(("source", "name"), EVERY)
def test_what_every_task_promises(source: str, name: str) -> None:
    text = sized(source, name)
    data, test = open_task(text), open_test(text)
    shape = data.shape
    assert data.name == name + text.removeprefix(source)
    assert len(test) == data.test_rows > 0 and len(data.class_names) == shape.classes >= 2
    for part in (data.train, data.select, data.report, test):
        inputs = part.inputs
        assert inputs.dtype == np.float32 and part.labels.dtype == np.int64
        assert (
            inputs.shape == (len(part), shape.channels, *shape.extent) and part.labels.max() < shape.classes
        )
        here = ~np.isnan(inputs)
        assert here[:, :, 0].all() and (here.all() or shape.variable)
        if shape.dimensions > 1 and not name.startswith(("order", "pattern")):
            assert inputs.min() >= 0 and inputs.max() <= 1
    first = data.train.inputs[:, 0]
    assert data.mean[0] == pytest.approx(np.nanmean(first), abs=1e-3 * float(np.nanstd(first)))
    assert data.std[0] == pytest.approx(np.nanstd(first), rel=1e-3)
    assert set(data.train.labels) == set(range(shape.classes))  # every class can be learned
    held_out = np.bincount(np.concatenate((data.select.labels, data.report.labels)), minlength=shape.classes)
    halves = len(data.select), len(data.report)
    assert held_out.min() >= 1 and min(halves) >= 0.3 * sum(halves)  # whole groups may be uneven


@pytest.mark.parametrize(("source", "name"), EVERY)
def test_parts_are_disjoint_and_the_same_every_time(source: str, name: str) -> None:
    text = sized(source, name)
    first, second = open_task(text), open_task(text)
    assert (first.digest, first.mean, first.std) == (second.digest, second.mean, second.std)
    one_part = first.train.store is first.select.store
    indices = [first.select.index, first.report.index, *([first.train.index] if one_part else [])]
    together = np.concatenate(indices)
    assert len(np.unique(together)) == len(together)
    other = open_task(f"{text}{',' if '@' in text else '@'}split=1")
    assert other.digest != first.digest and other.test_rows == first.test_rows


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
@pytest.mark.parametrize("name", REAL)
def test_counts_are_those_of_the_manifest(name: str) -> None:
    entry = entries()[name]
    small = {
        "cifar10_jpeg": "@resolution=4",
        "omniglot_small": "@resolution=8",
        "free_spoken_digit": "@rate=500",
    }
    data = open_task(f"{DATA / name}{small.get(name, '')}")
    counted = {path.split("/")[1].split("-")[0]: each["rows"] for path, each in entry["files"].items()}
    validation = len(data.select) + len(data.report)
    assert len(data.train) + validation == counted["train"] + counted.get("validation", 0)
    assert validation == counted.get("validation", validation) and data.test_rows == counted["test"]
    assert data.shape.channels == entry["shape"][0] and data.shape.classes == entry["classes"]
    if isinstance(entry["class_names"], list):
        assert list(data.class_names) == entry["class_names"]
    if all(type(n) is int for n in entry["shape"]) and name not in small:
        assert [data.shape.channels, *data.shape.extent] == entry["shape"]
    if name in ("free_spoken_digit", "japanese_vowels"):
        assert data.shape.variable


@pytest.mark.slow
@pytest.mark.parametrize(("source", "name"), EVERY)
def test_a_small_network_beats_the_majority_class(source: str, name: str) -> None:
    _, space, epochs, margin = (LEARNED if source == name else REAL)[name]
    data = open_task(sized(source, name))
    record = run_trial(trial(data, space, epochs=epochs), data)
    assert record is not None and record.status == "completed", record
    print(f"{data.name}: {record.error:.3f}, majority {data.majority_error:.3f}, {record.seconds:.0f} s")
    assert record.error < data.majority_error - margin
