"""Designs chosen on one task and trained on another: is a design of one task of use on the next?

Everything here is over fresh seeds; no population, search or verdict rests on these trials.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Floats, Interval, Moments, moments, weighted_sum
from nas.efficiency.level import difference, step_of
from nas.efficiency.plan import Plan
from nas.efficiency.words import carried_from
from trials.record import TrialRecord
from trials.reference import Task

ENOUGH_SEEDS = 3
"""Trainings below which a cell is descriptive."""
WAYS = ("taps", "fraction")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One design on one task: report error over fresh seeds.

    Attributes:
        seeds: trainings that ended; `failed` come on top.
        error, sd: mean and standard deviation over those that ended; sd None for one.
        difference: its error minus that of the task's own best design, retrained (Welch); open where a
            training failed; None for own best itself, and with under two seeds on either side.
        own: the design was chosen on this task.
        as_taps: carried by fraction it has no trials of its own, since it is the design carried by taps.
        descriptive: fewer than 3 seeds.
    """

    task: str
    seeds: int
    failed: int
    error: float | None
    sd: float | None
    difference: Estimate | None
    own: bool = False
    as_taps: bool = False
    descriptive: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A design carried from `source`, or a fixed design (`source` and `by` empty), on every task.

    `cells` are in the order of the matrix's tasks; None: not trained, or not possible.
    """

    name: str
    source: str
    by: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """Mean report error minus that of a task's own best, retrained, over tasks; a dataset counts once.

    Attributes:
        name: what was trained: designs carried one way, or a fixed design.
        carried: by ``taps`` or ``fraction``; empty for a fixed design.
        loss: its interval holds the noise of seeds, for these tasks and these designs.
        cells, datasets, failed: what it rests on; a failed training leaves the interval open.
        left_out: tasks with a cell, or own best, of which fewer than two trainings ended.
    """

    name: str
    carried: str
    loss: Estimate
    cells: int
    datasets: int
    failed: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferMatrix:
    """One searched space: where a design was chosen (rows) against where it was trained (`tasks`).

    `losses` are over the evaluation tasks among them, or over development tasks (`of`) if there is no other.
    """

    space: str
    tasks: tuple[str, ...]
    of: Literal["evaluation", "development"]
    rows: tuple[Row, ...]
    losses: tuple[Loss, ...]


def transfers_of(records: Sequence[TrialRecord], plan: Plan) -> tuple[TransferMatrix, ...]:
    """The matrix of every searched space that has trials of kind ``transfer``, in the plan's order.

    The mean loss over the tasks B, each with the designs of tasks of other datasets: per task the mean of its
    cells minus own best; the mean over tasks of one dataset; the mean over datasets. Standard errors of the
    cells' means are propagated (own best is shared by the cells of a column), degrees of freedom by Welch and
    Satterthwaite. Cells and own best count from 3 trainings; a task is left out, and named, where fewer than
    two of a cell's ended.
    """
    names = sorted({record.trial.study.task for record in records})
    of, judged = judged_tasks(names, plan)
    tasks = _Tasks(names, judged, of, datasets_of(records), steps_of(records))
    fixed = {
        (space, task): _errors(
            r
            for r in records
            if (r.trial.study.kind, r.trial.study.space) == ("population", space)
            and r.trial.study.task == task
        )
        for space in (plan.single, *plan.defaults)
        for task in names
    }
    found = []
    for space in plan.searched:
        if cells := transfer_cells(records, space):
            errors = {key: _errors(trials) for key, trials in cells.items()}
            found.append(_matrix(space, tasks, errors, fixed, (plan.single, *plan.defaults)))
    return tuple(found)


def judged_tasks(
    tasks: Iterable[str], plan: Plan
) -> tuple[Literal["evaluation", "development"], tuple[str, ...]]:
    """The tasks that statements over tasks rest on: evaluation tasks, or if there are none, the others."""
    names = sorted(set(tasks))
    evaluation = tuple(name for name in names if name not in plan.development)
    return ("evaluation", evaluation) if evaluation else ("development", tuple(names))


def transfer_cells(
    records: Iterable[TrialRecord], space: str
) -> dict[tuple[str, str, str], list[TrialRecord]]:
    """Trials of kind ``transfer`` of a space: (source, by, task) -> trainings of one design."""
    cells: dict[tuple[str, str, str], list[TrialRecord]] = defaultdict(list)
    for record in records:
        study = record.trial.study
        if study.kind == "transfer" and study.space == space:
            cells[study.source, study.by, study.task].append(record)
    return dict(cells)


def stand_in(cells: Mapping[tuple[str, str, str], object], source: str, by: str, task: str) -> str | None:
    """How a cell's trials were carried: where both ways give one design, its trials are those by taps."""
    return next((way for way in dict.fromkeys((by, "taps")) if (source, way, task) in cells), None)


def datasets_of(records: Iterable[TrialRecord]) -> dict[str, str]:
    """Task -> what it is made from, of all tasks that records name, sources of transfer too."""
    named = list(records)
    sources = {r.trial.study.source: r.trial.study.source for r in named if r.trial.study.source}
    found = {name: Task.parse(name).dataset for name in sources}
    return found | {r.trial.study.task: r.trial.task.dataset for r in named}


