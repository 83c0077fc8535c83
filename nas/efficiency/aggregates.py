"""Over tasks: normalised errors of the single design, the defaults and the searched spaces, side by side.

Evaluation tasks if there are any, else development tasks, never both.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.efficiency.elsewhere import ChosenElsewhere, trials_of
from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Floats
from nas.efficiency.plan import Plan
from nas.efficiency.ranks import RankTests, SignCount, rank_tests, sign_counts
from nas.efficiency.references import reference_of
from nas.efficiency.resampling import improvement, interquartile_mean, profile
from nas.efficiency.transfer import datasets_of, judged_tasks, steps_of, task_shares
from trials.record import TrialRecord

ELSEWHERE = "{space} default of the other tasks"
"""Name of the defaults that were chosen on the other tasks, one per task, as one way to go on all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """What a task's errors are normalised by: (e - reference) / (majority - reference)."""

    task: str
    dataset: str
    reference: float
    how: str
    majority: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One way to go (the single design, a default, a searched space) over all tasks of the aggregate.

    Attributes:
        runs: trainings, failed ones too; `failed` of them failed.
        searches: of a searched space, those behind its finalists, which are drawn anew together; not counted
            where a task has one search, or each search one finalist: then each run is drawn by itself.
        iqm: interquartile mean of the normalised report error (`resampling.interquartile_mean`).
        improvement: P(a run of the single design has a lower error than a run of this), None for itself.
        profile: (tau, share of tasks x runs with a normalised error <= tau).
    """

    name: str
    runs: int
    failed: int
    searches: int
    iqm: Estimate
    improvement: Estimate | None
    profile: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """What an aggregate leaves out, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """The single design beside the defaults and the searched spaces, over tasks.

    Attributes:
        of: the tasks it is over.
        scales: of these tasks.
        datasets: number of different ones; each counts once.
        standings: the single design first.
        signs, tests: per-dataset effects, and rank tests where there are enough datasets.
    """

    of: Literal["evaluation", "development"]
    scales: tuple[Scale, ...]
    datasets: int
    standings: tuple[Standing, ...]
    signs: tuple[SignCount, ...]
    tests: RankTests | None
    missing: tuple[Missing, ...]


_Runs = Mapping[str, list[Floats]]
"""Task -> units of runs: report errors, infinite for a failed one."""


def aggregate_of(
    records: Sequence[TrialRecord], plan: Plan, chosen: Sequence[ChosenElsewhere]
) -> Aggregate | None:
    """Everything over tasks; None with fewer than two that the single design was trained on.

    Runs are report errors: of fixed designs the trainings over seeds, of a searched space those of its
    finalists, each a retraining of what a search selected, with the search as the unit that is drawn anew. A
    way to go enters with all tasks or not at all: means over different tasks cannot be compared.
    """
    kind, judged = judged_tasks((record.trial.study.task for record in records), plan)
    datasets = datasets_of(records)
    runs = _runs_of(records, plan, chosen)
    ours = runs[plan.single]
    compared = [task for task in judged if task in ours]
    if len(compared) < 2:
        return None
    missing = [
        Missing(name=task, reason=f"no training of {plan.single}") for task in judged if task not in ours
    ]
    scales = []
    for task in judged:
        scale = _scale(task, datasets[task], records, plan)
        if isinstance(scale, Missing):
            missing.append(scale)
        elif task in ours:
            scales.append(scale)
    whole = {}
    for name, of_tasks in runs.items():
        absent = [task for task in compared if task not in of_tasks]
        if absent:
            missing.append(Missing(name=name, reason=f"no run on {', '.join(absent)}"))
        else:
            whole[name] = of_tasks
    return Aggregate(
        of=kind,
        scales=tuple(scales),
        datasets=len({scale.dataset for scale in scales}),
        standings=_standings(whole, scales, plan) if scales else (),
        signs=sign_counts(plan.single, whole, compared, datasets, steps_of(records)),
        tests=rank_tests(plan.single, whole, compared, datasets),
        missing=tuple(missing),
    )


def _runs_of(
    records: Sequence[TrialRecord], plan: Plan, chosen: Sequence[ChosenElsewhere]
) -> dict[str, _Runs]:
    by_study: dict[tuple[str, str, str], list[TrialRecord]] = defaultdict(list)
    for record in records:
        study = record.trial.study
        by_study[study.kind, study.space, study.task].append(record)
    tasks = sorted({task for _, _, task in by_study})
    found: dict[str, _Runs] = {}
    for space in (plan.single, *plan.defaults):
        found[space] = {
            task: [_errors([trial]) for trial in trials]
            for task in tasks
            if (trials := by_study.get(("population", space, task)))
        }
    for space in plan.searched:
        elsewhere = {
            each.task: [_errors([trial]) for trial in trials_of(each, records)]
            for each in chosen
            if each.space == space
        }
        if elsewhere:
            found[ELSEWHERE.format(space=space)] = elsewhere
    for space in plan.searched:
        found[space] = {
            task: _by_search(trials) for task in tasks if (trials := by_study.get(("finalist", space, task)))
        }
    return found


def _by_search(trials: Sequence[TrialRecord]) -> list[Floats]:
    """One unit per search, or, of a single search, one per retraining of what it selected."""
    searches: dict[int, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        searches[trial.trial.study.seed].append(trial)
    if len(searches) == 1:
        return [_errors([trial]) for trial in trials]
    return [_errors(each) for each in searches.values()]


def _errors(records: Iterable[TrialRecord]) -> Floats:
    return np.array([record.report_error for record in records], float)


def _scale(task: str, dataset: str, records: Sequence[TrialRecord], plan: Plan) -> Scale | Missing:
    reference = reference_of(task, plan.references)
    ended = [r for r in records if r.trial.study.task == task and r.status != "failed"]
    if reference is None:
        return Missing(name=task, reason="no reference error: give one as references in the configuration")
    if not ended:
        return Missing(name=task, reason="every training failed")
    majority = ended[0].majority_error
    if majority <= reference.error:
        return Missing(
            name=task, reason=f"its reference of {reference.error:g} is not below the majority's {majority:g}"
        )
    return Scale(task=task, dataset=dataset, reference=reference.error, how=reference.how, majority=majority)


def _standings(runs: Mapping[str, _Runs], scales: Sequence[Scale], plan: Plan) -> tuple[Standing, ...]:
    shares = task_shares([scale.dataset for scale in scales])
    normalised = {
        name: [
            [(unit - scale.reference) / (scale.majority - scale.reference) for unit in of_tasks[scale.task]]
            for scale in scales
        ]
        for name, of_tasks in runs.items()
    }
    found = []
    for name, tasks in normalised.items():
        rng = np.random.default_rng([plan.seed, zlib.crc32(name.encode())])
        all_runs = np.concatenate([unit for units in tasks for unit in units])
        found.append(
            Standing(
                name=name,
                runs=len(all_runs),
                failed=int((~np.isfinite(all_runs)).sum()),
                searches=sum(len(units) for units in tasks if any(len(unit) > 1 for unit in units)),
                iqm=estimate(interquartile_mean(tasks, shares, rng)),
                improvement=None
                if name == plan.single
                else estimate(improvement(normalised[plan.single], tasks, shares, rng)),
                profile=tuple(profile(tasks, shares)),
            )
        )
    return tuple(found)
