"""Opening a task: typed rows of one dataset. Test rows come through `open_test` and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces.space import TaskShape
from trials.dataset import Floats, Inputs, Ints
from trials.division import Chosen, Division, divide
from trials.finding import TASKS, Progress, find
from trials.reading import Store, check_alike, digest, mean_and_std, read, shape_of, shared
from trials.reference import Task, as_task

__all__ = ["TASKS", "Task", "TaskData", "open_task", "open_test"]

SAFE = {1: ("shift", "noise"), 2: ("crop", "cutout", "noise"), 3: ("crop", "noise")}
"""Augmentations that keep the label of nearly all series, images and volumes."""


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Labelled rows of a task, as decoded (not normalised).

    Attributes:
        store: (n, channels, *extent) decoded rows, shared with other `Rows`: uint8 for value / 255, float32.
        index: int64 (rows,): which of them.
        labels: int64 (rows,), in [0, classes).
        extent: of the task: shorter series are filled up with NaN, longer ones cut.
    """

    store: Inputs
    index: Ints
    labels: Ints
    extent: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> Floats:
        """A copy: float32 (rows, channels, *extent); images and volumes in [0, 1], series in their unit."""
        values = self.store[self.index]
        floats = values.astype(np.float32)
        if values.dtype == np.uint8:
            floats /= np.float32(255)
        short = self.extent[0] - floats.shape[2]
        if len(self.extent) == 1 and short > 0:
            return np.pad(floats, ((0, 0), (0, 0), (0, short)), constant_values=np.nan)
        return floats[:, :, : self.extent[0]]


class TrainRows(Rows):
    """Weights are fitted to these."""

    __slots__ = ()


class SelectRows(Rows):
    """The half of validation by which designs are chosen and trials stopped."""

    __slots__ = ()


class ReportRows(Rows):
    """The half of validation that is shown of a chosen design."""

    __slots__ = ()


class TestRows(Rows):
    """Seen once, by finalists."""

    __slots__ = ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class TaskData:
    """An opened task: what trials are scored on.

    Attributes:
        task: what was asked for.
        shape: extent, channels and classes, and whether series vary in length.
        class_names: label 0 is the first.
        test_rows: size of the test split, counted and not opened.
        mean, std: of each channel over the training rows; std is positive.
        digest: sha256 (hexadecimal) of all rows, labels and class names, those of the test as well.
        augmentations: those that do not change a label here.
        seen_in_test, seen_in_validation: training (for the first also validation) rows that are also there.
        shared_groups: which parts have rows of the same groups, one sentence each.
        origin, licence: of the data, in one line each, if known.
        columns: how columns of files were understood.
    """

    task: Task
    shape: TaskShape
    class_names: tuple[str, ...]
    train: TrainRows
    select: SelectRows
    report: ReportRows
    test_rows: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    augmentations: tuple[str, ...] = ()
    seen_in_test: int = 0
    seen_in_validation: int = 0
    shared_groups: tuple[str, ...] = ()
    origin: str = ""
    licence: str = ""
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In records; its size is part of it."""
        return self.task.name

    @property
    def learning_rows(self) -> int:
        """Rows to train and validate with."""
        return len(self.train) + len(self.select) + len(self.report)

    @property
    def majority_error(self) -> float:
        """Validation error, in [0, 1], of always answering the most frequent training class."""
        answer = np.bincount(self.train.labels).argmax()
        return float(np.mean(np.concatenate((self.select.labels, self.report.labels)) != answer))


def open_task(task: Task | str, progress: Progress | None = None) -> TaskData:
    """Opens a task: train and validation rows. Of test rows only shape, number and hashes are looked at.

    Args:
        task: what to open; a text is parsed, see `Task.parse`.
        progress: told how the first decoding of files gets on.

    Raises:
        ValueError: nothing has this name, the data are broken, or too few rows are left to divide.
    """
    task = as_task(task)
    dataset = find(task, progress)
    division = divide(dataset, task)
    learned, held_out = _stores(division)
    shape = shape_of((learned, held_out), len(dataset.class_names), task.name)
    train = TrainRows(*_within(learned, division.train), shape.extent)
    select = SelectRows(*_within(held_out, division.select), shape.extent)
    report = ReportRows(*_within(held_out, division.report), shape.extent)
    mean, std = mean_and_std(learned.decoded.moments[train.index])
    tested = read(division.test.part, division.test.rows, "test")
    check_alike(shape, tested, learned, task.name)  # now, and not when the finalists are trained
    parts = (
        (learned, train.index, train.labels),
        (held_out, select.index, select.labels),
        (held_out, report.index, report.labels),
        (tested, tested.places(division.test.rows), division.test.labels[division.test.rows]),
    )
    ours, *theirs, unseen = (store.decoded.fingerprints[index] for store, index, _ in parts)
    safe = dataset.keeps if dataset.keeps is not None else SAFE[shape.dimensions]
    return TaskData(
        task=task,
        shape=shape,
        class_names=dataset.class_names,
        train=train,
        select=select,
        report=report,
        test_rows=len(division.test),
        mean=mean,
        std=std,
        digest=digest(task, shape, dataset.class_names, parts),
        augmentations=safe if task.augment is None else task.augment,
        seen_in_test=shared(np.concatenate((ours, *theirs)), unseen),
        seen_in_validation=shared(ours, np.concatenate(theirs)),
        shared_groups=division.notes,
        origin=dataset.origin,
        licence=dataset.licence,
        columns=dataset.columns,
    )


def open_test(task: Task | str) -> TestRows:
    """The test rows of a task: for finalists, once. The only door to them.

    They are whole whatever `rows` and `fraction` say. Series longer than those of training are cut.

    Raises:
        ValueError: as `open_task`; also a test row that does not fit the training rows.
    """
    task = as_task(task)
    dataset = find(task)
    division = divide(dataset, task)
    learned, held_out = _stores(division)
    shape = shape_of((learned, held_out), len(dataset.class_names), task.name)
    tested = read(division.test.part, division.test.rows, "test")
    check_alike(shape, tested, learned, task.name)
    return TestRows(*_within(tested, division.test), shape.extent)


def _stores(division: Division) -> tuple[Store, Store]:
    """Decoded rows to learn from and to validate with: one store if they are of one part."""
    learning, validation = division.learning, np.union1d(division.select.rows, division.report.rows)
    if division.select.part is learning.part:
        both = read(learning.part, np.union1d(learning.rows, validation), "training")
        return both, both
    held_out = read(division.select.part, validation, "validation")
    return read(learning.part, learning.rows, "training"), held_out


def _within(store: Store, chosen: Chosen) -> tuple[Inputs, Ints, Ints]:
    return store.inputs, store.places(chosen.rows), chosen.labels[chosen.rows]
