"""Aggregates over tasks, on arrays: interquartile mean, probability of improvement, profiles, by bootstrap.

Runs are grouped into units that are independent of each other: a training of a fixed design, or a search with
all its finalists. Every dataset weighs the same, within it its tasks, within a task its units' runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from nas.efficiency.estimators import LEVEL, Floats, Interval, quantiles

Units = Sequence[Floats]
"""The runs of one design or space on one task, an array per unit."""
DRAWS = 2000


def run_weights(units: Units, rng: np.random.Generator, draws: int) -> Floats:
    """Weights (1 + draws, runs) of the runs of one task, each row sums to 1; the first is as observed.

    Of k units k - 1 are drawn with replacement: drawing k would understate the variance by (k - 1) / k, much
    for the few seeds there are (Rao and Wu 1988, JASA 83, 231-241). A single unit has no spread to draw.
    """
    count, sizes = len(units), np.array([len(unit) for unit in units])
    times = np.ones((1 + draws, count))
    if count > 1:
        times[1:] = rng.multinomial(count - 1, np.full(count, 1 / count), size=draws)
    weights = np.repeat(times, sizes, axis=1)
    normed: Floats = weights / weights.sum(axis=1, keepdims=True)
    return normed


def trimmed_mean(values: Floats, weights: Floats) -> Floats:
    """Mean of the middle half of the weight, for each row of `weights` (draws, runs), which sum to 1.

    The interquartile mean of Agarwal et al. (2021, "Deep reinforcement learning at the edge of the
    statistical precipice"): a quarter of the weight is cut off at either end, parts of a run too. With equal
    weights and a number of runs divisible by 4 it is the mean without the lowest and highest quarter of the
    runs. Infinite where more than a quarter of the weight failed.
    """
    order = np.argsort(values, kind="stable")
    above = np.cumsum(weights[:, order], axis=1)
    kept = np.clip(np.minimum(above, 0.75) - np.maximum(above - weights[:, order], 0.25), 0.0, None)
    sorted_values = values[order]
    finite = np.isfinite(sorted_values)
    sums = kept[:, finite] @ sorted_values[finite] / 0.5
    return np.where(kept[:, ~finite].sum(axis=1) > 1e-12, math.inf, sums)


def interquartile_mean(
    tasks: Sequence[Units], shares: Floats, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """`trimmed_mean` over tasks and runs, with an interval by a bootstrap stratified by task.

    Runs are drawn anew within every task (`run_weights`); the tasks stay: the interval is that of new runs on
    these tasks. Percentiles cover 75 to 95 % with 3 or 5 runs on 1 to 10 tasks, so it is Student's t times
    the standard deviation of the draws, with half the degrees of freedom of all units, since half the weight
    is averaged. Open above where draws are infinite, on both sides where no task has two units.

    Args:
        tasks: units of every task.
        shares: (tasks,) weights of the tasks, together 1.
    """
    values = np.concatenate([run for units in tasks for run in units])
    weights = [share * run_weights(units, rng, draws) for share, units in zip(shares, tasks)]
    found = trimmed_mean(values, np.concatenate(weights, axis=1))
    value, drawn = float(found[0]), found[1:]
    freedom = sum(len(units) - 1 for units in tasks)
    if not freedom or not math.isfinite(value):
        return Interval(value, -math.inf, math.inf)
    finite = drawn[np.isfinite(drawn)]
    half = float(stats.t.ppf((1 + LEVEL) / 2, max(1.0, freedom / 2)) * finite.std(ddof=1))
    return Interval(value, value - half, math.inf if len(finite) < len(drawn) else value + half)


def improvement(
    ours: Sequence[Units],
    theirs: Sequence[Units],
    shares: Floats,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Interval:
    """P(error of a run of ours < that of theirs), ties (two failures too) one half, averaged over tasks.

    Mann-Whitney on every task (Agarwal et al. 2021: there of scores, so the other way round); percentiles of
    the bootstrap of `interquartile_mean`, both sides drawn. On tasks where all or no pairs improve,
    resampling sees no spread. They may move by their share times Clopper-Pearson's bound for as many pairs of
    units as the smaller side has, summed over these tasks; that and the percentiles' distance are added as
    squares (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702).
    """
    drawn, value = np.zeros(draws), 0.0
    sure = {0.0: [0.0, 0], 1.0: [0.0, 0]}  # share and pairs of the tasks without a spread
    for share, mine, other in zip(shares, ours, theirs):
        a, b = np.concatenate(mine), np.concatenate(other)
        table = (a[:, None] < b) + 0.5 * (a[:, None] == b)
        of_task = ((run_weights(mine, rng, draws) @ table) * run_weights(other, rng, draws)).sum(axis=1)
        value += share * of_task[0]
        drawn += share * of_task[1:]
        if (certain := float(round(of_task[0], 12))) in sure:
            sure[certain][0] += share
            sure[certain][1] += min(len(mine), len(other))
    value = round(value, 12)
    low, high = quantiles(drawn)
    fall, rise = (share * _unseen(int(pairs)) for share, pairs in (sure[1.0], sure[0.0]))
    below, above = math.hypot(max(0.0, value - low), fall), math.hypot(max(0.0, high - value), rise)
    return Interval(value, max(0.0, value - below), min(1.0, value + above))


def _unseen(pairs: int) -> float:
    """The largest chance of what was not seen in so many pairs, 0 for none."""
    return 1 - ((1 - LEVEL) / 2) ** (1 / pairs) if pairs else 0.0


def profile(tasks: Sequence[Units], shares: Floats) -> list[tuple[float, float]]:
    """(tau, share of tasks x runs with an error <= tau) at every error that is finite, rising in tau."""
    values = np.concatenate([run for units in tasks for run in units])
    none = np.random.default_rng(0)
    weights = np.concatenate([share * run_weights(units, none, 0)[0] for share, units in zip(shares, tasks)])
    levels, group = np.unique(values, return_inverse=True)
    risen = np.cumsum(np.bincount(group, weights))
    return [(float(tau), min(float(s), 1.0)) for tau, s in zip(levels, risen) if math.isfinite(tau)]
