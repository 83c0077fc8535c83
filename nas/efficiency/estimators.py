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

from nas.efficiency.halves import ReportErrors, SelectErrors, ValidationErrors

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


def expected_best(select: SelectErrors, report: ReportErrors, ns: Sequence[int]) -> Floats:
    """Expected `report` error of the design with the lowest `select` error among n drawn designs.

    Unbiased, without replacement: `best_of_weights` on the designs sorted by `select`. Designs that tie on
    `select` are picked at random, so each counts with their mean `report` error. Failures are picked last;
    where n drawn designs may all have failed, that counts as an error of 1, the largest there is.
    """
    weights = np.stack([best_of_weights(len(select), n) for n in ns])
    _, group, size = np.unique(select, return_inverse=True, return_counts=True)
    means = np.bincount(group, at_most_one(report)) / size
    found: Floats = weights @ np.repeat(means, size)
    return found


def jackknife_best(
    select: SelectErrors, report: ReportErrors, ns: Sequence[int]
) -> tuple[Floats, Floats, Floats]:
    """`expected_best`, its jackknife standard error and the degrees of freedom of that, for each n <= N - 1.

    ``se^2 = (N - 1)/N sum_j u_j^2`` with u_j = theta_(-j) - mean theta_(-j), leaving out each design (Efron
    and Stein 1981). Few designs carry it where n is a large part of N: ``freedom = 2 (sum u^2)^2 / sum u^4``,
    from 1 to N - 1, is that of a chi-square as variable as se^2 at most is, ``sum u^4`` (Satterthwaite 1946).
    For an interval see `of_share`.
    """
    count = len(select)
    left_out = _best_without_each(select, report, ns)
    squares = (left_out - left_out.mean(axis=1, keepdims=True)) ** 2
    total = squares.sum(axis=1)
    fourth = (squares**2).sum(axis=1)
    freedom = np.divide(2 * total**2, fourth, out=np.full(len(ns), count - 1.0), where=fourth > 0)
    freedom = freedom.clip(1.0, count - 1.0)
    deviation = np.sqrt((count - 1) / count * total)
    return expected_best(select, report, ns), deviation, freedom


def _best_without_each(select: SelectErrors, report: ReportErrors, ns: Sequence[int]) -> Floats:
    """(ns, N) `expected_best` of the N - 1 other designs.

    Designs that tie are a group. Without a design of it, its others share one rank less and later groups
    move up by one.
    """
    count = len(select)
    errors = at_most_one(report)
    _, group, size = np.unique(select, return_inverse=True, return_counts=True)
    sums = np.bincount(group, errors)
    end = np.cumsum(size)
    start = end - size
    weights = np.stack([best_of_weights(count - 1, n) for n in ns])
    upto = np.concatenate((np.zeros((len(ns), 1)), np.cumsum(weights, axis=1)), axis=1)  # of the first ranks
    earlier = np.cumsum((upto[:, np.minimum(end, count - 1)] - upto[:, start]) * (sums / size), axis=1)
    moved = (upto[:, end - 1] - upto[:, np.maximum(start - 1, 0)]) * (sums / size)
    later = moved.sum(axis=1, keepdims=True) - np.cumsum(moved, axis=1)
    before = np.concatenate((np.zeros((len(ns), 1)), earlier[:, :-1]), axis=1)
    others = np.divide(sums[group] - errors, size[group] - 1, out=np.zeros(count), where=size[group] > 1)
    of_group = (upto[:, end - 1] - upto[:, start])[:, group] * others
    found: Floats = before[:, group] + of_group + later[:, group]
    return found


def census_deviation(count: int, ns: Sequence[int], seed_sd: float) -> Floats:
    """Standard error of `expected_best` where every design of the space is in the arrays.

    The weights are exact then, only the errors they weigh are noisy: ``seed_sd sqrt(sum of weights^2)``.
    """
    weights = np.stack([best_of_weights(count, n) for n in ns])
    found: Floats = seed_sd * np.sqrt((weights**2).sum(axis=1))
    return found


def at_most_one(report: Floats) -> Floats:
    """Errors with those of failed trials, which are infinite, at the largest that an error can be."""
    return np.where(np.isfinite(report), report, 1.0)


