"""A dataset, divided as a task says: which rows of which part are for what."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trials import splits
from trials.dataset import Dataset, Ints, Part
from trials.reference import Task


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """Some rows of a part, ascending, with the labels and groups of the whole part, which are read once."""

    part: Part
    labels: Ints
    groups: NDArray[np.generic] | None
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
        notes: which parts share groups although groups are not divided where that can be helped.
    """

    learning: Chosen
    train: Chosen
    select: Chosen
    report: Chosen
    test: Chosen
    notes: tuple[str, ...]


def divide(dataset: Dataset, task: Task) -> Division:
    """Official splits where there are any; otherwise by group, or stratified.

    Raises:
        ValueError: labels do not fit the class names, or too few rows are left to divide.
    """
    name, whole = task.name, _whole(dataset.train, dataset)
    labels, groups, left = whole.labels, whole.groups, whole.rows
    official, carved_test = dataset.validation, dataset.test is None
    least = 1 if official is not None or groups is not None else 3
    splits.check_classes(labels, dataset.class_names, least + carved_test, f"training rows of {name}")
    if dataset.test is None:
        leave = 2 if official is None else 1  # validation is carved from what is kept
        left, carved = splits.carve(left, labels, groups, 1, task.split, name, leave=leave)
        test = replace(whole, rows=carved)
    else:
        test = _whole(dataset.test, dataset)
    if official is None:
        kept, held_out = splits.carve(left, labels, groups, 2, task.split, name)
        train, validation = replace(whole, rows=kept), replace(whole, rows=held_out)
        splits.check_classes(labels[kept], dataset.class_names, 1, f"training rows of {name} after the split")
    else:
        train, validation = replace(whole, rows=left), _whole(official, dataset)
    if len(validation) < 2:
        raise ValueError(f"{name} must have at least 2 validation rows, one a half, got {len(validation)}")
    halves = splits.halve(validation.rows, validation.labels, validation.groups, task.split)
    select, report = (replace(validation, rows=rows) for rows in halves)
    notes = _shared_groups({"training": train, "select": select, "report": report, "test": test})
    if task.rows is not None:
        train, select, report = _fewer(train, select, report, task.rows, task)
    return Division(
        learning=train,
        train=replace(train, rows=_fraction(train, dataset, task)),
        select=select,
        report=report,
        test=test,
        notes=notes,
    )


def _shared_groups(parts: dict[str, Chosen]) -> tuple[str, ...]:
    """One sentence for every two parts that have rows of the same groups."""
    held = {}
    for name, chosen in parts.items():
        groups = chosen.groups
        held[name] = set() if groups is None else set(groups[chosen.rows].tolist())
    return tuple(
        f"{len(held[one] & held[other])} of {len(held[other])} groups of {other} rows are also in {one} rows"
        for one, other in itertools.combinations(parts, 2)
        if held[one] & held[other]
    )


def _whole(part: Part, dataset: Dataset) -> Chosen:
    """All rows of a part.

    Raises:
        ValueError: a label is not the position of a class name.
    """
    labels = part.labels()
    if labels.size and not 0 <= labels.min() <= labels.max() < len(dataset.class_names):
        raise ValueError(
            f"labels must be in [0, {len(dataset.class_names)}), the number of class names, "
            f"got {labels.min()} to {labels.max()}"
        )
    return Chosen(part, labels, part.groups(), np.arange(part.size))


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


def _fewer(
    train: Chosen, select: Chosen, report: Chosen, rows: int, task: Task
) -> tuple[Chosen, Chosen, Chosen]:
    """At most so many rows in all; what a part keeps of fewer rows, it keeps of more."""
    parts = train, select, report
    everything = sum(map(len, parts))
    if rows >= everything:
        return parts
    needed = splits.rows_needed([part.labels[part.rows] for part in parts])
    if rows < needed:
        raise ValueError(
            f"rows must be at least {needed} for {task.dataset}, so that every class is in training and in "
            f"both halves of validation, got {rows}; it has {everything} rows to train and validate with"
        )
    counts = splits.share_rows(rows, *map(len, parts))
    train, select, report = (
        replace(part, rows=splits.subset(part.rows, part.labels, count, 1, task.split))
        for part, count in zip(parts, counts)
    )
    return train, select, report
