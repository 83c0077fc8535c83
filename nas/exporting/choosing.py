"""Which finalist is taken: of one task, by error or by cost; or all that no other beats in both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from nas.run_directory import RunDirectory, RunTask
from trials.record import TrialRecord

By = Literal["error", "multiply-adds", "latency"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """How a finalist came to be taken.

    Attributes:
        by: what it has least of; ``front``: none of the others has both a smaller `select` error and fewer
            multiply-adds.
        among: so many finalists, itself included.
    """

    by: By | Literal["front"]
    among: int


def finalists(directory: RunDirectory, task: str | None, space: str | None) -> list[TrialRecord]:
    """Tested finalists of one task and one space: the trials that keep their weights.

    Args:
        directory: of the run.
        task, space: names as in the records; None: the only one that has any.

    Raises:
        ValueError: there are none; or several tasks or spaces to choose from; the message names them.
    """
    every = _tested(directory)
    there = sorted({(r.trial.study.task, r.trial.study.space) for r in every})
    left = [(t, s) for t, s in there if task in (None, t) and space in (None, s)]
    if not left:
        names = ", ".join(f"{t} {s}" for t, s in there) or "none yet; let the run finish with --resume"
        wanted = " and ".join(f"{w} {n!r}" for w, n in (("task", task), ("space", space)) if n is not None)
        raise ValueError(f"there is no finalist{f' of {wanted}' if wanted else ''}; there are: {names}")
    if len(left) > 1:
        names = ", ".join(f"{t} {s}" for t, s in left)
        raise ValueError(f"there are finalists of several tasks or spaces: {names}; give --task and --space")
    return [r for r in every if (r.trial.study.task, r.trial.study.space) == left[0]]


def finalists_of_task(directory: RunDirectory, task: str | None, space: str | None) -> list[TrialRecord]:
    """The same of every space of the task, if no space is named.

    Raises:
        ValueError: as `finalists`.
    """
    tasks = sorted({r.trial.study.task for r in _tested(directory)})
    if space is not None or not tasks or (task is not None and task not in tasks):
        return finalists(directory, task, space)
    if task is None and len(tasks) > 1:
        raise ValueError(f"there are finalists of several tasks: {', '.join(tasks)}; give --task")
    return [r for r in _tested(directory) if r.trial.study.task == (task or tasks[0])]


def best(records: Iterable[TrialRecord], by: By = "error") -> TrialRecord:
    """The one with the smallest `select` error, or the cheapest; of equal ones the smaller error.

    Raises:
        ValueError: an unknown `by`; of latency, none on record, or measured on different devices.
    """
    if by not in get_args(By):
        raise ValueError(f"by must be one of {', '.join(get_args(By))}, got {by!r}")
    records = list(records)
    if by == "latency" and any(r.latency_seconds is None for r in records):
        raise ValueError(
            "these finalists have no latency on record, being older than that measure; use by multiply-adds"
        )
    devices = sorted({r.device or "an unknown device" for r in records})
    if by == "latency" and len(devices) > 1:
        raise ValueError(
            f"latency compares only within one model of device, these finalists' was measured on "
            f"{', '.join(devices)}; use by multiply-adds, or error"
        )
    return min(records, key=lambda r: (_cost(r, by), r.select_error, r.trial.id))


def front(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Those than which none has both a smaller `select` error and fewer multiply-adds, cheapest first.

    Of trials that are equal in both the first by name.
    """
    ordered = sorted(records, key=lambda r: (r.multiply_adds, r.select_error, r.trial.id))
    kept: list[TrialRecord] = []
    for record in ordered:
        if not kept or record.select_error < kept[-1].select_error:
            kept.append(record)
    return kept


def how_chosen(record: TrialRecord, choice: Choice) -> str:
    """A sentence: how it came to be this finalist, and what that does to its numbers."""
    if choice.among == 1:
        return "It was the only finalist to choose from."
    match choice.by:
        case "error":
            why = "by its select error: expect the test error's interval, not its middle"
        case "front":
            why = (
                "because none of them has both a smaller select error and fewer multiply-adds; the best test "
                "error of a front is a little too good"
            )
        case "multiply-adds":
            why = f"for the fewest multiply-adds, {record.multiply_adds:,}, not for its error"
        case "latency":
            why = (
                f"for the least latency as trained, {1000 * (record.latency_seconds or 0):.2f} ms a row on "
                f"{record.device or 'an unknown device'}, not for its error"
            )
    return f"It was chosen among {choice.among} finalists {why}."


def task_of(directory: RunDirectory, record: TrialRecord) -> RunTask:
    """What run.json says of a trial's task.

    Raises:
        ValueError: nothing.
    """
    name, info = record.trial.study.task, directory.info()
    found = next((each for each in info.tasks if each.name == name), None) if info else None
    if found is None:
        raise ValueError(f"{directory}/run.json does not know the task {name!r}")
    return found


def _tested(directory: RunDirectory) -> Sequence[TrialRecord]:
    records = directory.read_records()[0]
    return [r for r in records if r.trial.study.kind == "finalist" and r.test is not None]


def _cost(record: TrialRecord, by: By) -> float:
    if by == "latency":
        return record.latency_seconds or 0.0
    return float(record.multiply_adds) if by == "multiply-adds" else record.select_error