def steps_of(records: Iterable[TrialRecord]) -> dict[str, float]:
    """Task -> what one report row is of an error."""
    by_task: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        by_task[record.trial.study.task].append(record)
    return {task: step_of(trials) for task, trials in by_task.items()}


def task_shares(datasets: Sequence[str]) -> Floats:
    """Weights of tasks, given the dataset of each: a dataset counts once, its tasks share that equally."""
    count = len(set(datasets))
    return np.array([1 / (count * list(datasets).count(dataset)) for dataset in datasets])


def _errors(records: Iterable[TrialRecord]) -> Floats:
    return np.array([record.report_error for record in records], float)


_Cells = Mapping[tuple[str, str, str], Floats]


class _Tasks(NamedTuple):
    """All tasks, those that are judged, what each is made from, and what one row is of its errors."""

    names: Sequence[str]
    judged: Sequence[str]
    of: Literal["evaluation", "development"]
    datasets: Mapping[str, str]
    steps: Mapping[str, float]


def _matrix(
    space: str,
    tasks: _Tasks,
    cells: _Cells,
    fixed: Mapping[tuple[str, str], Floats],
    names: Sequence[str],
) -> TransferMatrix:
    nothing = np.array([])
    own = {task: cells.get((task, "taps", task), nothing) for task in tasks.names}
    sources = sorted({source for source, _, _ in cells})
    rows, losses = [], []
    for source in sources:
        for by in WAYS:
            if by == "fraction" and not any(key[:2] == (source, by) for key in cells):
                continue  # to every task the same designs as by taps
            line = []
            for task in tasks.names:
                as_taps = by == "fraction" and (source, by, task) not in cells
                errors = cells.get((source, "taps" if as_taps else by, task), nothing)
                line.append(_cell(task, errors, own[task], tasks, own=source == task, as_taps=as_taps))
            if any(line):
                name = carried_from(space, source, by)
                rows.append(Row(name=name, source=source, by=by, cells=tuple(line)))
    for by in WAYS:
        columns = {
            task: [
                cells[source, way, task]
                for source in sources
                if tasks.datasets[source] != tasks.datasets[task]
                and (way := stand_in(cells, source, by, task))
            ]
            for task in tasks.judged
        }
        losses.append(_loss(f"{space} designs by {by}", by, columns, own, tasks))
    for name in names:
        line = [_cell(task, fixed[name, task], own[task], tasks) for task in tasks.names]
        if any(line):
            rows.append(Row(name=name, source="", by="", cells=tuple(line)))
        columns = {task: [fixed[name, task]] for task in tasks.judged if len(fixed[name, task])}
        losses.append(_loss(name, "", columns, own, tasks))
    return TransferMatrix(
        space=space,
        tasks=tuple(tasks.names),
        of=tasks.of,
        rows=tuple(rows),
        losses=tuple(each for each in losses if each),
    )


def _cell(
    task: str, errors: Floats, best: Floats, tasks: _Tasks, own: bool = False, as_taps: bool = False
) -> Cell | None:
    if not len(errors):
        return None
    ended = errors[np.isfinite(errors)]
    found = None if own else difference(errors, best, tasks.steps[task])
    return Cell(
        task=task,
        seeds=len(ended),
        failed=len(errors) - len(ended),
        error=float(ended.mean()) if len(ended) else None,
        sd=float(ended.std(ddof=1)) if len(ended) > 1 else None,
        difference=estimate(found) if found else None,
        own=own,
        as_taps=as_taps,
        descriptive=len(ended) < ENOUGH_SEEDS,
    )


def _loss(
    name: str,
    by: str,
    columns: Mapping[str, Sequence[Floats]],
    own: Mapping[str, Floats],
    tasks: _Tasks,
) -> Loss | None:
    """See `transfers_of`: weights on the means of cells and of own best, then one Welch sum."""
    trained = {
        task: (enough, own[task])
        for task, cells in columns.items()
        if (enough := [errors for errors in cells if len(errors) >= ENOUGH_SEEDS])
        and len(own[task]) >= ENOUGH_SEEDS
    }
    judged = {
        task: (cells, best)
        for task, (cells, best) in trained.items()
        if all(np.isfinite(errors).sum() > 1 for errors in (*cells, best))
    }
    if not judged:
        return None
    datasets = [tasks.datasets[task] for task in judged]
    terms: list[tuple[float, Moments]] = []
    for weight, (task, (cells, best)) in zip(task_shares(datasets), judged.items()):
        step = tasks.steps[task]
        terms += [(weight / len(cells), _ended(errors, step)) for errors in cells]
        terms.append((-weight, _ended(best, step)))
    total = weighted_sum(terms)
    failed = [~np.isfinite(np.concatenate(cells)) for cells, _ in judged.values()]
    open_above = any(each.any() for each in failed)
    open_below = any((~np.isfinite(best)).any() for _, best in judged.values())
    return Loss(
        name=name,
        carried=by,
        loss=estimate(
            Interval(
                total.value,
                -math.inf if open_below else total.low,
                math.inf if open_above else total.high,
            )
        ),
        cells=sum(len(cells) for cells, _ in judged.values()),
        datasets=len(set(datasets)),
        failed=int(sum(each.sum() for each in failed)),
        left_out=tuple(task for task in trained if task not in judged),
    )


def _ended(errors: Floats, step: float) -> Moments:
    return moments(errors[np.isfinite(errors)], step)
