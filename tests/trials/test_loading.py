"""Batches are the rows, normalised, wherever they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.space import TaskShape
from trials.dataset import Inputs
from trials.evaluation import BATCH
from trials.loading import Loader
from trials.reference import Task
from trials.task import Rows, SelectRows, TaskData, TrainRows, open_task

CPU = torch.device("cpu")
needs_accelerator = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")


def task_of(store: Inputs, extent: tuple[int, ...], index: list[int]) -> TaskData:
    """A task whose training rows are some of a store; the second channel has a scale of its own."""
    channels = store.shape[1]
    chosen = np.array(index)
    rows = TrainRows(store, chosen, chosen % 3, extent)
    return TaskData(
        task=Task(source="made"),
        shape=TaskShape(extent=extent, channels=channels, classes=3),
        class_names=("a", "b", "c"),
        train=rows,
        select=SelectRows(store, chosen, chosen % 3, extent),
        report=rows,
        test_rows=0,
        mean=tuple(0.1 * (i + 1) for i in range(channels)),
        std=tuple(0.3 * (i + 1) for i in range(channels)),
        digest="",
    )


def normalised(rows: Rows, task: TaskData) -> torch.Tensor:
    """All rows at once, as the docstring of `Rows.inputs` has them."""
    shape = (1, -1, *(1 for _ in rows.extent))
    mean, std = (torch.tensor(each).view(shape) for each in (task.mean, task.std))
    return (torch.from_numpy(rows.inputs) - mean) / std


def joined(loader: Loader, order: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, labels = zip(*loader.batches(order, size))
    return torch.cat(inputs), torch.cat(labels)


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 2, 5, 7), dtype=np.uint8)


def series(length: int) -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((40, 2, length), dtype=np.float32)
    for row in range(0, 40, 3):
        values[row, :, length - 1 - row % 4 :] = np.nan
    return values


@pytest.mark.parametrize(
    ("store", "extent"),
    [(images(), (5, 7)), (series(9), (9,)), (series(9), (12,)), (series(9), (6,))],
    ids=["images", "series", "shorter series", "longer series"],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_batches_are_the_rows_to_the_bit(
    tmp_path: Path, store: Inputs, extent: tuple[int, ...], mapped: bool
) -> None:
    if mapped:
        np.save(tmp_path / "store.npy", store)
        store = np.load(tmp_path / "store.npy", mmap_mode="r")
    index = [5, 0, 17, 39, 3, 3, 8]
    task = task_of(store, extent, index)
    order = torch.tensor([6, 0, 3, 1, 1, 2])
    inputs, labels = joined(Loader(task.train, task, CPU), order, 4)
    assert inputs.dtype == torch.float32 and inputs.shape == (6, 2, *extent)
    assert torch.equal(inputs.nan_to_num(99), normalised(task.train, task)[order].nan_to_num(99))
    assert labels.tolist() == [index[place] % 3 for place in order.tolist()]


def test_the_last_batch_is_smaller_and_rows_come_in_order() -> None:
    task = task_of(images(), (5, 7), list(range(10)))
    loader = Loader(task.train, task, CPU)
    assert len(loader) == 10
    assert [len(labels) for _, labels in loader.in_order(4)] == [4, 4, 2]
    everything = torch.cat([inputs for inputs, _ in loader.in_order(4)])
    assert torch.equal(everything, normalised(task.train, task))


def test_a_store_is_left_as_it_is() -> None:
    store = series(9)
    before = store.copy()
    task = task_of(store, (9,), list(range(40)))
    for inputs, _ in Loader(task.train, task, CPU).in_order(BATCH):
        inputs += 1
    assert np.array_equal(store, before, equal_nan=True)


def test_training_rows_have_mean_0_and_std_1() -> None:
    task = open_task("digits")
    inputs, _ = joined(Loader(task.train, task, CPU), torch.arange(len(task.train)), 64)
    assert abs(float(inputs.mean())) < 1e-4 and float(inputs.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.gpu
@needs_accelerator
@pytest.mark.parametrize("device_share", [1.0, 1e-12], ids=["resident", "prefetched"])
@pytest.mark.parametrize(("store", "extent"), [(images(), (5, 7)), (series(9), (12,))])
def test_an_accelerator_gets_the_same_batches(
    store: Inputs, extent: tuple[int, ...], device_share: float
) -> None:
    task = task_of(store, extent, list(range(40)))
    order = torch.randperm(40)
    ours, labels = joined(Loader(task.train, task, torch.device("cuda"), device_share), order, 8)
    theirs, wanted = joined(Loader(task.train, task, CPU), order, 8)
    assert ours.is_cuda and torch.equal(labels.cpu(), wanted)
    assert torch.equal(ours.cpu().nan_to_num(99), theirs.nan_to_num(99))
