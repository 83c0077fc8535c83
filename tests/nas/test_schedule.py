"""What a run consists of, in which order, and that a killed driver changes nothing that counts."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.population import population
from nas.run_directory import RunDirectory
from nas.schedule import MAX_ATTEMPTS
from search_spaces import SPACES, Architecture, Choice, Space, TaskShape
from search_spaces.space import Values
from tests.nas.runs import SMALL, TRIALS, drive, records_of, schedule_of
from trials import training
from trials.record import EpochMetrics, Trial, Verdict
from trials.storage import Storage
from trials.synthetic import run_trial
from trials.task import open_task

SHAPE = TaskShape(extent=(8, 8), channels=1, classes=10)


def test_a_run_has_the_planned_trials_and_a_record_for_each(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    trials = drive(schedule)
    kinds = Counter((trial.study.space, trial.study.kind) for trial in trials)
    assert kinds["twin", "population"] == 5
    assert kinds["twin", "search"] == 5
    assert kinds["twin", "finalist"] == 1
    assert kinds["flexconv", "population"] == 2
    assert kinds["twin_3x3", "finalist"] == 1
    assert len(trials) == len({trial.id for trial in trials}) == schedule.total == TRIALS
    records, unreadable = RunDirectory(tmp_path).read_records()
    assert sorted(record.trial.id for record in records) == sorted(trial.id for trial in trials)
    assert not unreadable


def test_a_design_is_on_disk_before_its_trial_starts(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    trial = schedule.next(0)
    assert RunDirectory(tmp_path).read_trials() == ([trial], [])


def test_finalists_retrain_the_best_completed_design_with_fresh_seeds(tmp_path: Path) -> None:
    schedule = schedule_of(replace(SMALL, finalist_seeds=3), tmp_path)
    drive(schedule)
    records = records_of(schedule).values()
    searched = [r for r in records if r.trial.study.kind == "search" and r.status == "completed"]
    best = min(searched, key=lambda record: record.select_error)
    finalists = [
        r.trial for r in records if r.trial.study.kind == "finalist" and r.trial.study.space == "twin"
    ]
    assert {trial.selected_from for trial in finalists} == {best.trial.id}
    assert {trial.architecture for trial in finalists} == {best.trial.architecture}
    assert len({trial.seed for trial in finalists} | {best.trial.seed}) == 4


def test_searches_stop_trials_and_populations_never(tmp_path: Path) -> None:
    schedule = schedule_of(replace(SMALL, search_trials=12, epochs=9), tmp_path)
    drive(schedule)
    stopped = [r for r in records_of(schedule).values() if r.status == "stopped"]
    assert stopped
    assert {record.trial.study.kind for record in stopped} == {"search"}
    assert all(len(record.curve) in (1, 3) for record in stopped)  # rungs of base 3


@pytest.mark.parametrize("killed_at", [0, 3, 9, 14, TRIALS - 1])
def test_a_killed_driver_loses_and_changes_nothing(tmp_path: Path, killed_at: int) -> None:
    undisturbed = schedule_of(SMALL, tmp_path / "a")
    drive(undisturbed)

    seen: list[Trial] = []

    def kill(trial: Trial) -> bool:
        seen.append(trial)
        return len(seen) == killed_at + 1

    drive(schedule_of(SMALL, tmp_path / "b"), until=kill)
    resumed = schedule_of(SMALL, tmp_path / "b", resume=True)
    first = drive(resumed)[0]
    assert first.id == seen[-1].id  # the trial that ran when the driver died goes first
    assert set(records_of(resumed)) == set(records_of(undisturbed))
    for name, record in records_of(undisturbed).items():
        assert records_of(resumed)[name].trial == record.trial
        assert records_of(resumed)[name].curve == record.curve
        assert records_of(resumed)[name].status == record.status


def test_a_slot_that_comes_back_gets_its_trial_again_and_gives_up_at_last(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    first = schedule.next(0)
    assert isinstance(first, Trial)
    assert [schedule.next(0) for _ in range(MAX_ATTEMPTS - 1)] == [first] * (MAX_ATTEMPTS - 1)
    other = schedule.next(0)
    assert isinstance(other, Trial)
    assert other.id != first.id
    record = records_of(schedule)[first.id]
    assert record.status == "failed"
    assert "worker died" in record.reason


def test_workers_that_die_while_a_trial_comes_further_do_not_count(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    first = schedule.next(0)
    assert isinstance(first, Trial)
    curve: list[EpochMetrics] = []

    def note(metrics: EpochMetrics) -> Verdict:
        curve.append(metrics)
        return "continue"

    run_trial(first, open_task(first.task), report=note)
    for metrics in curve:
        schedule.lost(0)
        assert schedule.next(0) == first
        schedule.report(first, metrics)
        schedule.lost(0)
        assert schedule.next(0) == first
    for metrics in curve[: MAX_ATTEMPTS - 1]:  # from the beginning again, no checkpoint: not further
        assert not records_of(schedule)
        schedule.report(first, metrics)
        schedule.lost(0)
        schedule.next(0)
    assert "worker died" in records_of(schedule)[first.id].reason


def test_a_trial_whose_worker_died_too_often_keeps_what_it_had_spent(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    first = schedule.next(0)
    assert isinstance(first, Trial)

    def die_in_the_second_epoch(metrics: EpochMetrics) -> Verdict:
        if metrics.epoch == 2:
            raise KeyboardInterrupt
        return "continue"

    with pytest.raises(KeyboardInterrupt):
        training.run_trial(
            first,
            open_task(first.task),
            report=die_in_the_second_epoch,
            folder=RunDirectory(tmp_path).folder(first.id),
            checkpoint_seconds=0,
            device_share=0.5,
        )
    for _ in range(MAX_ATTEMPTS):
        schedule.next(0)
    record = records_of(schedule)[first.id]
    assert (record.status, record.device_share, len(record.curve)) == ("failed", 0.5, 1)
    assert record.seconds_training == record.curve[0].seconds_training > 0
    assert record.training_multiply_adds > record.multiply_adds > 0
    assert record.device and record.peak_memory_bytes > 0 and record.started < record.finished
    assert RunDirectory(tmp_path).read_records() == ([record], [])


def test_paused_hands_out_nothing_and_tells_trials_to_pause(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    trial = schedule.next(0)
    assert isinstance(trial, Trial)
    schedule.paused = True
    assert schedule.next(1) is None
    answers: list[str] = []

    def report(metrics: EpochMetrics) -> Verdict:
        answers.append(schedule.report(trial, metrics))
        return schedule.report(trial, metrics)

    assert run_trial(trial, open_task(trial.task), report=report, folder=Storage(str(tmp_path / "t"))) is None
    assert answers == ["pause"]


def test_a_kill_between_two_rungs_changes_no_later_decision(tmp_path: Path) -> None:
    config = replace(SMALL, spaces=("flexconv", "twin"), epochs=9, search_trials=8, population=1, repeats=0)
    undisturbed = schedule_of(config, tmp_path / "a")
    drive(undisturbed)
    searched = [r for r in records_of(undisturbed).values() if r.trial.study.kind == "search"]
    assert {record.status for record in searched} == {"completed", "stopped"}

    victims = [(r.trial.id, epoch) for r in searched for epoch in (1, 2, 3) if len(r.curve) >= epoch]
    for victim, epoch in victims:  # 1 and 3 are rungs: what it was told there was lost
        path = tmp_path / f"{victim}.{epoch}"
        schedule = schedule_of(config, path)
        drive(schedule, checkpoints=path / "checkpoints", pause=(victim, epoch))
        resumed = schedule_of(config, path, resume=True)
        drive(resumed, checkpoints=path / "checkpoints")
        assert {name: (r.status, r.curve) for name, r in records_of(resumed).items()} == {
            name: (r.status, r.curve) for name, r in records_of(undisturbed).items()
        }


def test_a_removed_trial_is_run_again_and_a_removed_searched_one_refused(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    drive(schedule)
    shutil.rmtree(tmp_path / "trials" / "digits@rows=200.twin.population.0.0001")
    resumed = schedule_of(SMALL, tmp_path, resume=True)
    (again,) = drive(resumed)
    assert again.id == "digits@rows=200.twin.population.0.0001"
    assert again == records_of(schedule)[again.id].trial
    shutil.rmtree(tmp_path / "trials" / "digits@rows=200.twin.search.0.0002")
    with pytest.raises(ValueError, match=r"trial 2 of digits@rows=200\.twin\.search\.0 is missing"):
        schedule_of(SMALL, tmp_path, resume=True)


def test_a_space_that_merges_values_gives_different_designs_and_ends() -> None:
    values = tuple(range(40))
    merging = Space(
        name="merging",
        choices=(Choice(name="a", options=values), Choice(name="b", options=values)),
        assemble=lambda values: Architecture.of("x", half=int(values["a"] or 0) // 20),
    )
    assert len(population(merging, 5, seed=0)) == 2


def test_values_that_cannot_be_assembled_are_said_before_anything_runs() -> None:
    def assemble(values: Values) -> Architecture:
        raise KeyError("width")

    broken = Space(name="broken", choices=(Choice(name="a", options=(1, 2)),), assemble=assemble)
    with pytest.raises(
        ValueError, match=r"the space broken cannot assemble \{'a': [12]\}: KeyError: 'width'"
    ):
        population(broken, 2, seed=0)


def test_a_second_slot_waits_for_the_search_and_then_gets_the_finalist(tmp_path: Path) -> None:
    schedule = schedule_of(replace(SMALL, defaults=(), seeds=1, population=1, repeats=0), tmp_path)
    seen = [schedule.next(slot) for slot in range(9)]
    assert seen[-1] == "wait"
    assert all(isinstance(trial, Trial) for trial in seen[:8])


def test_a_population_has_different_designs_by_the_law_of_the_space() -> None:
    space = SPACES["twin"](SHAPE)
    designs = population(space, 100, seed=3)
    assert len({space.decode(values).id for values in designs}) == 100
    assert population(space, 100, seed=3) == designs
    assert population(space, 100, seed=4) != designs
    first = [values["kernel_1"] for values in designs]
    counts = np.array([first.count(option) for option in space.choices[0].options])
    assert (np.abs(counts - 100 / len(counts)) < 4 * np.sqrt(100 * 2 / 9)).all()


def test_a_population_of_a_small_space_is_a_census() -> None:
    space = SPACES["twin"](SHAPE)
    designs = population(space, 10_000, seed=0)
    assert len(designs) == space.size == 243
    assert len({space.decode(values).id for values in designs}) == 243


@pytest.mark.parametrize("name", ["twin", "twin_shared", "cell"])
def test_a_population_begins_with_every_smaller_one(name: str) -> None:
    space = SPACES[name](SHAPE)
    large = population(space, 300, seed=5)
    assert len(large) == min(300, space.size)
    for count in (1, 2, 50, 100, 243):
        assert population(space, count, seed=5) == large[:count]
