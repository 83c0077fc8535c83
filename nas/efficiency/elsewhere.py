"""The default of a task that was chosen on the other tasks: leave one task out (fairness rule 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nas.efficiency.estimators import Floats
from nas.efficiency.plan import Plan
from nas.efficiency.transfer import datasets_of, stand_in, transfer_cells
from nas.efficiency.words import carried_from
from trials.record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenElsewhere:
    """The design of a space that is the default of `task`, chosen without it.

    Attributes:
        name: as the default is listed, e.g. ``twin from digits by taps``.
        source, by: the task the design comes from and how it was carried.
        rank: its mean rank over the datasets it was ranked on, 1 is best of `candidates`.
        tasks: it was ranked on.
    """

    task: str
    space: str
    name: str
    source: str
    by: str
    rank: float
    candidates: int
    tasks: tuple[str, ...]


def chosen_elsewhere(records: Sequence[TrialRecord], plan: Plan) -> tuple[ChosenElsewhere, ...]:
    """For every task and searched space the design with the best mean rank over the other tasks.

    For a task B: candidates are the designs chosen on the other tasks, in either way of carrying, that have
    trials on B. They are ranked on every other task C by the mean select error of their trials there
    (infinite with one that failed; ties share the mean rank; a candidate without trials on C has the worst
    rank), ranks are averaged over the tasks of a dataset, then over datasets; the lowest wins, ties go by
    name. *Other* tasks are those of other datasets than B's: no row of B's dataset is looked at, in whatever
    split, size or form. A single candidate is the default: there is nothing to choose.
    """
    datasets = datasets_of(records)
    found = []
    for space in plan.searched:
        cells = transfer_cells(records, space)
        errors = {key: float(np.mean([r.select_error for r in trials])) for key, trials in cells.items()}
        for task in sorted({task for _, _, task in cells}):
            if chosen := _chosen(space, task, errors, datasets):
                found.append(chosen)
    return tuple(found)


def trials_of(chosen: ChosenElsewhere, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trainings of a chosen default on its task."""
    cells = transfer_cells(records, chosen.space)
    way = stand_in(cells, chosen.source, chosen.by, chosen.task)
    return cells[chosen.source, way, chosen.task] if way else []


def _chosen(
    space: str, task: str, errors: Mapping[tuple[str, str, str], float], datasets: Mapping[str, str]
) -> ChosenElsewhere | None:
    others = sorted({key[2] for key in errors if datasets[key[2]] != datasets[task]})
    carried = {(source, by) for source, by, _ in errors}  # by fraction only what is not the same by taps
    candidates = sorted(
        (carried_from(space, source, by), source, by)
        for source, by in carried
        if datasets[source] != datasets[task] and stand_in(errors, source, by, task)
    )
    if not others or not candidates:
        return None
    by_dataset: dict[str, list[Floats]] = {}
    for other in others:
        ways = [stand_in(errors, source, by, other) for _, source, by in candidates]
        known = np.array(
            [errors[source, way, other] if way else math.nan for (_, source, _), way in zip(candidates, ways)]
        )
        ranks = np.full(len(candidates), float(len(candidates)))
        ranks[~np.isnan(known)] = stats.rankdata(known[~np.isnan(known)])
        by_dataset.setdefault(datasets[other], []).append(ranks)
    means = np.mean([np.mean(ranks, axis=0) for ranks in by_dataset.values()], axis=0)
    best = min(range(len(candidates)), key=lambda i: (round(float(means[i]), 9), candidates[i][0]))
    name, source, by = candidates[best]
    return ChosenElsewhere(
        task=task,
        space=space,
        name=name,
        source=source,
        by=by,
        rank=float(means[best]),
        candidates=len(candidates),
        tasks=tuple(others),
    )
