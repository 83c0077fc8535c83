"""Runs of trials with closed-form curves, without data or a cluster, that are killed wherever one likes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from search_spaces import SPACES, TaskShape
from search_spaces.controls import AFTER_ALL, AFTER_EACH, unlearned
from search_spaces.space import Space
from trials.record import EpochMetrics, Status, Trial, TrialRecord, Verdict

SHAPE = TaskShape(extent=(64,), channels=1, classes=10)
ROWS = 1000


def schedule_of(config: SearchConfig, path: Path, before: Schedule | None = None) -> Schedule:
    """A schedule of a plan, from whatever is in a directory."""
    tasks = config.the_tasks()
    shapes = {task.name: SHAPE for task in tasks}
    spaces = {(task.name, name): _space(name) for task in tasks for name in config.all_spaces}
    if before is not None:
        return before.grown(config, tasks, spaces, shapes)
    return Schedule(config, tasks, spaces, shapes, RunDirectory(path))


def _space(name: str) -> Space:
    single = unlearned(SPACES["flexconv"](SHAPE).decode({f"kernel_{i}": "flex" for i in range(1, 6)}), SHAPE)
    if name in AFTER_EACH:
        return AFTER_EACH[name](SHAPE, single)
    return AFTER_ALL[name](SHAPE, (single,)) if name in AFTER_ALL else SPACES[name](SHAPE)


def error(trial: Trial, epoch: int) -> float:
    """Falls with the epochs, to a level that rests on the design and a little on the seed."""
    level = 0.1 + 0.5 * int(trial.architecture.id[:4], 16) / 0xFFFF + 1e-3 * (trial.seed % 97) / 97
    return round((level + 0.3 * math.exp(-epoch)) * ROWS) / ROWS


def metrics(trial: Trial, epoch: int) -> EpochMetrics:
    sizes = tuple((3 + 2 * ((trial.seed + i) % 3),) for i in range(5))
    return EpochMetrics(
        epoch=epoch,
        train_loss=1.0,
        select_error=error(trial, epoch),
        select_loss=1.0,
        report_error=error(trial, epoch),
        report_loss=1.0,
        seconds_training=1.0 * epoch,
        seconds_evaluation=0.0,
        kernel_sizes=sizes,
    )


def record(trial: Trial, status: Status, epochs: int, reason: str = "") -> TrialRecord:
    return TrialRecord(
        trial=trial,
        status=status,
        reason=reason,
        curve=tuple(metrics(trial, epoch) for epoch in range(1, epochs + 1)),
        parameters=1000,
        training_multiply_adds=1000 * epochs,
        training_executed=1000.0 * epochs,
        multiply_adds=1000 + int(trial.architecture.id[4:8], 16),
        latency_seconds=_latency(trial) if status == "completed" else None,
        seconds_training=float(epochs),
        rows_train=100,
        rows_select=ROWS,
        rows_report=ROWS,
        classes=10,
        started=0.0,
        finished=1.0,
    )


class Dead(Exception):
    """The driver was killed."""


Step = Callable[[Schedule], Schedule]
"""What happens between two steps of a driver; gives the schedule that it goes on with.

Raises:
    Dead: the driver was killed.
"""


def drive(schedule: Schedule, checkpoints: dict[str, int], step: Step = lambda schedule: schedule) -> None:
    """Run trials on one slot until none is left.

    Args:
        checkpoints: epochs that each trial has done; outlives the driver, as a file would.
        step: called after every step.
    """
    while (trial := schedule.next(0)) is not None:
        assert isinstance(trial, Trial), "one slot never has to wait for another"
        schedule = step(schedule)
        verdict: Verdict = "continue"
        for epoch in range(1, checkpoints.get(trial.id, 0) + 1):
            verdict = schedule.report(trial, metrics(trial, epoch))
        epoch = checkpoints.get(trial.id, 0)
        while epoch < trial.recipe.epochs and verdict == "continue":
            epoch += 1
            checkpoints[trial.id] = epoch
            schedule = step(schedule)  # the epoch is in the checkpoint and was never reported
            verdict = schedule.report(trial, metrics(trial, epoch))
            schedule = step(schedule)
        schedule.finish(0, record(trial, "stopped" if verdict == "stop" else "completed", epoch))
        schedule = step(schedule)


def killed(dies: Callable[[], bool]) -> Step:
    """A driver that is killed where `dies` says so."""

    def step(schedule: Schedule) -> Schedule:
        if dies():
            raise Dead
        return schedule

    return step


def at(*places: int) -> Callable[[], bool]:
    """True at these calls, counted from 0."""
    calls = iter(range(10**9))
    return lambda: next(calls) in places


def found(directory: RunDirectory) -> dict[str, tuple[object, ...]]:
    """Number, design and decisions of every trial; each has one record."""
    records, unreadable = directory.read_records()
    trials, damaged = directory.read_trials()
    assert not unreadable and not damaged
    assert sorted(trial.id for trial in trials) == sorted(record.trial.id for record in records)
    return {r.trial.id: (r.trial, r.status, len(r.curve)) for r in records}


def _latency(trial: Trial) -> float:
    return 1e-3 * (1 + int(trial.architecture.id[8:], 16))
