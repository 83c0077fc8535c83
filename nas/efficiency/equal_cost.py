"""Regret at equal cost: what the trials of a space reach for the cost of k trainings of the single design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.efficiency.chance import Noise
from nas.efficiency.estimate import Estimate, Unit, estimate
from nas.efficiency.estimators import (
    Interval,
    Moments,
    at_most_one,
    cautious,
    census_deviation,
    expected_best,
    jackknife_best,
    moments,
)
from nas.efficiency.halves import ReportErrors, SelectErrors, report_errors, select_errors
from nas.efficiency.selection import Population
from trials.record import TrialRecord

TRAININGS = (1, 2, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class EqualCost:
    """k trainings of the single design against the n designs that they pay for.

    Attributes:
        n: ``floor(k c_f / mean cost of a trial)``, failed trials charged on both sides.
        single, best: expected report error of the best (by select error) of k seeds, and of n designs.
        gain: single - best; positive: the space is better at this cost. Without bounds where k is more than
            half the seeds.
        reason: why `gain` is not given, else empty.
    """

    trainings: int
    n: int
    unit: Unit
    single: float | None
    best: float | None
    gain: Estimate | None
    reason: str


def equal_cost_of(
    population: Population, single: Sequence[TrialRecord], noise: Noise | None, *, one_device: bool
) -> tuple[EqualCost, ...]:
    """The comparison at the cost of 1, 2 and 4 trainings.

    Both sides are `expected_best` with jackknife standard errors (one training: mean and its standard error;
    a failed one counts as an error of 1, here as there),
    their difference by `cautious`. Where k is more than half the seeds the jackknife is far too narrow: the
    difference has no interval then.

    Args:
        noise: of a census, whose designs are all here; else None.
    """
    ended = [record for record in single if record.status == "completed"]
    if not ended or not population.trials:
        return ()
    unit: Unit = "device-seconds" if one_device else "multiply-adds"
    name = "seconds" if one_device else "training_multiply_adds"
    own = sum(getattr(record, name) for record in single) / len(ended)
    trial = float(np.mean([getattr(record, name) for record in population.first]))
    if own <= 0 or trial <= 0:
        return ()
    return tuple(
        _at(k, math.floor(k * own / trial + 1e-9), unit, population, single, noise) for k in TRAININGS
    )


def _at(
    k: int, n: int, unit: Unit, population: Population, single: Sequence[TrialRecord], noise: Noise | None
) -> EqualCost:
    count = len(population.trials)
    reason = ""
    if n < 1:
        reason = "a trial costs more"
    elif n > (count if noise else count // 5):
        reason = f"n is more than {'N' if noise else 'N/5'}, N = {count}"
    elif len(single) < max(k, 2):
        reason = f"needs {max(k, 2)} seeds, {len(single)} are there"
    ours = theirs = None
    gain: Estimate | None = None
    if not reason:
        ours = _best_seed(single, k, 1 / population.rows_report)
        theirs = _best_design(population, n, noise)
        gain = estimate(_difference(ours, theirs))
    known = [each.mean if each else None for each in (ours, theirs)]
    return EqualCost(trainings=k, n=n, unit=unit, single=known[0], best=known[1], gain=gain, reason=reason)


def _best_seed(single: Sequence[TrialRecord], k: int, row: float) -> Moments:
    select, report = select_errors(single), report_errors(single)
    if k == 1:
        return moments(at_most_one(report), row)
    if 2 * k > len(single):
        return Moments(float(expected_best(select, report, [k])[0]), math.inf, 1.0)
    return _jackknife(select, report, k)


def _best_design(population: Population, n: int, noise: Noise | None) -> Moments:
    select, report = population.select_errors(), population.report_errors()
    if noise is None:
        return _jackknife(select, report, n)
    (value,) = expected_best(select, report, [n])
    (deviation,) = census_deviation(len(select), [n], math.sqrt(noise.variance))
    return Moments(float(value), float(deviation), float(noise.freedom))


def _jackknife(select: SelectErrors, report: ReportErrors, n: int) -> Moments:
    (value,), (deviation,), (freedom,) = jackknife_best(select, report, [n])
    return Moments(float(value), float(deviation), float(freedom))


def _difference(ours: Moments, theirs: Moments) -> Interval:
    """Without the standard error of a side the interval is open."""
    if math.isfinite(ours.standard_error + theirs.standard_error):
        return cautious(ours, theirs)
    return Interval(ours.mean - theirs.mean, -math.inf, math.inf)
