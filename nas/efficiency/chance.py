"""The chance that a random design matches the single one, and what follows from it.

p_design = P(mean error of a design <= mean error of the single design). The observed errors of a population
carry noise of seeds and of finite validation rows, so their lucky tail is too fat: they are shrunk first, on
a scale where that noise has one variance (docs/decisions/0006-shrinking-and-its-scale.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from nas.efficiency.estimators import LEVEL, Floats, Interval, dirichlet, quantiles
from nas.efficiency.halves import ValidationErrors

DRAWS = 4000
RARE = 0.1
"""Share of matches below which p has an upper bound only: its lower one is too high where few match."""
GROWTH = 0.25
"""Between 0, seeds that move errors, and 1, seeds that move log-odds: covers under both (decision 6)."""
FEWEST_WRONG = 0.5
"""Wrong rows of a training of the single design below which designs near it cannot be told apart."""


class Noise(NamedTuple):
    """Variance of a `stabilised` error around the design's mean error, and its degrees of freedom.

    It is that between trainings of one design. They are scored on the same validation rows, so it holds what
    finite rows add within a row already; what they add between rows is common to all designs. A binomial
    ``e (1 - e) / rows`` on top would count both once more (docs/decisions/0004-noise-of-an-error.md).
    `growth` is that of the scale, see `stabilised`.
    """

    variance: float
    freedom: int
    growth: float = 0.0


class Match(NamedTuple):
    """Draws and point values of p_design and the costs that follow; see `match`."""

    matches: int
    shrinkage: float
    chance: Interval
    designs: Interval
    even_chance: Interval
    cost: tuple[Interval, ...]
    factor: tuple[Interval, ...]


def stabilised(errors: Floats | float, growth: float = 0.0) -> Floats:
    """A scale z(e) on which the noise of an error has about one variance; a failed trial stays infinite.

    Noise of rows has variance ``e (1 - e) / rows``, of seeds, where they move the log-odds of an error by t,
    ``t^2 (e (1 - e))^2``. With ``growth = t^2 rows / 4`` the scale that makes their sum the same at every
    error is ``z = integral over a from 0 to arcsin sqrt(e) of da / sqrt(1 + growth sin^2(2 a))``:
    ``arcsin sqrt(e)`` without seeds (Anscombe 1948, Biometrika 35, 246-254), towards the log-odds with them.
    """
    errors = np.asarray(errors, float)
    finished = np.isfinite(errors)
    angles = np.arcsin(np.sqrt(np.where(finished, errors, 0.0).clip(0, 1)))
    found: Floats = np.where(finished, special.ellipkinc(2 * angles, -growth) / 2, np.inf)
    return found


def error_of(levels: Floats, growth: float = 0.0) -> Floats:
    """The error of `stabilised` levels, those beyond 0 and 1 as these."""
    angles = np.linspace(0, math.pi / 2, 4001)
    if growth:
        levels = np.interp(levels, special.ellipkinc(2 * angles, -growth) / 2, angles)
    found: Floats = np.sin(np.clip(levels, 0, math.pi / 2)) ** 2
    return found


def noise_of(repeats: Sequence[Floats], rows: int) -> Noise:
    """Noise of repeated trainings on the scale where it is the same for all designs, from their errors.

    On the scale without growth its variance is ``1 / (4 rows) + t^2 e (1 - e) / 4``: what exceeds the first
    term is seeds', over the mean of e (1 - e) of the repeated designs. Of the growth that follows `GROWTH` is
    taken, since seeds may as well move errors alike at all levels.
    """
    finished = [errors[np.isfinite(errors)] for errors in repeats]
    finished = [errors for errors in finished if len(errors) > 1]
    if not finished:
        return Noise(0.0, 0)
    variance, _ = pooled_variance([stabilised(errors) for errors in finished])
    level = float(np.mean([errors.mean() * (1 - errors.mean()) for errors in finished]))
    growth = max(0.0, 4 * variance * rows - 1) / (4 * max(level, 0.25 / rows)) * GROWTH
    return Noise(*pooled_variance([stabilised(errors, growth) for errors in finished]), growth)


def pooled_variance(repeats: Sequence[Floats]) -> tuple[float, int]:
    """Variance within designs trained several times, ``sum of squares / sum (r - 1)``, and its freedom."""
    groups = [errors[np.isfinite(errors)] for errors in repeats]
    groups = [errors for errors in groups if len(errors) > 1]
    freedom = sum(len(errors) - 1 for errors in groups)
    squares = sum(float(((errors - errors.mean()) ** 2).sum()) for errors in groups)
    return (squares / freedom if freedom else 0.0), freedom


def shrinkage(noise_variance: Floats | float, variance: Floats | float) -> Floats:
    """``a = sqrt(max(0, 1 - s^2 / S^2))``: what is left of the spread once the noise is out; 1 if S = 0."""
    noise_variance, variance = np.asarray(noise_variance, float), np.asarray(variance, float)
    share = np.divide(noise_variance, variance, out=np.zeros_like(variance), where=variance > 0)
    left: Floats = np.sqrt(np.maximum(0.0, 1.0 - share))
    return left


def bound(
    middle: Floats | float, left: Floats | float, target: Floats, rows: int, growth: float = 0.0
) -> Floats:
    """The highest `stabilised` error whose shrunk value ``m + (z - m) a`` is at or below the target.

    Infinite of either sign for a = 0. Shrinking lifts designs that make no error, by a trace where the
    population is far from 0: what is less than a hundredth of a row above the target is no difference.
    """
    middle, left = np.broadcast_to(middle, target.shape), np.broadcast_to(left, target.shape)
    distance = stabilised(error_of(target, growth) + 0.01 / rows, growth) - middle
    nothing = np.where(distance < 0, -np.inf, np.inf)
    found: Floats = middle + np.divide(distance, left, out=nothing, where=left > 0)
    return found


def match(
    errors: ValidationErrors,
    costs: Floats,
    single: ValidationErrors,
    single_costs: Floats,
    noise: Noise,
    rng: np.random.Generator,
    *,
    rows: int,
    shift: float = 0.0,
    census: bool = False,
    draws: int = DRAWS,
) -> Match:
    """p_design, designs to match, cost to match and the design-efficiency factor, with 95 % intervals.

    All on `stabilised` errors z. Each draw weighs the designs (Dirichlet, all 1: Rubin 1981, "The Bayesian
    bootstrap"), takes m and S^2 as the weighted mean and variance of those that did not fail, draws s^2
    (scaled inverse chi-square) and the mean of the single design (Student t) and shrinks,
    ``z* = m + (z - m) sqrt(max(0, 1 - s^2 / S^2))``. p is the weight of the designs that match, with 1/2 for
    a pseudo-design of mean cost on either side: its law is ``Beta(k + 1/2, N - k + 1/2)`` with k matches,
    drawn jointly with m, S^2 and the mean cost (docs/decisions/0006-shrinking-and-its-scale.md).

    - designs to match: ``1/p`` expected; ``ln 2 / -ln(1 - p)`` for an even chance, never below one design.
    - cost to match: ``mean cost of a trial / p`` (Wald's identity).
    - factor: cost to match / cost of one training of the single design (Student t on its logarithm).
      Neutral point: a design at the population's median at equal cost has factor 2.

    Args:
        errors: (N,) of distinct designs, one training each; infinite for a failed one.
        costs: (N, units) of the same trainings.
        single: errors of the single design over at least two seeds, all finite.
        single_costs: (seeds, units).
        noise: of `stabilised` errors.
        rows: that an error is the share of. Seeds are taken to differ by half a row at least: equal errors
            are known no better.
        shift: added to the mean of the single design: the chance to match f + shift.
        census: every design of the space is in `errors`: p = k / N, m, S^2 and the costs are exact. Which
            designs match is drawn: their means are normal around ``m + (z - m) (1 - s^2 / S^2)`` with
            variance ``s^2 (1 - s^2 / S^2)`` (empirical Bayes; Efron and Morris 1973).

    With k = 0 the point values of designs, cost and factor are infinite and their low bounds are one-sided at
    95 %: ``p <= 1 - 0.05^(1/N)``, or the drawn 95 % quantile of p where the noise makes that larger. With
    k / N below `RARE`, no census, that side's bounds are those of the interval, and the others are left out.
    """
    number, growth, levels = len(errors), noise.growth, stabilised(errors, noise.growth)
    finished = levels[np.isfinite(levels)]
    mean = float(finished.mean()) if len(finished) else 0.0
    variance = float(finished.var(ddof=1)) if len(finished) > 1 else 0.0
    scale = shrinkage(noise.variance, variance)
    target, standard_error = target_of(single, rows, growth)
    highest = bound(mean, scale, _shifted(target, shift, growth), rows, growth)
    count = int((np.isfinite(levels) & (levels <= highest)).sum())

    weights, pseudo = dirichlet(number, census, rng, draws)
    drawn_noise = noise.variance * noise.freedom / rng.chisquare(noise.freedom, draws)
    targets = _shifted(target + standard_error * rng.standard_t(len(single) - 1, draws), shift, growth)
    middle, spread = (mean, np.full(draws, variance)) if census else _weighted_moments(levels, weights)
    left = shrinkage(drawn_noise, spread)
    if census:  # as many standard normal deviations above the mean of a design's mean as noise is
        known, deviation = left**2, np.sqrt(drawn_noise) * left
        finite = np.where(np.isfinite(levels), levels, 0.0)
        drawn = mean + (finite - mean) * known[:, None]
        drawn += deviation[:, None] * rng.standard_normal((draws, number))
        matches = np.isfinite(levels) & (drawn <= bound(0.0, 1.0, targets, rows, growth)[:, None])
    else:
        matches = np.isfinite(levels) & (levels <= bound(middle, left, targets, rows, growth)[:, None])
    chances = np.einsum("ij,ij->i", weights, matches) + pseudo[:, 0]
    drawn_cost = weights @ costs + pseudo.sum(axis=1, keepdims=True) * costs.mean(axis=0)
    drawn_single_cost = _mean_costs(single_costs, rng, draws)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        drawn_factor = drawn_cost / drawn_single_cost
        factor = costs.mean(axis=0) / single_costs.mean(axis=0)
        if count == 0:
            most = 1 / number if census else 1 - (1 - LEVEL) ** (1 / number)
            most = max(most, float(np.quantile(chances, LEVEL)))
            return Match(
                0,
                float(scale),
                Interval(0.0, 0.0, most),
                _at_least(1 / most),
                _at_least(float(_even(np.array(most)))),
                tuple(_at_least(float(cost) / most) for cost in costs.mean(axis=0)),
                tuple(_at_least(float(each) / most) for each in factor),
            )
        share = count / number
        found = Match(
            count,
            float(scale),
            Interval(share, *quantiles(chances)),
            Interval(1 / share, *quantiles(1 / chances)),
            Interval(float(_even(np.array(share))), *quantiles(_even(chances))),
            _over(costs.mean(axis=0), drawn_cost, share, chances),
            _over(factor, drawn_factor, share, chances),
        )
        return _one_sided(found) if share < RARE and not census else found


def _one_sided(found: Match) -> Match:
    """Without the lower bound of p, and so without the upper ones of what is over p."""
    return found._replace(
        chance=found.chance._replace(low=0.0),
        designs=found.designs._replace(high=math.inf),
        even_chance=found.even_chance._replace(high=math.inf),
        cost=tuple(each._replace(high=math.inf) for each in found.cost),
        factor=tuple(each._replace(high=math.inf) for each in found.factor),
    )


def undecided(errors: Floats, single: Floats, matches: int, rows: int) -> bool:
    """Whether the single design makes so few errors that shrinking alone decides which designs match it.

    So where its trainings have less than `FEWEST_WRONG` wrong rows on average, and shrinking lifts designs
    above it that were seen at or below it.
    """
    mean = float(single.mean())
    return mean * rows < FEWEST_WRONG and int((errors <= mean).sum()) > matches


def target_of(single: Floats, rows: int, growth: float = 0.0) -> tuple[float, float]:
    """Mean `stabilised` error of the single design and its standard error: half a row per seed at least."""
    levels, mean = stabilised(single, growth), float(single.mean())
    ends = stabilised(np.array([mean - 0.5 / rows, mean + 0.5 / rows]), growth)
    half_a_row = float(np.diff(ends)[0]) / 2
    return float(levels.mean()), max(float(levels.std(ddof=1)), half_a_row) / math.sqrt(len(single))


def _shifted(targets: Floats | float, shift: float, growth: float) -> Floats:
    """Adds `shift`, in units of error, to `stabilised` targets."""
    return stabilised(error_of(np.atleast_1d(np.asarray(targets, float)), growth) + shift, growth)


def _mean_costs(costs: Floats, rng: np.random.Generator, draws: int) -> Floats:
    """Mean cost (draws, units) of a training: Student t on its logarithm, by the delta method."""
    mean = costs.mean(axis=0)
    relative = np.divide(costs.std(axis=0, ddof=1), mean, out=np.zeros_like(mean), where=mean > 0)
    deviates = rng.standard_t(len(costs) - 1, (draws, 1))
    found: Floats = mean * np.exp((relative / math.sqrt(len(costs)) * deviates).clip(-200, 200))
    return found


def _weighted_moments(levels: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Mean and variance (of divisor n - 1 for equal weights) of the finished designs, for each draw."""
    finished = np.isfinite(levels)
    if not finished.any():
        return np.zeros(len(weights)), np.zeros(len(weights))
    values, kept = levels[finished], weights[:, finished]
    middle = values.mean()
    kept = kept / kept.sum(axis=1, keepdims=True)
    offset = kept @ (values - middle)
    squares = kept @ (values - middle) ** 2 - offset**2
    return middle + offset, np.maximum(squares, 0.0) * len(values) / max(len(values) - 1, 1)


def _even(chances: Floats) -> Floats:
    """Designs for an even chance, ``ln 2 / -ln(1 - p)``, at least 1; infinite for p = 0."""
    return np.maximum(1.0, math.log(2) / -np.log1p(-chances))


def _at_least(low: float) -> Interval:
    return Interval(math.inf, low, math.inf)


def _over(costs: Floats, drawn_costs: Floats, share: float, chances: Floats) -> tuple[Interval, ...]:
    """``cost / p`` per unit of cost."""
    return tuple(
        Interval(float(cost) / share, *quantiles(drawn / chances))
        for cost, drawn in zip(costs, drawn_costs.T)
    )
