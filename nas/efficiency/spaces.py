"""One searched space against the single design on one task: chance, cost, what search buys, verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from nas.efficiency.chance import Noise, binomial_variance, match, pooled_variance
from nas.efficiency.estimators import (
    Floats,
    Interval,
    Moments,
    chance_run,
    dkw_halfwidth,
    expected_best,
    jackknife_best,
    moments,
    welch,
)
from nas.efficiency.results import BestOf, Chance, Estimate, Level, Plan, Point, SpaceComparison, Verdict
from nas.efficiency.selection import Population, population_of
from trials.record import TrialRecord

ENOUGH = 100
"""Designs below which a population is descriptive."""
CURVE_POINTS = 40


def estimate(interval: Interval) -> Estimate:
    """An interval for a result: what is not finite becomes None."""
    value, low, high = (float(each) if math.isfinite(each) else None for each in interval)
    return Estimate(value=value, low=low, high=high)


def compare_space(
    space: str,
    records: Sequence[TrialRecord],
    single_records: Sequence[TrialRecord],
    single: Level | None,
    plan: Plan,
    margin: float | None,
    *,
    size: int | None,
    one_device: bool,
    rng: np.random.Generator,
) -> SpaceComparison:
    """Every measure of a space that its records allow; the rest stays None."""
    population = population_of(records)
    errors, count = population.errors(), len(population.trials)
    ended = [record for record in population.first if record.status == "completed"]
    census = size is not None and count >= size
    best = _best_of(population)
    result = SpaceComparison(
        space=space,
        designs=count,
        failed=count - len(ended),
        repeats=len(records) - count,
        size=size,
        census=census,
        descriptive=count < ENOUGH and not census,
        errors=tuple(float(error) for error in np.sort(errors[np.isfinite(errors)])),
        band=dkw_halfwidth(count) if count else None,
        seconds=_mean(record.seconds for record in population.first),
        multiply_adds=_mean(record.multiply_adds for record in ended),
        parameters=_mean(record.parameters for record in ended),
        chance_run=None,
        chance=None,
        chance_margin=None,
        best_of=best,
        n=None,
        gain=None,
        cost_ratio_seconds=None,
        cost_ratio_multiply_adds=None,
        verdict="cannot say",
        sentence="",
        points=tuple(
            Point(report_error=r.report_error, multiply_adds=r.multiply_adds, parameters=r.parameters)
            for r in ended
        ),
        notes=("Every design of the space was trained (census): only seed noise is left.",) if census else (),
    )
    if single is None or margin is None or count < 2 or not ended:
        return result
    result = _with_verdict(result, population, single_records, single, plan, margin, one_device)
    return _with_chances(result, population, single_records, margin, one_device, rng)


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def _best_of(population: Population) -> tuple[BestOf, ...]:
    """Expected best of n, with intervals to N/5, without to N/2, at most `CURVE_POINTS` values of n."""
    count = len(population.trials)
    if count < 2:
        return ()
    select, report = population.errors("select_error"), population.errors("report_error")
    solid, last = max(1, count // 5), max(1, count // 2)
    ns = sorted({round(n) for n in np.geomspace(1, last, CURVE_POINTS)} | {solid})
    values = expected_best(select, report, ns)
    with_interval = [n for n in ns if n <= solid]
    _, deviations = jackknife_best(select, report, with_interval)
    half = dict(zip(with_interval, _half_widths(deviations, count)))
    return tuple(
        BestOf(
            n=n,
            error=estimate(
                Interval(v, v - half[n], v + half[n]) if n in half else Interval(v, math.inf, math.inf)
            ),
            solid=n in half,
        )
        for n, v in zip(ns, map(float, values))
    )


def _half_widths(deviations: Floats, count: int) -> list[float]:
    return [float(each) for each in deviations * stats.t.ppf(0.975, count - 1)]


def _with_verdict(
    result: SpaceComparison,
    population: Population,
    single_records: Sequence[TrialRecord],
    single: Level,
    plan: Plan,
    margin: float,
    one_device: bool,
) -> SpaceComparison:
    """gain = f - E[best of n] on report error, seeds and jackknife combined by Welch and Satterthwaite."""
    count = len(population.trials)
    n = min(plan.budget, max(1, count // 5))
    select, report = population.errors("select_error"), population.errors("report_error")
    best, deviation = jackknife_best(select, report, [n])
    single_report = np.array([record.report_error for record in single_records])
    finished = single_report[np.isfinite(single_report)]
    gain: Estimate | None = None
    verdict: Verdict = "cannot say"
    if math.isfinite(best[0]) and len(finished) > 1:
        gain_interval = welch(
            moments(finished), Moments(float(best[0]), float(deviation[0]), float(count - 1))
        )
        if single.failed:  # an infinite error: the single design may be worse by any amount
            gain_interval = gain_interval._replace(high=math.inf)
        gain, verdict = estimate(gain_interval), _verdict(gain_interval, margin)
    elif math.isfinite(best[0]):
        gain = Estimate(value=float(finished[0] - best[0]), low=None, high=None) if len(finished) else None
    seconds = np.mean([record.seconds for record in population.first])
    multiply_adds = np.mean([record.training_multiply_adds for record in population.first])
    return replace(
        result,
        n=n,
        gain=gain,
        verdict=verdict,
        cost_ratio_seconds=_ratio(n * float(seconds), single.seconds) if one_device else None,
        cost_ratio_multiply_adds=_ratio(n * float(multiply_adds), single.training_multiply_adds),
    )


def _ratio(cost: float, single_cost: float) -> float | None:
    return cost / single_cost if single_cost > 0 else None


def _verdict(gain: Interval, margin: float) -> Verdict:
    if gain.high < margin:
        return "no search needed"
    return "search" if gain.low > margin else "cannot say"


def _with_chances(
    result: SpaceComparison,
    population: Population,
    single_records: Sequence[TrialRecord],
    margin: float,
    one_device: bool,
    rng: np.random.Generator,
) -> SpaceComparison:
    single = np.array([record.error for record in single_records])
    if len(single) < 2:
        return result
    notes = list(result.notes)
    run = chance_run(population.repeats, single, rng)
    result = replace(result, chance_run=estimate(run))
    if not np.isfinite(single).all():
        notes.append(
            "p_design is not given: a training of the single design failed, its mean error is infinite."
        )
        return replace(result, notes=tuple(notes))
    noise, note = _noise(population, single)
    chances = [
        _chance(
            population, single_records, noise, rng, shift=shift, census=result.census, one_device=one_device
        )
        for shift in (0.0, margin)
    ]
    return replace(
        result, chance=chances[0], chance_margin=chances[1], notes=tuple([*notes, note] if note else notes)
    )


def _noise(population: Population, single: Floats) -> tuple[Noise, str]:
    """Seed variance from repeated designs, or the single design's where fewer than two repeats exist."""
    rows = max(record.rows_select + record.rows_report for record in population.first)
    binomial = binomial_variance(population.errors(), rows)
    variance, freedom = pooled_variance(population.repeats)
    if freedom >= 2:
        return Noise(variance, freedom, binomial), ""
    stand_in = float(single.var(ddof=1))
    return (
        Noise(stand_in, len(single) - 1, binomial),
        "Designs were not repeated often enough to measure their seed noise: that of the single design "
        f"({len(single)} seeds) stands in.",
    )


def _chance(
    population: Population,
    single_records: Sequence[TrialRecord],
    noise: Noise,
    rng: np.random.Generator,
    *,
    shift: float,
    census: bool,
    one_device: bool,
) -> Chance:
    single = np.array([record.error for record in single_records])
    drawn = match(
        population.errors(),
        _costs(population.first),
        single,
        _costs(single_records),
        noise,
        rng,
        shift=shift,
        census=census,
    )
    return Chance(
        target=float(single.mean() + shift),
        matches=drawn.matches,
        designs=len(population.trials),
        shrinkage=drawn.shrinkage,
        chance=estimate(drawn.chance),
        designs_to_match=estimate(drawn.designs),
        designs_even=estimate(drawn.even_chance),
        cost_seconds=estimate(drawn.cost[0]) if one_device else None,
        cost_multiply_adds=estimate(drawn.cost[1]),
        factor_seconds=estimate(drawn.factor[0]) if one_device else None,
        factor_multiply_adds=estimate(drawn.factor[1]),
    )


def _costs(records: Sequence[TrialRecord]) -> Floats:
    return np.array([[record.seconds, float(record.training_multiply_adds)] for record in records])
