"""A dataset, divided as a task says: which rows of which part are for what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trials import splits
from trials.dataset import Dataset, Ints, Part
from trials.reference import Task


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """Some rows of a part, ascending, with the labels of the whole part."""

    part: Part
    labels: Ints
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Division:
    """Training and validation rows, the same part or two.

    Attributes:
        learning: what training rows are taken from, before `Task.fraction`.
        train: of these, the rows to fit weights to.
        select, report: halves of the validation rows.
        test: the official rows, or what was carved; whole whatever the task's size is.
    """

    learning: Chosen
    train: Chosen
    select: Chosen
    report: Chosen
    test: Chosen


def divide(dataset: Dataset, task: Task) -> Division:
    """Official splits where there are any; otherwise by group, or stratified.

    Raises:
        ValueError: labels do not fit the class names, or too few rows are left to divide.
    """
    name = task.name
    labels = _checked_labels(dataset.train, dataset)
    official, carved_test = dataset.validation, dataset.test is None
    least = 1 if official is not None or dataset.train.groups() is not None else 3
    splits.check_classes(labels, dataset.class_names, least + carved_test, f"training rows of {name}")
    if dataset.test is None:
        everything = np.arange(dataset.train.size)
        left, carved = splits.carve(everything, labels, dataset.train.groups(), 1, task.split, name)
        test = Chosen(dataset.train, labels, carved)
    else:
        left = np.arange(dataset.train.size)
        test = Chosen(dataset.test, _checked_labels(dataset.test, dataset), np.arange(dataset.test.size))
    if official is None:
        kept, held_out = splits.carve(left, labels, dataset.train.groups(), 2, task.split, name)
        train, validation = Chosen(dataset.train, labels, kept), Chosen(dataset.train, labels, held_out)
        splits.check_classes(labels[kept], dataset.class_names, 1, f"training rows of {name} after the split")
    else:
        train = Chosen(dataset.train, labels, left)
        validation = Chosen(official, _checked_labels(official, dataset), np.arange(official.size))
    if len(validation) < 2:
        raise ValueError(f"{name} must have at least 2 validation rows, one a half, got {len(validation)}")
    if task.rows is not None:
        train, validation = _fewer(train, validation, task.rows, task)
    select, report = splits.halve(validation.rows, validation.labels, validation.part.groups(), task.split)
    return Division(
        learning=train,
        train=replace(train, rows=_fraction(train, dataset, task)),
        select=replace(validation, rows=select),
        report=replace(validation, rows=report),
        test=test,
    )


def _checked_labels(part: Part, dataset: Dataset) -> Ints:
    """Labels of a part.

    Raises:
        ValueError: one is not the position of a class name.
    """
    labels = part.labels()
    if labels.size and not 0 <= labels.min() <= labels.max() < len(dataset.class_names):
        raise ValueError(
            f"labels must be in [0, {len(dataset.class_names)}), the number of class names, "
            f"got {labels.min()} to {labels.max()}"
        )
    return labels


def _fraction(train: Chosen, dataset: Dataset, task: Task) -> Ints:
    if task.fraction == 1:
        return train.rows
    classes, count = len(dataset.class_names), round(task.fraction * len(train))
    if count < classes:
        raise ValueError(
            f"fraction must leave a training row of each of {classes} classes, {task.fraction:g} of "
            f"{len(train)} rows leaves {count}; use at least {classes / len(train):.2g}"
        )
    return splits.subset(train.rows, train.labels, count, 1, task.split)


def _fewer(train: Chosen, validation: Chosen, rows: int, task: Task) -> tuple[Chosen, Chosen]:
    everything = len(train) + len(validation)
    needed = splits.rows_needed(
        ((train.labels[train.rows], 1), (validation.labels[validation.rows], 2)),
    )
    if rows >= everything:
        return train, validation
    if rows < needed:
        raise ValueError(
            f"rows must be at least {needed} for {task.dataset}, so that every class is in training and in "
            f"both halves of validation, got {rows}; it has {everything} rows to train and validate with"
        )
    ours, theirs = splits.share_rows(train.rows, validation.rows, rows)
    return (
        replace(train, rows=splits.subset(train.rows, train.labels, ours, 1, task.split)),
        replace(validation, rows=splits.subset(validation.rows, validation.labels, theirs, 2, task.split)),
    )
