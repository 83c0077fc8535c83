"""The formulas of weighted samples of designs, on arrays."""

from __future__ import annotations

import numpy as np

from nas.efficiency.chance import RARE, Noise, bound, shrinkage, stabilised, target_of
from nas.efficiency.estimators import LEVEL, Floats, Interval, quantiles

DRAWS = 1000
FEW = 10
"""Designs, also effective ones, below which a part of a population says nothing."""


def effective_size(weights: Floats) -> float:
    """Designs of equal weight worth as much, ``(sum w)^2 / sum w^2`` (Kish 1965, Survey Sampling)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def weighted_quantiles(values: Floats, weights: Floats, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Smallest value whose cumulative share of the weight reaches the level; infinite values are last."""
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order]) / weights.sum()
    at = np.searchsorted(shares, np.array(levels) - 1e-12)  # rounding must not skip an exact share
    return tuple(float(values[order][min(i, len(values) - 1)]) for i in at)


def weighted_chance(
    errors: Floats,
    weights: Floats,
    single: Floats,
    noise: Noise,
    rng: np.random.Generator,
    *,
    rows: int,
    census: bool = False,
    draws: int = DRAWS,
) -> Interval:
    """p_design under the law the weights stand for: the weighted share of designs that match, noise shrunk.

    As `chance.match`, with the weighted mean and variance in the shrinkage. A draw weighs the designs by
    Dirichlet with ``n w / sum w`` each, n the effective size of the weights (Kish 1965), and two
    pseudo-designs by 1/2: the share P that matches gives p the law ``Beta(n P + 1/2, n (1 - P) + 1/2)``. With
    equal weights that is `chance.match`.

    Args:
        errors: (N,), infinite for a failed training.
        weights: (N,), positive; only their ratios matter.
        single: errors of the single design over at least two seeds, all finite.
        noise: of `stabilised` errors.
        rows: that an error is the share of.
        census: every design the statement is about is in `errors`: only the noise is drawn.

    Returns:
        With no match the value is 0 and the bound one-sided at 95 %.
    """
    growth, levels = noise.growth, stabilised(errors, noise.growth)
    share, size = weights / weights.sum(), effective_size(weights)
    target, standard_error = target_of(single, rows, growth)
    middle, spread = _moments(levels, share[None], size)
    highest = bound(middle, shrinkage(noise.variance, spread), np.array([target]), rows, growth)
    finished = np.isfinite(levels)
    value = min(1.0, float(share @ (finished & (levels <= highest))))

    targets = target + standard_error * rng.standard_t(len(single) - 1, draws)
    drawn_noise = noise.variance * noise.freedom / rng.chisquare(noise.freedom, draws)
    if census:
        left = shrinkage(drawn_noise, np.full(draws, spread))
        finite = np.where(finished, levels, 0.0)
        means = middle + (finite - middle) * left[:, None] ** 2
        means += (np.sqrt(drawn_noise) * left)[:, None] * rng.standard_normal((draws, len(levels)))
        chances = (finished & (means <= bound(0.0, 1.0, targets, rows, growth)[:, None])) @ share
    else:
        drawn = rng.standard_gamma(np.append(size * share, [0.5, 0.5]), (draws, len(levels) + 2))
        drawn /= drawn.sum(axis=1, keepdims=True)
        middle, spread = _moments(levels, drawn[:, :-2], size)
        highest = bound(middle, shrinkage(drawn_noise, spread), targets, rows, growth)
        chances = np.einsum("ij,ij->i", drawn[:, :-2], finished & (levels <= highest[:, None])) + drawn[:, -2]
    if value == 0:
        most = 1 / len(errors) if census else 1 - (1 - LEVEL) ** (1 / size)
        return Interval(0.0, 0.0, min(1.0, max(most, float(np.quantile(chances, LEVEL)))))
    low, high = quantiles(chances)
    return Interval(value, 0.0 if value < RARE and not census else low, high)


def _moments(levels: Floats, weights: Floats, size: float) -> tuple[Floats, Floats]:
    """Mean and variance of the finite levels for each row of weights; its divisor is for `size` designs."""
    finished = np.isfinite(levels)
    if not finished.any():
        return np.zeros(len(weights)), np.zeros(len(weights))
    values, kept = levels[finished], weights[:, finished]
    kept = kept / kept.sum(axis=1, keepdims=True)
    middle = values.mean()
    offset = kept @ (values - middle)
    squares = kept @ (values - middle) ** 2 - offset**2
    left = max(size * finished.mean(), 1.5)
    return middle + offset, np.maximum(squares, 0.0) * left / (left - 1)
