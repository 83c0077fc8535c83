"""The formulas, on arrays: no records, no words. Errors are shares in [0, 1]; a failed trial is +infinity.

Every interval is two-sided at 95 % unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate and its bounds."""

    value: float
    low: float
    high: float


class Moments(NamedTuple):
    """Mean, standard error and degrees of freedom of an estimate."""

    mean: float
    standard_error: float
    freedom: float


def dkw_halfwidth(count: int, level: float = LEVEL) -> float:
    """Half-width of the simultaneous band of an empirical distribution function of `count` draws.

    ``sqrt(ln(2 / (1 - level)) / (2 N))`` (Dvoretzky, Kiefer and Wolfowitz 1956; constant of Massart 1990).
    """
    return math.sqrt(math.log(2 / (1 - level)) / (2 * count))


def best_of_weights(count: int, n: int) -> Floats:
    """Chance that the i-th best of `count` designs is the best of `n` drawn without replacement, i = 1..N.

    ``C(N - i, n - 1) / C(N, n)`` (Tang et al. 2020, "Showing your work doesn't always work", eq. 5), by the
    exact recurrence ``w[1] = n / N``, ``w[i + 1] = w[i] (N - i - n + 1) / (N - i)``.
    """
    if not 1 <= n <= count:
        raise ValueError(f"n must lie in 1..N, got n = {n} and N = {count}")
    rank = np.arange(1, count)
    ratios = np.maximum(count - rank - n + 1, 0) / (count - rank)
    return (n / count) * np.concatenate(([1.0], np.cumprod(ratios)))


def expected_best(select: Floats, report: Floats, ns: Sequence[int]) -> Floats:
    """Expected `report` error of the design with the lowest `select` error among n drawn designs.

    Unbiased, without replacement: `best_of_weights` on the designs sorted by `select`. Designs that tie on
    `select` are picked at random, so each counts with their mean `report` error. Where n drawn designs may
    all have failed, the expectation is infinite.
    """
    weights = np.stack([best_of_weights(len(select), n) for n in ns])
    return _infinite_if_all_may_fail(weights @ _report_by_rank(select, report), report, ns)


def jackknife_best(select: Floats, report: Floats, ns: Sequence[int]) -> tuple[Floats, Floats]:
    """`expected_best` and its jackknife standard error, for each n <= N - 1.

    ``se^2 = (N - 1)/N sum_j (theta_(-j) - mean theta_(-j))^2`` over leaving out each design (Efron and Stein
    1981), to be used with Student t on N - 1 degrees of freedom. Infinite where the expectation is.
    """
    count = len(select)
    weights = np.stack([best_of_weights(count - 1, n) for n in ns])
    kept = [np.delete(np.arange(count), j) for j in range(count)]
    without = np.stack([_report_by_rank(select[keep], report[keep]) for keep in kept])
    left_out = weights @ without.T
    variance = (count - 1) / count * ((left_out - left_out.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return expected_best(select, report, ns), _infinite_if_all_may_fail(np.sqrt(variance), report, ns)


def census_deviation(select: Floats, report: Floats, ns: Sequence[int], seed_sd: float) -> Floats:
    """Standard error of `expected_best` where every design of the space is in the arrays.

    The weights are exact then, only the errors they weigh are noisy: ``seed_sd sqrt(sum of weights^2)``.
    Infinite where the expectation is.
    """
    weights = np.stack([best_of_weights(len(select), n) for n in ns])
    return _infinite_if_all_may_fail(seed_sd * np.sqrt((weights**2).sum(axis=1)), report, ns)


def _report_by_rank(select: Floats, report: Floats) -> Floats:
    """`report` in the order of `select`, averaged over ties; failures as 0, their weight is seen to apart."""
    _, group, size = np.unique(select, return_inverse=True, return_counts=True)
    means = np.bincount(group, np.where(np.isfinite(report), report, 0.0)) / size
    return np.repeat(means, size)


def _infinite_if_all_may_fail(values: Floats, report: Floats, ns: Sequence[int]) -> Floats:
    failed = int((~np.isfinite(report)).sum())
    return np.where(failed >= np.asarray(ns), math.inf, values)


def moments(values: Floats) -> Moments:
    """Mean of at least two independent values: ``sd / sqrt(n)`` with n - 1 degrees of freedom."""
    return Moments(
        float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))), float(len(values) - 1)
    )


