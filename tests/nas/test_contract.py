"""Every sampler under every stopping rule: a driver killed anywhere changes no decision."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from nas.config import SearchConfig
from nas.schedule import Schedule
from tests.nas.closed import Dead, Killed, drive, schedule_of
from trials.record import Study

SEARCH = SearchConfig(
    name="contract",
    tasks=("digits",),
    spaces=("flexconv", "twin"),
    defaults=(),
    epochs=5,
    population=1,
    repeats=0,
    seeds=1,
    search_trials=24,
    search_seeds=1,
    finalist_seeds=1,
    grace_epochs=1,
    reduction_factor=2,
)
SAMPLERS = ("tpe", "random", "nsga2")
RULES = ("asha", "median", "none")
SPACES = ("twin", "tcn", "resnet")


def run(config: SearchConfig, path: Path, dies: Killed = lambda: False) -> tuple[Schedule, int]:
    """Driven to its end by as many drivers as it takes, and how many that were."""
    checkpoints: dict[str, int] = {}
    drivers = 0
    while True:
        schedule, drivers = schedule_of(config, path), drivers + 1
        try:
            drive(schedule, checkpoints, dies)
            return schedule, drivers
        except Dead:
            pass


def found(schedule: Schedule) -> dict[str, tuple[object, ...]]:
    """Number, design and decisions of every trial."""
    records, unreadable = schedule.directory.read_records()
    assert not unreadable
    trials, _ = schedule.directory.read_trials()
    assert sorted(trial.id for trial in trials) == sorted(record.trial.id for record in records)
    return {r.trial.id: (r.trial, r.status, len(r.curve)) for r in records}


def states(schedule: Schedule) -> list[str]:
    """What Optuna thinks of the trials of the search; the same in the study that stops them."""
    sampler = schedule._plans[study(schedule)].sampler
    assert sampler is not None
    proposing, stopping = ([t.state.name for t in s.trials] for s in (sampler._study, sampler._rule))
    assert proposing == stopping
    return proposing


def study(schedule: Schedule) -> Study:
    return Study(task="digits", space=schedule.config.spaces[1], kind="search")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_driver_killed_at_every_step_changes_nothing(
    tmp_path: Path, sampler: str, rule: str, space: str
) -> None:
    """Killed after each step: every decision is made by a search that was rebuilt just before."""
    config = replace(SEARCH, sampler=sampler, stopping=rule, spaces=("flexconv", space))
    undisturbed, _ = run(config, tmp_path / "a")
    killed, drivers = run(config, tmp_path / "b", dies=every())
    assert drivers > 100
    assert found(killed) == found(undisturbed)
    assert states(killed) == states(undisturbed)
    expected = {"COMPLETE"} if rule == "none" else {"COMPLETE", "PRUNED"}
    assert set(states(killed)) == expected
    statuses = [each[1] for name, each in found(killed).items() if ".search." in name]
    assert statuses == [{"COMPLETE": "completed", "PRUNED": "stopped"}[each] for each in states(killed)]


def every() -> Killed:
    """At half of all steps, so that every other decision is made by a search that was rebuilt just before."""
    rng = random.Random(0)
    return lambda: rng.random() < 0.5
