"""The single design against the others, dataset by dataset: a sign count, rank tests only where n allows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Floats, Interval, Moments, moments, weighted_sum

ENOUGH_DATASETS = 10
"""Independent datasets below which no rank test is made (Demsar 2006 asks for 10 and more)."""

_Runs = Mapping[str, list[Floats]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """Report error of the other minus that of the single design on a dataset, the mean over its tasks.

    Its interval holds the noise of runs; None where a side has no two units. A win is the single design's.
    """

    dataset: str
    difference: Estimate | None
    verdict: Literal["win", "loss", "cannot say"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SignCount:
    """Datasets on which the single design wins, loses, or neither can be said, against one other."""

    other: str
    wins: int
    losses: int
    unclear: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The single design against one other: Wilcoxon's signed-rank test over datasets, p by Holm."""

    other: str
    p: float
    holm: float
    better: int
    worse: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RankTests:
    """Friedman's test of all, Wilcoxon's of the single design against each other, over n datasets.

    Attributes:
        friedman: p; None with two names.
        attainable: the smallest p that a signed-rank test of n datasets can give, ``2 / 2^n``;
            `attainable_holm` with Holm's correction for the best of the pairs.
        mean_ranks: (name, mean rank), 1 is best.
    """

    datasets: int
    friedman: float | None
    mean_ranks: tuple[tuple[str, float], ...]
    pairs: tuple[Pair, ...]
    attainable: float
    attainable_holm: float


def sign_counts(
    single: str,
    runs: Mapping[str, _Runs],
    tasks: Sequence[str],
    datasets: Mapping[str, str],
    steps: Mapping[str, float],
) -> tuple[SignCount, ...]:
    """Per other design or space the effect on every dataset, and how many are clear by their intervals.

    An effect is the mean over the dataset's tasks of the difference of mean report errors, a mean over units
    (a search with all its finalists is one), by `estimators.weighted_sum`. A failed run leaves its side open.
    `steps`: task -> what one row is of an error.
    """
    found = []
    for other, theirs in runs.items():
        if other == single:
            continue
        effects = []
        for dataset in sorted({datasets[task] for task in tasks}):
            of_dataset = [task for task in tasks if datasets[task] == dataset]
            effects.append(_effect(dataset, of_dataset, runs[single], theirs, steps))
        verdicts = [effect.verdict for effect in effects]
        found.append(
            SignCount(
                other=other,
                wins=verdicts.count("win"),
                losses=verdicts.count("loss"),
                unclear=verdicts.count("cannot say"),
                effects=tuple(effects),
            )
        )
    return tuple(found)


def _effect(
    dataset: str, tasks: Sequence[str], ours: _Runs, theirs: _Runs, steps: Mapping[str, float]
) -> Effect:
    terms: list[tuple[float, Moments]] = []
    failed = [False, False]
    for task in tasks:
        for side, (sign, units) in enumerate(((1, theirs[task]), (-1, ours[task]))):
            means = np.array([unit[np.isfinite(unit)].mean() for unit in units if np.isfinite(unit).any()])
            failed[side] |= any(not np.isfinite(unit).all() for unit in units)
            if len(means) < 2:
                return Effect(dataset=dataset, difference=None, verdict="cannot say")
            terms.append((sign / len(tasks), moments(means, steps[task])))
    found = weighted_sum(terms)
    found = Interval(
        found.value, -math.inf if failed[1] else found.low, math.inf if failed[0] else found.high
    )
    verdict: Literal["win", "loss", "cannot say"] = "cannot say"
    if found.low > 0 or found.high < 0:
        verdict = "win" if found.low > 0 else "loss"
    return Effect(dataset=dataset, difference=estimate(found), verdict=verdict)


def rank_tests(
    single: str, runs: Mapping[str, _Runs], tasks: Sequence[str], datasets: Mapping[str, str]
) -> RankTests | None:
    """Tests over datasets on mean report errors, None with fewer than 10 datasets or nothing to compare.

    A dataset's error is the mean over its tasks of the mean over runs, infinite with a failed one.
    """
    names = [single, *(name for name in runs if name != single)]
    known = sorted({datasets[task] for task in tasks})
    if len(known) < ENOUGH_DATASETS or len(names) < 2:
        return None
    table = np.array(
        [
            [
                np.mean([np.concatenate(runs[name][task]).mean() for task in tasks if datasets[task] == each])
                for name in names
            ]
            for each in known
        ]
    )
    return ranked(table, names)


def ranked(table: Floats, names: Sequence[str]) -> RankTests:
    """The tests on errors (datasets, names), the single design's in the first column.

    Friedman (1937): chi-square on ranks within datasets, ties share the mean rank. Wilcoxon (1945) of the
    single design against each other, two-sided, exact without ties; the ranks of differences of 0 are split,
    an infinite difference has the largest rank. Holm (1979) over the pairs.
    """
    count, others = len(table), len(names) - 1
    ranks = stats.rankdata(table, axis=1)
    friedman = None
    if others > 1:
        same = bool((ranks == ranks[0, 0]).all())  # every error the same: scipy would divide 0 by 0
        friedman = 1.0 if same else float(stats.friedmanchisquare(*table.T).pvalue)
    raw = [_signed_rank(table[:, 0], table[:, i]) for i in range(1, len(names))]
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty(others)
    adjusted[order] = np.minimum(
        1.0, np.maximum.accumulate(np.array(raw)[order] * (others - np.arange(others)))
    )
    least = 2.0 / 2.0**count
    return RankTests(
        datasets=count,
        friedman=friedman,
        mean_ranks=tuple((name, float(rank)) for name, rank in zip(names, ranks.mean(axis=0))),
        pairs=tuple(
            Pair(
                other=name,
                p=p,
                holm=float(holm),
                better=int((table[:, i] > table[:, 0]).sum()),
                worse=int((table[:, i] < table[:, 0]).sum()),
            )
            for i, (name, p, holm) in enumerate(zip(names[1:], raw, adjusted), start=1)
        ),
        attainable=least,
        attainable_holm=min(1.0, least * others),
    )


def _signed_rank(ours: Floats, theirs: Floats) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs."""
    known = np.zeros(len(ours))  # two failures differ by nothing
    np.subtract(theirs, ours, out=known, where=theirs != ours)
    finite = np.abs(known[np.isfinite(known)])
    most = 2 * float(finite.max(initial=0.0)) + 1.0
    known = np.clip(known, -most, most)
    if not known.any():
        return 1.0
    return float(stats.wilcoxon(known, zero_method="zsplit").pvalue)