def welch(a: Moments, b: Moments, level: float = LEVEL) -> Interval:
    """``a - b`` with Student t on the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    return weighted_sum([(1.0, a), (-1.0, b)], level)


def weighted_sum(terms: Sequence[tuple[float, Moments]], level: float = LEVEL) -> Interval:
    """``sum w m`` of independent means, Student t on Satterthwaite's degrees of freedom.

    ``(sum v)^2 / sum (v^2 / freedom)`` with ``v = (w se)^2`` (Satterthwaite 1946).
    """
    value = sum(weight * each.mean for weight, each in terms)
    variances = [(weight * each.standard_error) ** 2 for weight, each in terms]
    total = sum(variances)
    if total == 0:
        return Interval(value, value, value)
    freedom = total**2 / sum(v**2 / each.freedom for v, (_, each) in zip(variances, terms))
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    return Interval(value, value - half, value + half)


def chance_run(
    designs: Sequence[Floats],
    single: Floats,
    rng: np.random.Generator,
    *,
    census: bool = False,
    draws: int = 2000,
) -> Interval:
    """p_run = P(e <= f), one run against one run, ties (two failures too) one half.

    Mann-Whitney over designs x seeds, every design with the same weight however many seeds it has. Interval:
    two-way percentile bootstrap, designs and the seeds of the single design resampled independently (Owen
    2007). Where no or every pair matches, resampling sees no spread: Clopper-Pearson's bound for N designs.

    Args:
        designs: for each design the errors of its seeds.
        single: errors of the single design over its seeds, at least two.
        census: `designs` are the whole space: only the seeds are resampled.
    """
    table = np.stack([((e[:, None] < single) + 0.5 * (e[:, None] == single)).mean(axis=0) for e in designs])
    value, count, seeds = float(table.mean()), *table.shape
    bound = 1 - ((1 - LEVEL) / 2) ** (1 / count)
    if value in (0.0, 1.0):
        return Interval(value, 0.0, bound) if value == 0 else Interval(value, 1 - bound, 1.0)
    drawn_designs = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)
    of_designs = np.ones((draws, count)) if census else drawn_designs
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    drawn = ((of_designs @ table) * of_seeds).sum(axis=1) / (count * seeds)
    return Interval(value, *quantiles(drawn))


def rank_correlation(a: Floats, b: Floats) -> Interval | None:
    """Spearman's rank correlation of pairs; ties, two failures too, share their mean rank.

    Interval: Fisher's z with the standard error ``sqrt((1 + r^2 / 2) / (n - 3))`` of Bonett and Wright (2000,
    Psychometrika 65, 23-28). Where all ranks agree, its inner bound is that of one exchange of neighbours,
    ``|r| = 1 - 12 / (n^3 - n)``, since z is infinite at 1.

    Returns:
        None for fewer than 4 pairs, and where all values of a side are the same.
    """
    count = len(a)
    if count < 4:
        return None
    x, y = (stats.rankdata(each) for each in (a, b))
    if x.std() == 0 or y.std() == 0:
        return None
    value = float(np.corrcoef(x, y)[0, 1])
    most = 1 - 12 / (count**3 - count)
    size = min(abs(value), most)
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt((1 + size**2 / 2) / (count - 3))
    near = math.tanh(math.atanh(size) - half)
    far = math.tanh(math.atanh(size) + half) if abs(value) < most else 1.0
    return Interval(value, near, far) if value >= 0 else Interval(value, -far, -near)


def quantiles(draws: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central interval of draws; infinite draws are kept, so a bound may be infinite."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
