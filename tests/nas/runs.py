"""Small runs of the real thing, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nas.config import SearchConfig
from nas.open_space import open_spaces
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from trials.plain import dumps
from trials.record import EpochMetrics, Trial, TrialRecord, Verdict
from trials.storage import Storage
from trials.synthetic import run_trial
from trials.task import open_task

SMALL = SearchConfig(
    name="small",
    tasks=("digits",),
    rows=200,
    epochs=3,
    population=4,
    repeats=1,
    seeds=2,
    search_trials=5,
    search_seeds=1,
    finalist_seeds=1,
    grace_epochs=1,
)
"""A run of 20 trials that takes seconds."""

WHOLE = replace(
    SMALL,
    tasks=("digits", "digits_sequence"),
    controls=("twin_matched", "flexconv_fixed", "twin_learned"),
    population=3,
    search_trials=3,
    long=1,
    transfer=2,
)
"""A run of two tasks with trials of every kind."""

TRIALS = 4 + 1 + 5 + 1 + 3 * (2 + 1)
"""Trials of SMALL: population and repeats, search, its finalist, three single designs."""


def begun(path: Path | str, config: SearchConfig = SMALL) -> RunDirectory:
    """A run directory with its plan."""
    directory = RunDirectory(path)
    directory.put("config.json", dumps(config))
    return directory


def schedule_of(config: SearchConfig, path: Path | str, resume: bool = False) -> Schedule:
    """A schedule over a run directory, without a cluster."""
    directory = begun(path, config)
    tasks, spaces, shapes = [], {}, {}
    for each in config.the_tasks():
        task = open_task(each)
        tasks.append(each)
        shapes[task.name] = task.shape
        spaces |= {(task.name, name): space for name, space in open_spaces(config, task.shape).items()}
    return Schedule(config, tuple(tasks), spaces, shapes, directory)


def records_of(schedule: Schedule) -> dict[str, TrialRecord]:
    """What is in the schedule's directory, by trial."""
    records, unreadable = schedule.directory.read_records()
    assert not unreadable
    return {record.trial.id: record for record in records}


def drive(
    schedule: Schedule,
    until: Callable[[Trial], bool] = lambda trial: False,
    checkpoints: Path | str | None = None,
    pause: tuple[str, int] = ("", 0),
    fails: Callable[[Trial], bool] = lambda trial: False,
) -> list[Trial]:
    """Run trials with closed-form learning curves on one slot.

    Args:
        until: leave, like a killed driver, when this trial was handed out.
        checkpoints: where trials keep theirs.
        pause: leave after this epoch of this trial, whatever the schedule said.
        fails: trials that end as failed.
    """
    handed_out = []
    while (trial := schedule.next(0)) is not None:
        assert isinstance(trial, Trial), "one slot never has to wait for another"
        handed_out.append(trial)
        if until(trial):
            break

        def report(metrics: EpochMetrics, trial: Trial = trial) -> Verdict:
            told = schedule.report(trial, metrics)
            return "pause" if (trial.id, metrics.epoch) == pause else told

        folder = Storage(f"{checkpoints}/{trial.id}") if checkpoints else None
        record = run_trial(trial, open_task(trial.task), report=report, folder=folder)
        if record is None:
            break
        schedule.finish(0, replace(record, status="failed", reason="made to") if fails(trial) else record)
    return handed_out
