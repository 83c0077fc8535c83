"""Simulations of what is said across tasks: intervals beside truths, and how often tests reject wrongly.

Runs are normalised errors: a level per task plus the noise of runs.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from nas.efficiency.estimators import Floats
from nas.efficiency.ranks import ranked
from nas.efficiency.resampling import improvement, interquartile_mean, trimmed_mean

Found = list[tuple[float, float, float]]
"""(low, high, truth) of each replication."""
MANY = 40_000


def iqm_intervals(
    replications: int,
    rng: np.random.Generator,
    *,
    tasks: int,
    runs: int,
    noise: float = 0.1,
    skewed: bool = False,
    draws: int = 500,
) -> Found:
    """The interquartile mean over tasks whose levels differ by 0.2; normal or exponential noise of runs."""
    levels = rng.gamma(2.0, 0.15, tasks)

    def drawn(count: int) -> list[Floats]:
        return [
            level + noise * (rng.exponential(1.0, count) - 1 if skewed else rng.normal(0, 1, count))
            for level in levels
        ]

    everything = np.concatenate(drawn(MANY))
    truth = float(trimmed_mean(everything, np.full((1, len(everything)), 1 / len(everything)))[0])
    shares, found = np.full(tasks, 1 / tasks), []
    for _ in range(replications):
        units = [[np.array([run]) for run in of_task] for of_task in drawn(runs)]
        interval = interquartile_mean(units, shares, rng, draws)
        found.append((interval.low, interval.high, truth))
    return found


def improvement_intervals(
    replications: int,
    rng: np.random.Generator,
    *,
    chances: tuple[float, ...],
    runs: tuple[int, int],
    draws: int = 500,
) -> Found:
    """The probability of improvement over tasks with these ones; ``Phi(shift / sqrt 2)`` of normal runs."""
    shifts = np.sqrt(2) * stats.norm.ppf(chances)
    truth, shares, found = float(np.mean(chances)), np.full(len(chances), 1 / len(chances)), []
    for _ in range(replications):
        ours = [[np.array([run]) for run in rng.normal(0, 1, runs[0])] for _ in shifts]
        theirs = [[np.array([run]) for run in rng.normal(shift, 1, runs[1])] for shift in shifts]
        interval = improvement(ours, theirs, shares, rng, draws)
        found.append((interval.low, interval.high, truth))
    return found


def false_positives(
    replications: int, rng: np.random.Generator, *, datasets: int, others: int
) -> tuple[float, float]:
    """Shares of replications in which Friedman's test, and any pair after Holm, has p <= 0.05.

    All designs have the same law on a dataset: levels of datasets differ, noise is exponential.
    """
    names = tuple(f"design {i}" for i in range(others + 1))
    friedman = pairs = 0
    for _ in range(replications):
        table = rng.gamma(2.0, 0.1, (datasets, 1)) + rng.exponential(0.05, (datasets, others + 1))
        tests = ranked(table, names)
        friedman += tests.friedman is not None and tests.friedman <= 0.05
        pairs += any(pair.holm <= 0.05 for pair in tests.pairs)
    return friedman / replications, pairs / replications


def main() -> None:
    """The numbers of docs/method.md."""
    rng = np.random.default_rng(20)

    def told(found: Found) -> str:
        covered = np.mean([low <= truth <= high for low, high, truth in found])
        return f"{100 * covered:.1f} %, width {np.median([high - low for low, high, _ in found]):.3f}"

    for tasks in (2, 4, 10, 20):
        for runs in (3, 5):
            for skewed in (False, True):
                found = iqm_intervals(1000, rng, tasks=tasks, runs=runs, skewed=skewed)
                print("IQM", tasks, runs, "exponential" if skewed else "normal", told(found), flush=True)
    for chances in ((0.5,), (0.75,), (0.95,), (0.95, 0.05)):
        for tasks in (2, 4, 10):
            for runs in ((5, 5), (5, 3)):
                ours = (chances * tasks)[:tasks]
                found = improvement_intervals(1000, rng, chances=ours, runs=runs)
                print("improvement", chances, tasks, runs, told(found), flush=True)
    for datasets in (10, 15, 20, 30):
        for others in (1, 3, 6):
            print("tests", datasets, others, false_positives(5000, rng, datasets=datasets, others=others))


if __name__ == "__main__":
    main()