def moments(values: Floats, resolution: float = 0.0) -> Moments:
    """Mean of at least two independent values: ``sd / sqrt(n)`` with n - 1 degrees of freedom.

    Args:
        resolution: the step that values are multiples of, such as 1 / rows: the sd is half of it at least,
            since equal values are known no better.
    """
    deviation = max(float(values.std(ddof=1)), resolution / 2)
    return Moments(float(values.mean()), deviation / math.sqrt(len(values)), float(len(values) - 1))


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


def of_share(value: float, standard_error: float, freedom: float) -> Interval:
    """Interval of an error rate by Student's t on the scale ``arcsin sqrt``: in [0, 1], longer upwards.

    By the delta method ``se / (2 sqrt(v (1 - v)))`` is the standard error there.
    """
    slope = 2 * math.sqrt(value * (1 - value)) if 0 < value < 1 else 1.0
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * standard_error / slope
    angles = math.asin(math.sqrt(value)) + np.array([-half, half])
    low, high = np.sin(angles.clip(0, math.pi / 2)) ** 2
    return Interval(value, float(low), float(high))


def cautious(a: Moments, b: Moments, level: float = LEVEL) -> Interval:
    """``a - b`` where their degrees of freedom differ much: Student's t of each, weighted by its variance.

    ``t = (v_a t_a + v_b t_b) / (v_a + v_b)`` (Cochran and Cox 1950), which covers too much rather than too
    little; Satterthwaite's freedom, estimated from two seeds, covers 84 to 90 % beside a large population.
    """
    difference, variances = a.mean - b.mean, np.array([a.standard_error**2, b.standard_error**2])
    total = float(variances.sum())
    if total == 0:
        return Interval(difference, difference, difference)
    quantile = stats.t.ppf((1 + level) / 2, [a.freedom, b.freedom]) @ variances / total
    half = float(quantile) * math.sqrt(total)
    return Interval(difference, difference - half, difference + half)


def chance_run(
    designs: Sequence[ValidationErrors],
    single: ValidationErrors,
    rng: np.random.Generator,
    *,
    census: bool = False,
    draws: int = 2000,
) -> Interval:
    """p_run = P(e <= f), one run against one run, ties (two failures too) one half.

    Mann-Whitney over designs x seeds, every design with the same weight however many seeds it has. Interval:
    p is drawn over the designs (Dirichlet weights, with 1/2 for a pseudo-design on either side, as in
    `chance.match`) and moved on the scale ``arcsin sqrt(p)`` by Student t times the standard error over seeds
    of the single design's shares of designs (placements; Sen 1967 for the two variances). The shares of two
    seeds differ by half a design at least, or by half of those that tie with one.

    Args:
        designs: for each design the errors of its seeds.
        single: errors of the single design over its seeds, at least two.
        census: `designs` are the whole space: only the seeds are drawn.
    """
    above, ties = (
        np.stack([compare(e[:, None], single).mean(axis=0) for e in designs])
        for compare in (np.less, np.equal)
    )
    table = above + 0.5 * ties
    value, count, seeds = float(table.mean()), *table.shape
    weights, pseudo = dirichlet(count, census, rng, draws)
    drawn = weights @ table.mean(axis=1) + pseudo[:, 0]
    shares = (count * table.mean(axis=0) + 0.5) / (count + 1)
    step = max(0.5 * float(ties.mean()), 0.5 / (count + 1))
    middle = float(shares.mean())
    least = float(np.diff(_angle(np.array([middle - step, middle + step])))[0]) / 2
    deviation = max(float(_angle(shares).std(ddof=1)), least) / math.sqrt(seeds)
    moved = _angle(drawn) + deviation * rng.standard_t(seeds - 1, draws)
    return Interval(value, *quantiles(np.sin(moved.clip(0, math.pi / 2)) ** 2))


def _angle(shares: Floats) -> Floats:
    angles: Floats = np.arcsin(np.sqrt(shares.clip(0, 1)))
    return angles


def dirichlet(count: int, census: bool, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
    """Weights (draws, N) of designs, Dirichlet with 1 each, and (draws, 2) of two pseudo-designs with 1/2.

    Together 1. The weight of k designs and one pseudo-design has the law ``Beta(k + 1/2, N - k + 1/2)``. Of a
    census: 1/N and 0.
    """
    if census:
        return np.full((draws, count), 1 / count), np.zeros((draws, 2))
    weights, pseudo = rng.standard_exponential((draws, count)), rng.standard_gamma(0.5, (draws, 2))
    total = weights.sum(axis=1, keepdims=True) + pseudo.sum(axis=1, keepdims=True)
    return weights / total, pseudo / total


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
