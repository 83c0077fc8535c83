"""Finalists at other sampling rates than they were trained at, without retraining."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nas.efficiency.plan import Plan
from trials.record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherRate:
    """A space's finalists at one rate, over that of training.

    Attributes:
        n: finalists that were looked at there; `without` could not be, for `reason` (of the first).
        error, sd: report error there, mean and standard deviation over them; sd None for one.
        as_trained: mean report error of the same finalists at their own rate.
    """

    space: str
    rate: float
    n: int
    without: int
    reason: str
    error: float | None
    sd: float | None
    as_trained: float | None


def other_rates_of(records: Sequence[TrialRecord], plan: Plan) -> tuple[OtherRate, ...]:
    """Every space and rate that finalists were looked at, in the plan's order, rates rising.

    Kernels that are functions of position are sampled on the other grid; discrete kernels stay as they are.
    """
    found = []
    for space in (plan.single, *plan.searched, *plan.defaults):
        ours = [record for record in records if record.trial.study.space == space]
        finalists = [record for record in ours if record.trial.study.kind == "finalist" and record.at_rates]
        for rate in sorted({each.rate for record in finalists for each in record.at_rates}):
            looks = [(r, each) for r in finalists for each in r.at_rates if each.rate == rate]
            seen = [(r.report_error, each.error) for r, each in looks if each.error is not None]
            errors = [error for _, error in seen]
            found.append(
                OtherRate(
                    space=space,
                    rate=rate,
                    n=len(seen),
                    without=len(looks) - len(seen),
                    reason=next((each.reason for _, each in looks if each.error is None), ""),
                    error=statistics.fmean(errors) if errors else None,
                    sd=statistics.stdev(errors) if len(errors) > 1 else None,
                    as_trained=statistics.fmean(e for e, _ in seen) if seen else None,
                )
            )
    return tuple(found)
