"""The chance that a random design matches the single one, and what follows from it.

p_design = P(mean error of a design <= mean error of the single design). The observed errors of a population
carry noise of seeds and of finite validation rows, so their lucky tail is too fat: they are shrunk first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.estimators import LEVEL, Floats, Interval, quantiles
from nas.efficiency.halves import ValidationErrors

DRAWS = 4000


class Noise(NamedTuple):
    """Variance of an observed error around the design's mean error, and its degrees of freedom.

    It is that between trainings of one design. They are scored on the same validation rows, so it holds what
    finite rows add within a row already; what they add between rows is common to all designs. A binomial
    ``e (1 - e) / rows`` on top would count both once more (docs/decisions/0004-noise-of-an-error.md).
    """

    variance: float
    freedom: int


class Match(NamedTuple):
    """Draws and point values of p_design and the costs that follow; see `match`."""

    matches: int
    shrinkage: float
    chance: Interval
    designs: Interval
    even_chance: Interval
    cost: tuple[Interval, ...]
    factor: tuple[Interval, ...]


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


def matched(errors: Floats, scale: Floats, target: Floats) -> NDArray[np.bool_]:
    """Which shrunk errors ``m + (e - m) a`` lie at or below the target, (draws, designs); failures never do.

    m is the mean error of the designs that did not fail.
    """
    finished = np.isfinite(errors)
    middle = errors[finished].mean() if finished.any() else 0.0
    offsets = np.where(finished, errors - middle, 0.0)
    # Rounding must not undo an exact tie.
    return finished & (middle + offsets * scale[:, None] <= target[:, None] + 1e-12)


def match(
    errors: ValidationErrors,
    costs: Floats,
    single: ValidationErrors,
    single_costs: Floats,
    noise: Noise,
    rng: np.random.Generator,
    *,
    shift: float = 0.0,
    census: bool = False,
    draws: int = DRAWS,
) -> Match:
    """p_design, designs to match, cost to match and the design-efficiency factor, with 95 % intervals.

    Draws s^2 (scaled inverse chi-square), S^2 (likewise, N - 1) and the mean of the single design (Student
    t), shrinks with the drawn values and counts the k matches. Then p is drawn from
    ``Beta(k + 1/2, N - k + 1/2)`` through Dirichlet weights, 1 for each design and 1/2 for a pseudo-design of
    mean cost on either side: that has the Beta law and draws the mean cost of a trial jointly with p.

    - designs to match: ``1/p`` expected; ``ln 2 / -ln(1 - p)`` for an even chance, never below one design.
    - cost to match: ``mean cost of a trial / p`` (Wald's identity).
    - factor: cost to match / cost of one training of the single design (its trainings are weighted too).
      Neutral point: a design at the population's median at equal cost has factor 2.

    Args:
        errors: (N,) of distinct designs, one training each; infinite for a failed one.
        costs: (N, units) of the same trainings.
        single: errors of the single design over at least two seeds, all finite.
        single_costs: (seeds, units).
        shift: added to the mean of the single design: the chance to match f + shift.
        census: every design of the space is in `errors`: p = k / N, S^2 and the costs are exact.

    With k = 0 the point values of designs, cost and factor are infinite and their low bounds are one-sided at
    95 %: ``p <= 1 - 0.05^(1/N)``, or the drawn 95 % quantile of p where the noise makes that larger.
    """
    number, finished = len(errors), errors[np.isfinite(errors)]
    variance = float(finished.var(ddof=1)) if len(finished) > 1 else 0.0
    mean, standard_error = float(single.mean()), float(single.std(ddof=1) / math.sqrt(len(single)))

    scale = shrinkage(noise.variance, variance)
    count = int(matched(errors, np.array([scale]), np.array([mean + shift])).sum())

    drawn_noise = noise.variance * noise.freedom / rng.chisquare(noise.freedom, draws)
    drawn_variance = np.full(draws, variance)
    if not census:
        drawn_variance *= (len(finished) - 1) / rng.chisquare(max(len(finished) - 1, 1), draws)
    scales = shrinkage(drawn_noise, drawn_variance)
    targets = mean + shift + standard_error * rng.standard_t(len(single) - 1, draws)
    weights, pseudo = _weights(number, census, rng, draws)
    chances = (weights * matched(errors, scales, targets)).sum(axis=1) + pseudo[:, 0]
    drawn_cost = weights @ costs + pseudo.sum(axis=1, keepdims=True) * costs.mean(axis=0)
    drawn_single_cost = rng.dirichlet(np.ones(len(single_costs)), draws) @ single_costs

    with np.errstate(divide="ignore", invalid="ignore"):
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
        return Match(
            count,
            float(scale),
            Interval(share, *quantiles(chances)),
            Interval(1 / share, *quantiles(1 / chances)),
            Interval(float(_even(np.array(share))), *quantiles(_even(chances))),
            _over(costs.mean(axis=0), drawn_cost, share, chances),
            _over(factor, drawn_factor, share, chances),
        )


def _weights(number: int, census: bool, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
    """Weights (draws, N) of the designs and (draws, 2) of the pseudo-designs; together 1."""
    if census:
        return np.full((draws, number), 1 / number), np.zeros((draws, 2))
    weights = rng.standard_gamma([1.0] * number + [0.5, 0.5], (draws, number + 2))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights[:, :number], weights[:, number:]


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
