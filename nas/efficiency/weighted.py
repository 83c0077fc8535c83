"""The formulas of weighted samples of designs, on arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.chance import DRAWS, Noise, shrinkage
from nas.efficiency.estimators import LEVEL, Floats, Interval, quantiles

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


def moments_of(values: Floats, weights: Floats) -> tuple[float, float, float]:
    """Mean, variance and degrees of freedom under the law the weights stand for; finite values only.

    Variance ``sum w (e - m)^2 / (1 - sum w^2)`` with weights that sum to 1: unbiased where weight and value
    are independent, the usual one for equal weights; freedom: effective size - 1.
    """
    share = weights / weights.sum()
    mean, rest = float(share @ values), 1 - float((share**2).sum())
    variance = float(share @ (values - mean) ** 2) / rest if rest > 1e-12 else 0.0
    return mean, variance, max(effective_size(weights) - 1, 0.0)


def matches(errors: Floats, weights: Floats, scale: Floats, target: Floats) -> NDArray[np.bool_]:
    """Which errors, shrunk to their weighted mean, lie at or below the target: (draws, designs)."""
    finished = np.isfinite(errors)
    middle = float(np.average(errors[finished], weights=weights[finished])) if finished.any() else 0.0
    offsets = np.where(finished, errors - middle, 0.0)
    # Rounding must not undo an exact tie.
    return finished & (middle + offsets * scale[:, None] <= target[:, None] + 1e-12)


def weighted_chance(
    errors: Floats,
    weights: Floats,
    single: Floats,
    noise: Noise,
    rng: np.random.Generator,
    *,
    census: bool = False,
    draws: int = DRAWS,
) -> Interval:
    """p_design under the law the weights stand for: the weighted share of designs that match, noise shrunk.

    As `chance.match`, with the weighted mean and variance in the shrinkage. With the drawn share P of the
    weight that matches, p is drawn from ``Beta(n P + 1/2, n (1 - P) + 1/2)``, n the effective size of the
    weights (Kish 1965).

    Args:
        errors: (N,), infinite for a failed training.
        weights: (N,), positive; only their ratios matter.
        single: errors of the single design over at least two seeds, all finite.
        census: every design the statement is about is in `errors`: the share is exact but for noise.

    Returns:
        With no match the value is 0 and the bound one-sided at 95 %.
    """
    finished = np.isfinite(errors)
    _, variance, freedom = moments_of(errors[finished], weights[finished]) if finished.any() else (0.0,) * 3
    mean, standard_error = float(single.mean()), float(single.std(ddof=1) / math.sqrt(len(single)))
    share = weights / weights.sum()
    scale = shrinkage(noise.variance, variance)
    value = float(share @ matches(errors, weights, np.array([scale]), np.array([mean]))[0])
    drawn_noise = noise.variance * noise.freedom / rng.chisquare(noise.freedom, draws)
    drawn_variance = np.full(draws, variance)
    if not census and freedom > 0:
        drawn_variance *= freedom / rng.chisquare(freedom, draws)
    targets = mean + standard_error * rng.standard_t(len(single) - 1, draws)
    matched = matches(errors, weights, shrinkage(drawn_noise, drawn_variance), targets)
    chances = matched @ share
    size = effective_size(weights)
    if not census:
        chances = rng.beta(size * chances + 0.5, size * np.maximum(1 - chances, 0.0) + 0.5)
    if value == 0:
        most = 1 / len(errors) if census else 1 - (1 - LEVEL) ** (1 / size)
        return Interval(0.0, 0.0, min(1.0, max(most, float(np.quantile(chances, LEVEL)))))
    return Interval(min(value, 1.0), *quantiles(chances))
