"""Which row goes where: test, train and the two halves of validation.

All choices depend on the seed, the labels and the groups alone, so variants of one dataset share their split.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trials.dataset import Ints

SHARE = 0.2
"""Share of the rows that is carved where there is no official test or validation split."""
EVEN = 0.4
"""Share of the validation rows that the smaller half has at least if halves are of whole groups."""


def carve(
    rows: Ints,
    labels: Ints,
    groups: NDArray[np.generic] | None,
    least: int,
    seed: int,
    name: str,
    *,
    leave: int = 1,
) -> tuple[Ints, Ints]:
    """Some rows in two: (kept, carved). Whole groups where there are groups, else the same share a class.

    Args:
        rows: positions to divide; `labels` and `groups` are indexed by them.
        least: rows of every class that are carved at least (not with groups).
        name: of the task, for messages.
        leave: groups that are kept at least.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        taken = _some_groups(groups[rows], rng, name, leave)
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
    """Two halves: by whole groups if these are then about equal with every class; else with the same classes.

    Where a class is odd, the odd row goes to the smaller half.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        first, second = _halves_of_groups(rows, groups[rows], rng)
        even = min(len(first), len(second)) >= EVEN * len(rows)
        if even and set(labels[first]) == set(labels[second]) == set(labels[rows]):
            return first, second
        rng = np.random.default_rng(seed)
    halves: tuple[list[int], list[int]] = ([], [])
    for members in _classes(labels[rows]):
        order = rng.permutation(members)
        smaller = int(len(halves[0]) > len(halves[1]))
        halves[smaller].extend(order[0::2])
        halves[1 - smaller].extend(order[1::2])
    first_half, second_half = (np.sort(np.array(half, dtype=np.int64)) for half in halves)
    return rows[first_half], rows[second_half]


def _halves_of_groups(rows: Ints, groups: NDArray[np.generic], rng: np.random.Generator) -> tuple[Ints, Ints]:
    names, sizes = np.unique(groups, return_counts=True)
    held = [0, 0]
    side = np.zeros(len(names), dtype=int)
    for group in rng.permutation(len(names)):
        side[group] = int(held[0] > held[1])
        held[side[group]] += int(sizes[group])
    second = side[np.searchsorted(names, groups)] == 1
    return rows[~second], rows[second]


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


def share_rows(total: int, train: int, select: int, report: int) -> tuple[int, int, int]:
    """How many of `total` rows each part gets, in proportion to its size; none gets fewer of more rows."""
    ours = round(total * train / (train + select + report))
    shown = round((total - ours) * report / (select + report))
    return ours, total - ours - shown, shown


def rows_needed(labels: Sequence[Ints]) -> int:
    """The `rows` from which on every class is in training, select and report: labels of these three."""
    sizes = [len(each) for each in labels]
    classes = [len(np.unique(each)) for each in labels]

    def enough(total: int) -> bool:
        counts = share_rows(total, *sizes)
        return all(count >= needed for count, needed in zip(counts, classes))

    return bisect.bisect_left(range(sum(sizes)), True, key=enough)


def _classes(labels: Ints) -> list[Ints]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _some_groups(
    groups: NDArray[np.generic], rng: np.random.Generator, name: str, leave: int
) -> NDArray[np.bool_]:
    """About `SHARE` of the rows: groups are taken while that brings their number closer to it."""
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) <= leave:
        raise ValueError(
            f"rows of {name} must belong to at least {leave + 1} groups to be divided by them, "
            f"got {', '.join(map(str, names))}"
        )
    wanted, held = SHARE * len(groups), 0
    taken: list[int] = []
    for group in rng.permutation(len(names)):
        closer = abs(held + sizes[group] - wanted) < abs(held - wanted)
        if closer and len(taken) < len(names) - leave:
            taken.append(group)
            held += sizes[group]
    return np.isin(groups, names[taken or [int(np.argmin(sizes))]])
