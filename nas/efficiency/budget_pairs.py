"""The two budgets at about equal cost: B or 4B of one space beside B or 4B of the single design."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nas.efficiency.budgets import trained_at_both
from nas.efficiency.estimate import Estimate, Unit, apart, estimate
from nas.efficiency.level import report_difference
from nas.efficiency.words import label, signed
from trials.record import TrialRecord

Length = Literal["B", "4B"]
NEAR = 1.5
"""Ratio of two costs up to which they are called about equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetPair:
    """A space and the single design at the budgets whose costs of a training are nearest.

    Attributes:
        length, single_length: whose trainings are compared.
        ratio: mean cost of a training, the space's over the single design's; 1 / `NEAR` to `NEAR`.
        trainings, single_trainings: that ended, n of the means.
        difference: mean report error of the space's random designs (of a fixed design: over its seeds) minus
            the single design's (Welch); without two trainings that ended on either side value only.
    """

    space: str
    unit: Unit
    length: Length
    single_length: Length
    ratio: float
    trainings: int
    single_trainings: int
    difference: Estimate


def budget_pairs_of(
    of_space: Mapping[str, Sequence[TrialRecord]], single: str, fixed: Sequence[str], *, one_device: bool
) -> tuple[BudgetPair, ...]:
    """Every space with long trials that has a pair of about equal cost, in device-seconds where it can be.

    Of the four pairs (B or 4B of the space, B or 4B of the single design) the one with the ratio of mean
    costs nearest 1. Costs hold failed trainings; their infinite errors leave the interval open on their side.

    Args:
        of_space: space -> all its records on one task.
        single: the space of the single design.
        fixed: spaces of one design: all seeds count.
        one_device: device-seconds can be compared; else multiply-adds are.
    """
    both = {space: trained_at_both(records, space in fixed) for space, records in of_space.items()}
    unit: Unit = "device-seconds" if one_device else "multiply-adds"
    found = (
        _nearest(space, trials, both[single], unit)
        for space, trials in both.items()
        if space != single and trials[1] and both.get(single, ([], []))[1]
    )
    return tuple(each for each in found if each is not None)


def pair_text(found: BudgetPair, single: str) -> str:
    """The comparison at about equal cost in one sentence."""
    unit = "device-time" if found.unit == "device-seconds" else "multiply-adds"
    start = (
        f"At about equal {unit} of one training (ratio {found.ratio:.2g}): {label(found.space)} at "
        f"{found.length} (n = {found.trainings}) is {signed(found.difference, 'worse', 'better')} than "
        f"{label(single)} at {found.single_length} (n = {found.single_trainings})"
    )
    return f"{start}." if apart(found.difference) else f"{start}: cannot say which is better."


def _nearest(
    space: str,
    ours: tuple[list[TrialRecord], list[TrialRecord]],
    single: tuple[list[TrialRecord], list[TrialRecord]],
    unit: Unit,
) -> BudgetPair | None:
    lengths: tuple[Length, Length] = ("B", "4B")
    pairs = [
        (abs(math.log(a / b)), i, j, a / b)
        for i in (0, 1)
        for j in (0, 1)
        if (a := _cost(ours[i], unit)) and (b := _cost(single[j], unit))
    ]
    if not pairs:
        return None
    off, i, j, ratio = min(pairs)
    if off > math.log(NEAR):
        return None
    counts = [[r.report_error for r in trials if r.status == "completed"] for trials in (ours[i], single[j])]
    interval = report_difference(ours[i], single[j])
    value = sum(counts[0]) / len(counts[0]) - sum(counts[1]) / len(counts[1])
    return BudgetPair(
        space=space,
        unit=unit,
        length=lengths[i],
        single_length=lengths[j],
        ratio=ratio,
        trainings=len(counts[0]),
        single_trainings=len(counts[1]),
        difference=Estimate(value=value, low=None, high=None) if interval is None else estimate(interval),
    )


def _cost(records: Sequence[TrialRecord], unit: Unit) -> float | None:
    """Mean cost of a training that ended, all of its space charged to these; None without one."""
    ended = sum(record.status == "completed" for record in records)
    spent = sum(
        record.seconds if unit == "device-seconds" else float(record.training_multiply_adds)
        for record in records
    )
    return spent / ended if ended else None
