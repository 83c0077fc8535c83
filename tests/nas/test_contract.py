"""Every sampler under every stopping rule: a driver killed anywhere changes no decision."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nas.config import SearchConfig
from nas.schedule import Schedule
from tests.nas.closed import Dead, at, drive, found, killed, schedule_of
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
SPACES = ("tcn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("twin", "resnet")))


def run(config: SearchConfig, path: Path, dies: Callable[[], bool] = lambda: False) -> tuple[Schedule, int]:
    """Driven to its end by as many drivers as it takes, and how many that were."""
    checkpoints: dict[str, int] = {}
    drivers = 0
    while True:
        schedule, drivers = schedule_of(config, path), drivers + 1
        try:
            drive(schedule, checkpoints, killed(dies))
            return schedule, drivers
        except Dead:
            pass


def states(schedule: Schedule) -> list[str]:
    """What Optuna thinks of the trials of the search; the same in the study that stops them."""
    sampler = schedule._plans[study(schedule)].sampler
    assert sampler is not None
    proposing, stopping = ([t.state.name for t in s.trials] for s in (sampler._study, sampler._rule))
    assert proposing == stopping
    return proposing


def study(schedule: Schedule) -> Study:
    return Study(task="digits", space=schedule.config.spaces[1], kind="search")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("space", SPACES)
def test_a_driver_killed_again_and_again_changes_nothing(
    tmp_path: Path, sampler: str, rule: str, space: str
) -> None:
    """At a quarter of all steps: the decision that follows is made by a search that was just rebuilt."""
    config = replace(SEARCH, sampler=sampler, stopping=rule, spaces=("flexconv", space))
    undisturbed, _ = run(config, tmp_path / "a")
    rng = random.Random(f"{sampler} {rule} {space}")
    resumed, drivers = run(config, tmp_path / "b", lambda: rng.random() < 0.25)
    assert drivers > 15
    assert found(resumed.directory) == found(undisturbed.directory)
    assert states(resumed) == states(undisturbed)
    assert set(states(resumed)) == ({"COMPLETE"} if rule == "none" else {"COMPLETE", "PRUNED"})
    statuses = [each[1] for name, each in found(resumed.directory).items() if ".search." in name]
    assert statuses == [{"COMPLETE": "completed", "PRUNED": "stopped"}[each] for each in states(resumed)]


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "rule"), [("tpe", "asha"), ("nsga2", "median")])
def test_a_driver_killed_once_at_any_step_changes_nothing(tmp_path: Path, sampler: str, rule: str) -> None:
    config = replace(SEARCH, sampler=sampler, stopping=rule, spaces=("flexconv", "tcn"), search_trials=14)
    undisturbed, _ = run(config, tmp_path / "a")
    drivers, step = 2, 0
    while drivers == 2:
        resumed, drivers = run(config, tmp_path / str(step), at(step))
        assert found(resumed.directory) == found(undisturbed.directory), step
        assert states(resumed) == states(undisturbed), step
        step += 1
    assert step > 60
