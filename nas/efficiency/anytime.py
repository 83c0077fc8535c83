"""Searches over time: best select error so far over seeds, and the time to fixed targets as survival data.

Trials of a search are adaptive: nothing here is a statement about the space's distribution.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from nas.efficiency.estimate import Estimate, Unit
from nas.efficiency.estimators import LEVEL, Floats
from trials.record import TrialRecord

FEWEST = 6
"""Searches below which a median has no interval: the chance that all lie on one side is above 0.025."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quartiles:
    """Best select error so far at one cost: quartiles over searches; None is infinite."""

    cost: float
    lower: float | None
    median: float | None
    upper: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeTo:
    """Cost until a search reached a target: Kaplan-Meier over the searches of a space.

    Attributes:
        name: of the target: ``f`` (the single design's mean select error) or ``f + margin``.
        target: the select error to reach.
        reached: of `searches` so many did; the others are censored at their whole cost.
        median: over searches; `value` None: half of them did not reach it within `known`; an absent bound is
            unknown, and both are below `FEWEST` searches.
        known: the largest cost seen.
    """

    name: str
    target: float
    searches: int
    reached: int
    median: Estimate
    known: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Anytime:
    """All searches of a space on a task, in one unit of cost.

    `quartiles`: a step function, one entry per change, up to `until`, the whole cost of the cheapest search.
    """

    space: str
    unit: Unit
    searches: int
    quartiles: tuple[Quartiles, ...]
    until: float
    times: tuple[TimeTo, ...]


def anytime_of(
    records: Sequence[TrialRecord], target: float | None, margin: float | None, *, one_device: bool
) -> tuple[Anytime, ...]:
    """Every searched space, in device-seconds (only where `one_device`) and in multiply-adds.

    Args:
        records: of one task, any kind: trials of searches count, in the order they finished. All cost; only
            completed ones can be selected and lower the best error so far.
        target, margin: f on the select half, and what is added to it; None: no times.
        one_device: one device model and share for all of them.
    """
    searches: dict[str, dict[int, list[TrialRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda each: (each.finished, each.trial.number)):
        if record.trial.study.kind == "search":
            searches[record.trial.study.space][record.trial.study.seed].append(record)
    units: tuple[Unit, ...] = ("device-seconds", "multiply-adds") if one_device else ("multiply-adds",)
    return tuple(
        _anytime(space, unit, list(by_seed.values()), target, margin)
        for space, by_seed in sorted(searches.items())
        for unit in units
    )


def _anytime(
    space: str,
    unit: Unit,
    searches: Sequence[Sequence[TrialRecord]],
    target: float | None,
    margin: float | None,
) -> Anytime:
    spent = [np.cumsum([_cost(record, unit) for record in trials]) for trials in searches]
    best = [
        np.minimum.accumulate([r.select_error if r.status == "completed" else math.inf for r in trials])
        for trials in searches
    ]
    targets = [("f", target)] if target is not None else []
    targets += [("f + margin", target + margin)] if target is not None and margin is not None else []
    return Anytime(
        space=space,
        unit=unit,
        searches=len(searches),
        quartiles=quartiles_over_time(spent, best),
        until=min(float(costs[-1]) for costs in spent),
        times=tuple(_time_to(name, level, spent, best) for name, level in targets),
    )


def _cost(record: TrialRecord, unit: Unit) -> float:
    return record.seconds if unit == "device-seconds" else float(record.training_multiply_adds)


def quartiles_over_time(spent: Sequence[Floats], best: Sequence[Floats]) -> tuple[Quartiles, ...]:
    """Quartiles over searches of the best error so far, at every cost at which one of them changes.

    Each search is a step function of its cost, infinite until its first completed trial. At a cost x the
    quartiles are those of the searches' values at x (averages at jumps of the distribution, definition 2 of
    Hyndman and Fan 1996), so infinite where too few have a value. No further than the cheapest search went.

    Args:
        spent: of each search the cost after each of its trials, rising.
        best: of each search the lowest error so far at these costs.
    """
    end = min(float(costs[-1]) for costs in spent)
    grid = np.unique(np.concatenate([costs[costs <= end] for costs in spent]))
    values = np.stack(
        [
            np.concatenate(([math.inf], errors))[np.searchsorted(costs, grid, side="right")]
            for costs, errors in zip(spent, best)
        ]
    )
    values.sort(axis=0)
    rows = [_quantile(values, share) for share in (0.25, 0.5, 0.75)]
    found: list[Quartiles] = []
    for cost, *at in zip(grid, *rows):
        low, middle, high = (float(each) if math.isfinite(each) else None for each in at)
        new = Quartiles(cost=float(cost), lower=low, median=middle, upper=high)
        if low is not None and (not found or replace(new, cost=found[-1].cost) != found[-1]):
            found.append(new)
    return tuple(found)


def _quantile(values: Floats, share: float) -> Floats:
    """Of sorted values along axis 0; the mean of two neighbours where `share` falls between them."""
    place = len(values) * share
    above = math.floor(place)
    below = above - 1 if place == above else above
    mean: Floats = (values[below] + values[above]) / 2
    return mean


def _time_to(name: str, target: float, spent: Sequence[Floats], best: Sequence[Floats]) -> TimeTo:
    reached = [costs[errors <= target] for costs, errors in zip(spent, best)]
    events = np.array([costs[0] for costs in reached if len(costs)])
    censored = np.array([costs[-1] for costs, hits in zip(spent, reached) if not len(hits)])
    return TimeTo(
        name=name,
        target=target,
        searches=len(spent),
        reached=len(events),
        median=median_time(events, censored),
        known=float(max(costs[-1] for costs in spent)),
    )


def median_time(events: Floats, censored: Floats) -> Estimate:
    """Median time to an event with its 95 % interval; times that only bound it from below are censored.

    Kaplan and Meier (1958): S(t) = prod over event times t_i <= t of (1 - d_i / n_i), d_i events among n_i
    still at risk; the median is the first t with S(t) <= 1/2. Interval of Brookmeyer and Crowley (1982): the
    times at which 1/2 lies in the interval of S(t), by log(-log S) and Greenwood's variance. Below `FEWEST`
    times there is none.

    Args:
        events, censored: times, positive.
    """
    count = len(events) + len(censored)
    if not len(events):
        return Estimate(value=None, low=None, high=None)
    survival = stats.ecdf(stats.CensoredData(events, right=censored)).sf
    value = _first(survival.quantiles, survival.probabilities)
    if count < FEWEST:
        return Estimate(value=value, low=None, high=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # S = 0 has no interval: its bounds are not a number
        bounds: Any = survival.confidence_interval(LEVEL, method="log-log")
    return Estimate(
        value=value,
        low=_first(survival.quantiles, bounds.low.probabilities),
        high=_first(survival.quantiles, bounds.high.probabilities),
    )


def _first(times: Floats, survival: Floats) -> float | None:
    at = np.flatnonzero(survival <= 0.5)
    return float(times[at[0]]) if len(at) else None
