"""One searched space against the single design on one task: chance, cost, what search buys, verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from nas.efficiency.chance import Noise, match, noise_of, pooled_variance, undecided
from nas.efficiency.equal_cost import equal_cost_of
from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import (
    Floats,
    Interval,
    Moments,
    cautious,
    census_deviation,
    chance_run,
    dkw_halfwidth,
    expected_best,
    jackknife_best,
    moments,
    of_share,
)
from nas.efficiency.halves import (
    OneHalf,
    ReportErrors,
    report_errors,
    validation_errors,
)
from nas.efficiency.importance import importance_of
from nas.efficiency.law import laws_of
from nas.efficiency.level import Level, learned_nothing
from nas.efficiency.plan import Plan
from nas.efficiency.resolving import Resolving, resolving
from nas.efficiency.results import BestOf, Chance, Point, SpaceComparison, Verdict
from nas.efficiency.selection import Population, population_of
from nas.efficiency.words import label
from trials.record import TrialRecord

ENOUGH = 100
"""Designs below which a population is descriptive."""
LITTLE_FREEDOM = 4
"""Degrees of freedom of repeats below which the noise is poorly known."""
CURVE_POINTS = 40


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
    n = max(1, min(plan.budget, count if census else count // 5))
    noise = _of_census(population, report_errors(single_records)) if census else None
    result = SpaceComparison(
        space=space,
        designs=count,
        failed=count - len(ended),
        repeats=len(records) - count,
        size=size,
        census=census,
        descriptive=0 < count < ENOUGH and not census,
        errors=tuple(float(error) for error in np.sort(errors[np.isfinite(errors)])),
        band=dkw_halfwidth(count) if count and not census else None,
        seconds=_mean(record.seconds for record in population.first) if one_device else None,
        multiply_adds=_mean(record.multiply_adds for record in ended),
        parameters=_mean(record.parameters for record in ended),
        chance_run=None,
        chance=None,
        chance_margin=None,
        best_of=_best_of(population, n, noise),
        n=None,
        gain=None,
        cost_ratio_seconds=None,
        cost_ratio_multiply_adds=None,
        verdict="cannot say",
        reason="",
        points=tuple(
            Point(report_error=r.report_error, multiply_adds=r.multiply_adds, parameters=r.parameters)
            for r in ended
        ),
        notes=_sample_notes(count, size),
    )
    if single is not None and margin is not None and count > 1 and ended:
        result = _with_verdict(
            result, population, single_records, single, plan.budget, n, noise, margin, one_device
        )
        result = _with_chances(result, population, single_records, margin, one_device, rng)
    single_errors = validation_errors(single_records)
    repeats, _ = _trained_again(population.repeats(), single_errors)
    known = noise_of(repeats, population.rows) if result.chance else None
    whole = result.chance.chance if result.chance else None
    return replace(
        result,
        laws=laws_of(population, single_errors, single, known, whole, rng, census=census),
        equal_cost=equal_cost_of(population, single_records, noise, one_device=one_device),
        importance=importance_of(population, rng),
    )


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def _sample_notes(count: int, size: int | None) -> tuple[str, ...]:
    if size is None or 5 * count <= size:
        return ()
    if count >= size:
        return ("Every design of the space was trained (census): intervals hold the noise of seeds only.",)
    return (
        f"{count} designs are more than a fifth of the {size} in the space: the intervals ignore that and "
        "are conservative (too wide).",
    )


def _best_of(population: Population, judged: int, noise: Noise | None) -> tuple[BestOf, ...]:
    """Expected best of n at `judged` and at most `CURVE_POINTS` other n, up to N/2; of a census up to N."""
    count = len(population.trials)
    if count < 2:
        return ()
    solid, last = (count, count) if noise else (max(1, count // 5), max(1, count // 2))
    ns = sorted({round(n) for n in np.geomspace(1, last, CURVE_POINTS)} | {min(solid, last), judged})
    values = expected_best(population.select_errors(), population.report_errors(), ns)
    with_interval = [n for n in ns if n <= solid]
    known = zip(with_interval, *_best(population, with_interval, noise))
    intervals = {n: of_share(*map(float, each)) for n, *each in known if math.isfinite(each[0])}
    unknown = (-math.inf, math.inf)
    return tuple(
        BestOf(
            n=n,
            error=estimate(intervals[n] if n in intervals else Interval(float(value), *unknown)),
            solid=n in with_interval,
        )
        for n, value in zip(ns, values)
    )


def _best(population: Population, ns: Sequence[int], noise: Noise | None) -> tuple[Floats, Floats, Floats]:
    """Expected best of n, standard errors and their freedom: by jackknife, or of a census from `noise`."""
    select, report = population.select_errors(), population.report_errors()
    if noise is None:
        return jackknife_best(select, report, ns)
    deviations = census_deviation(len(select), ns, math.sqrt(noise.variance))
    return expected_best(select, report, ns), deviations, np.full(len(ns), float(noise.freedom))


def _with_verdict(
    result: SpaceComparison,
    population: Population,
    single_records: Sequence[TrialRecord],
    single: Level,
    budget: int,
    n: int,
    noise: Noise | None,
    margin: float,
    one_device: bool,
) -> SpaceComparison:
    """gain = f - E[best of n] on report error, both standard errors combined by `cautious`."""
    (best,), (deviation,), (freedom,) = _best(population, [n], noise)
    single_report = report_errors(single_records)
    finished = single_report[np.isfinite(single_report)]
    gain: Estimate | None = None
    claim: Verdict = "cannot say"
    would: Resolving | None = None
    notes = list(result.notes)
    if len(finished) > 1:
        row = 1 / population.rows_report
        known_to = row / 2 / math.sqrt(result.designs / n)  # of about N / n designs, each to half a row
        of_single = moments(finished, row)
        of_best = Moments(float(best), max(float(deviation), known_to), float(freedom))
        interval = cautious(of_single, of_best)
        if single.failed:  # an infinite error: the single design may be worse by any amount
            interval = interval._replace(high=math.inf)
        gain, claim = estimate(interval), _verdict(interval, margin)
        if not (result.census or single.failed):
            least = max(ENOUGH, 5 * budget if interval.value < margin else 0)
            would = resolving(of_single, of_best, margin, designs=result.designs, least=least)
        if finished.std(ddof=1) < row / 2:
            notes.append(
                f"The {len(finished)} errors of the single design agree to less than half a row of the "
                f"{population.rows_report} report rows: half a row stands in for their spread."
            )
        if deviation < 1e-12:  # 0 up to rounding
            notes.append(f"The standard error of the best of {n} is exactly 0: that of half a row stands in.")
    else:
        gain = Estimate(value=float(finished[0] - best), low=None, high=None) if len(finished) else None
    reasons = [f"descriptive: N = {result.designs} is below {ENOUGH}"] if result.descriptive else []
    if claim == "no search needed" and n < budget and not result.census:
        reasons.append(f"N = {result.designs} allows n = {n}, the plan asks for {budget}")
    majority = next(record.majority_error for record in population.first if record.status == "completed")
    if claim != "search" and learned_nothing(single, majority, population.rows):
        reasons.append(f"{label(single.space)} learned nothing here")
        would = None
    seconds = np.mean([record.seconds for record in population.first])
    multiply_adds = np.mean([record.training_multiply_adds for record in population.first])
    return replace(
        result,
        n=n,
        gain=gain,
        verdict="cannot say" if reasons else claim,
        reason=", ".join(reasons),
        cost_ratio_seconds=_ratio(n * float(seconds), single.seconds) if single.seconds is not None else None,
        cost_ratio_multiply_adds=_ratio(n * float(multiply_adds), single.training_multiply_adds),
        notes=tuple(notes),
        resolving=would if reasons or claim == "cannot say" else None,
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
    single = validation_errors(single_records)
    if len(single) < 2:
        return result
    notes = list(result.notes)
    run = chance_run(population.repeats(), single, rng, census=result.census)
    result = replace(result, chance_run=estimate(run))
    if not np.isfinite(single).all():
        notes.append(
            "p_design is not given: a training of the single design failed, its mean error is infinite."
        )
        return replace(result, notes=tuple(notes))
    repeats, note = _trained_again(population.repeats(), single)
    noise = noise_of(repeats, population.rows)
    notes += [note] if note else []
    chances = [
        _chance(
            population, single_records, noise, rng, shift=shift, census=result.census, one_device=one_device
        )
        for shift in (0.0, margin)
    ]
    chance, errors = chances[0], population.errors()
    if undecided(errors, single, chance.matches, population.rows):
        notes.append(
            f"p_design at f is not given: the single design makes {single.mean() * population.rows:.1f} "
            f"errors on {population.rows} rows; of the {int((errors <= single.mean()).sum())} of "
            f"{len(errors)} designs that make no more, shrinking what noise adds would put some above it."
        )
        return replace(result, chance_margin=chances[1], notes=tuple(notes))
    return replace(result, chance=chance, chance_margin=chances[1], notes=tuple(notes))


def _trained_again(repeats: Sequence[OneHalf], single: OneHalf) -> tuple[Sequence[OneHalf], str]:
    """Errors of designs trained several times; of the single design where they leave fewer than 2 degrees."""
    _, freedom = pooled_variance(repeats)
    if freedom >= 2:
        few = f"Repeats leave {freedom} degrees of freedom for the noise of an error: it is poorly known."
        return repeats, few if freedom < LITTLE_FREEDOM else ""
    return [single], (
        "Designs were not repeated often enough to measure the noise of an error: that of the single design "
        f"({int(np.isfinite(single).sum())} seeds) stands in."
    )


def _of_census(population: Population, single: ReportErrors) -> Noise:
    """Noise of a report error; infinite where the single design has fewer than two errors as well."""
    variance, freedom = pooled_variance(_trained_again(population.report_repeats(), single)[0])
    return Noise(variance, freedom) if freedom else Noise(math.inf, 1)


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
    single = validation_errors(single_records)
    drawn = match(
        population.errors(),
        _costs(population.first),
        single,
        _costs(single_records),
        noise,
        rng,
        rows=population.rows,
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
