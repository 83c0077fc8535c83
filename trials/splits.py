"""Which row goes where: test, train and the two halves of validation.

All choices depend on the seed, the labels and the groups alone, so variants of one dataset share their split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trials.dataset import Ints

SHARE = 0.2
"""Share of the rows that is carved where there is no official test or validation split."""


def carve(
    rows: Ints, labels: Ints, groups: NDArray[np.generic] | None, least: int, seed: int, name: str
) -> tuple[Ints, Ints]:
    """Some rows in two: (kept, carved). Whole groups where there are groups, else the same share a class.

    Args:
        rows: positions to divide; `labels` and `groups` are indexed by them.
        least: rows of every class that are carved at least (not with groups).
        name: of the task, for messages.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        taken = _some_groups(groups[rows], rng, name)
    else:
        taken = np.zeros(len(rows), dtype=bool)
        for members in _classes(labels[rows]):
            count = max(least, round(SHARE * len(members)))
            taken[rng.permutation(members)[:count]] = True
    return rows[~taken], rows[taken]


def subset(rows: Ints, labels: Ints, count: int, least: int, seed: int) -> Ints:
    """`count` of the rows, classes in the proportions they have, `least` of each class before all else.

    Smaller subsets lie within larger ones.
    """
    rng = np.random.default_rng(seed)
    turn = np.empty(len(rows))
    for members in _classes(labels[rows]):
        own = (np.arange(len(members)) + 0.5) / len(members)
        own[:least] = 0
        turn[rng.permutation(members)] = own
    return np.sort(rows[np.argsort(turn, kind="stable")[:count]])


def halve(rows: Ints, labels: Ints, groups: NDArray[np.generic] | None, seed: int) -> tuple[Ints, Ints]:
    """Two halves with the same classes; where a class is odd, the odd row goes to the smaller half.

    Of whole groups where that leaves halves of one size with the same classes, as groups of one size do.
    """
    units = np.arange(len(rows)) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    _, first = np.unique(units, return_index=True)
    rng = np.random.default_rng(seed)
    halves: tuple[list[int], list[int]] = ([], [])
    for members in _classes(labels[rows][first]):  # of a group's first row
        order = rng.permutation(members)
        smaller = int(len(halves[0]) > len(halves[1]))
        halves[smaller].extend(order[0::2])
        halves[1 - smaller].extend(order[1::2])
    taken = np.isin(units, halves[0])
    select, report = rows[taken], rows[~taken]
    alike = abs(len(select) - len(report)) <= 1 and set(labels[select]) == set(labels[report])
    return (select, report) if groups is None or alike else halve(rows, labels, None, seed)


def check_classes(labels: Ints, names: Sequence[str], least: int, what: str) -> None:
    """Refuses a dataset with one class, or with too few rows of a class to divide.

    Raises:
        ValueError: fewer than two classes have rows, or one has fewer than `least`.
    """
    counts = np.bincount(labels, minlength=len(names))
    if np.count_nonzero(counts) < 2:
        held = ", ".join(repr(name) for name, count in zip(names, counts) if count) or "none"
        raise ValueError(
            f"{what} must hold at least two classes, got {held}; nothing can be learned from one"
        )
    for name, count in zip(names, counts):
        if count < least:
            raise ValueError(
                f"{what}: class {name!r} has {count} rows, too few to divide: it needs at least {least}; "
                "add rows or leave the class out"
            )


def share_rows(train: Ints, validation: Ints, total: int) -> tuple[int, int]:
    """How many of `total` rows each part gets, in proportion to its size."""
    ours = round(total * len(train) / (len(train) + len(validation)))
    return ours, total - ours


def rows_needed(parts: Sequence[tuple[Ints, int]]) -> int:
    """The `rows` from which on every class keeps enough of them in every part: ``(labels, at least)``."""
    everything = sum(len(labels) for labels, _ in parts)
    needed = 2
    for labels, least in parts:
        first = sum(min(least, len(members)) for members in _classes(labels))
        needed = max(needed, math.floor((first - 0.5) * everything / len(labels)) + 1)  # shares are rounded
    return min(needed, everything)


def _classes(labels: Ints) -> list[Ints]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _some_groups(groups: NDArray[np.generic], rng: np.random.Generator, name: str) -> NDArray[np.bool_]:
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise ValueError(
            f"rows of {name} must belong to at least two groups to be divided by them, all are in {names[0]}"
        )
    order = rng.permutation(len(names))
    held = np.cumsum(sizes[order])
    count = int(np.argmin(np.abs(held[:-1] - SHARE * len(groups)))) + 1
    return np.isin(groups, names[order[:count]])
