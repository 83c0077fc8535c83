"""A run that grows keeps what it has, and ends with what its larger plan asks for."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from nas.studies import key
from tests.nas.closed import Dead, Step, at, drive, found, schedule_of
from trials.record import Study, Trial, TrialRecord

SMALL = SearchConfig(
    name="grows",
    tasks=("digits",),
    spaces=("flexconv", "twin_shared"),
    defaults=("twin_3x3",),
    controls=("twin_learned", "twin_matched"),
    epochs=2,
    population=2,
    repeats=1,
    seeds=2,
    long=1,
    search_trials=3,
    search_seeds=1,
    finalist_seeds=1,
    grace_epochs=1,
    reduction_factor=2,
)
MIDDLE = replace(SMALL, population=4, repeats=2, seeds=3, search_trials=6, finalist_seeds=2)
LARGE = replace(
    MIDDLE,
    tasks=("digits", "digits_sequence"),
    spaces=("flexconv", "twin_shared", "tcn"),
    defaults=("twin_3x3", "twin_7x7"),
    controls=("twin_learned", "twin_matched", "flexconv_fixed"),
    population=5,
    repeats=3,
    long=2,
    search_trials=8,
    search_seeds=2,
    transfer=1,
)


def grow(path: Path, *plans: tuple[SearchConfig, int | None], live: bool) -> Schedule:
    """Run plan after plan in one directory, each to this step (None: to its end).

    Args:
        live: the plan grows while a trial runs, otherwise with a new driver.
    """
    checkpoints: dict[str, int] = {}
    directory = RunDirectory(path)
    kept: list[TrialRecord] = []
    schedule = schedule_of(plans[0][0], path)

    def growing(until: int | None, larger: SearchConfig) -> Step:
        here = at(*(() if until is None else (until,)))

        def step(now: Schedule) -> Schedule:
            nonlocal schedule
            if here():
                kept.extend(directory.read_records()[0])
                if not live:
                    raise Dead
                schedule = now = schedule_of(larger, path, before=now)
            return now

        return step

    for (config, until), (larger, _) in pairwise((*plans, plans[-1])):
        if schedule.config != config:
            kept += directory.read_records()[0]
            schedule = schedule_of(config, path)
        with suppress(Dead):
            drive(schedule, checkpoints, growing(until, larger))
    records = directory.read_records()[0]
    assert all(record in records for record in kept)
    return schedule


def keys(directory: RunDirectory, study: Study) -> Counter[object]:
    trials, _ = directory.read_trials()
    return Counter(key(trial) for trial in trials if trial.study == study)


def check(schedule: Schedule, fresh: RunDirectory) -> None:
    """The run holds what its last plan asks for, and no design that none of its plans did."""
    config, directory = schedule.config, schedule.directory
    ended = found(directory)
    assert schedule.total == schedule.ended == len(ended)
    assert not schedule.over
    trials = [trial for trial, *_ in ended.values() if isinstance(trial, Trial)]
    for study in {trial.study for trial in RunDirectory(fresh.storage.root).read_trials()[0]}:
        ours, theirs = keys(directory, study), keys(fresh, study)
        numbers = sorted(trial.number for trial in trials if trial.study == study)
        assert numbers == list(range(len(numbers)))
        if study.kind == "search":
            assert ours == theirs and len(numbers) == config.search_trials
        elif study.kind in ("finalist", "transfer"):
            assert max(ours.values()) >= min(theirs.values())  # those of an earlier best stay beside them
            assert len(numbers) >= theirs.total()
        elif study.space in ("twin_learned", "twin_matched"):
            assert len(numbers) == theirs.total()
        else:
            assert ours == theirs, study
    planned = directory.planned()
    assert planned == Counter(trial.study.name for trial in trials)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """The two larger plans run at once."""
    made = {}
    for name, config in (("middle", MIDDLE), ("large", LARGE)):
        schedule = schedule_of(config, tmp_path_factory.mktemp(name))
        drive(schedule, {})
        made[name] = schedule.directory
    return made


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("until", [None, 0, 7, 31, 46, 55, 70])
def test_a_run_that_grew_keeps_its_trials_and_has_all_of_its_plan(
    tmp_path: Path, until: int | None, live: bool, fresh: dict[str, RunDirectory]
) -> None:
    check(grow(tmp_path, (SMALL, until), (MIDDLE, None), live=live), fresh["middle"])
    before = found(RunDirectory(tmp_path))
    schedule = grow(tmp_path, (LARGE, None), live=False)
    check(schedule, fresh["large"])
    after = found(schedule.directory)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize("live", [False, True])
def test_a_run_may_grow_at_any_step(tmp_path: Path, live: bool, fresh: dict[str, RunDirectory]) -> None:
    for step in range(90):
        check(grow(tmp_path / str(step), (SMALL, step), (MIDDLE, None), live=live), fresh["middle"])
