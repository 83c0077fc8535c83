"""Tasks that differ in one thing: the number of training rows (data efficiency), the resolution, the rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nas.efficiency.plan import Plan
from trials.reference import Task

if TYPE_CHECKING:
    from nas.efficiency.results import TaskComparison

By = Literal["fraction", "rows", "resolution", "rate"]
APART: dict[By, Callable[[Task], Task]] = {
    "fraction": lambda task: replace(task, fraction=1.0),
    "rows": lambda task: replace(task, rows=None),
    "resolution": lambda task: replace(task, resolution=None),
    "rate": lambda task: replace(task, rate=None),
}
"""What a series varies -> the same task for all of its tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPoint:
    """Report error of one design or space on one task of a series.

    Attributes:
        at: training rows, or the resolution or rate; None: as the data are.
        error, sd: mean and standard deviation over `n` trainings; of an expected best over none (sd None).
    """

    task: str
    at: float | None
    error: float | None
    sd: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesLine:
    """A space along a series; `of`: ``seeds``, ``finalists``, or ``expected best of n`` random designs."""

    space: str
    of: str
    points: tuple[SeriesPoint, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSeries:
    """Tasks of one source that differ in nothing but `by`; points lie in the order of it.

    `dataset` is the source's name.

    With `rows`, validation and test rows differ too; with `fraction` they are the same.
    """

    dataset: str
    by: By
    lines: tuple[SeriesLine, ...]


def series_of(
    tasks: Sequence[TaskComparison], sources: Mapping[str, Task], plan: Plan
) -> tuple[TaskSeries, ...]:
    """Every set of two or more tasks that differ in one of `APART` only.

    Fixed designs by the mean over their seeds. A searched space by its finalists, if each task has some; else
    by the expected best of n random designs, n the smallest of those the tasks judge.

    Args:
        tasks: compared.
        sources: task -> what was opened.
        plan: roles of the spaces.
    """
    found = []
    for by, same in APART.items():
        groups: dict[Task, list[TaskComparison]] = {}
        for task in tasks:
            source = sources[task.task].at(sources[task.task].short)  # wherever its data lie
            groups.setdefault(same(source), []).append(task)
        for members in groups.values():
            if len(members) > 1:
                members.sort(key=lambda task: _place(_at(task, sources[task.task], by)))
                spaces = (plan.single, *plan.searched, *plan.defaults)
                lines = [_line(space, members, sources, by, plan) for space in spaces]
                shown = tuple(line for line in lines if line is not None)
                name = sources[members[0].task].short
                found.append(TaskSeries(dataset=name, by=by, lines=shown))
    return tuple(found)


def _at(task: TaskComparison, source: Task, by: By) -> float | None:
    if by in ("fraction", "rows"):
        return float(task.rows_train)
    value: float | None = getattr(source, by)
    return None if value is None else float(value)


def _place(at: float | None) -> tuple[bool, float]:
    return at is None, at or 0.0


def _line(
    space: str, tasks: Sequence[TaskComparison], sources: Mapping[str, Task], by: By, plan: Plan
) -> SeriesLine | None:
    shown = [next((u for u in task.usage if u.space == space), None) for task in tasks]
    fixed = space not in plan.searched
    if fixed or all(usage is not None and usage.of == "finalists" for usage in shown):
        of = "seeds" if fixed else "finalists"
        values: list[tuple[float | None, float | None, int]] = [
            (None, None, 0) if usage is None else (usage.report_error, usage.report_sd, usage.trainings)
            for usage in shown
        ]
    else:
        compared = [next(s for s in task.spaces if s.space == space) for task in tasks]
        n = min((each.n for each in compared if each.n), default=0)
        of = f"expected best of {n}"
        best = [next((b.error.value for b in each.best_of if b.n == n), None) for each in compared]
        values = [(error, None, each.designs) for error, each in zip(best, compared)]
    if all(error is None for error, _, _ in values):
        return None
    return SeriesLine(
        space=space,
        of=of,
        points=tuple(
            SeriesPoint(task=task.task, at=_at(task, sources[task.task], by), error=error, sd=sd, n=n)
            for task, (error, sd, n) in zip(tasks, values)
        ),
    )
