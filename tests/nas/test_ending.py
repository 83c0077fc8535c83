"""What ends a run before its plan does: budgets, one failure after another; and trials that somebody ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nas.ending import IN_A_ROW
from nas.run_directory import RunDirectory
from nas.schedule import MAX_ATTEMPTS, Schedule
from tests.nas.closed import drive, metrics, record, schedule_of
from tests.nas.test_contract import SEARCH
from trials.record import Trial, TrialRecord

CONFIG = replace(SEARCH, search_trials=6, population=3, finalist_seeds=2)


def the_next(schedule: Schedule, slot: int, fits: Callable[[Trial], bool] = lambda trial: True) -> Trial:
    trial = schedule.next(slot, fits)
    assert isinstance(trial, Trial)
    return trial


def ended(path: Path) -> dict[str, TrialRecord]:
    return {each.trial.id: each for each in RunDirectory(path).read_records()[0]}


def test_a_budget_of_trials_ends_a_run_that_goes_on_with_a_larger_one(tmp_path: Path) -> None:
    config = replace(CONFIG, max_trials=4)
    schedule = schedule_of(config, tmp_path)
    running = [the_next(schedule, slot) for slot in range(4)]
    assert schedule.next(4) is None
    assert "max_trials=4" in schedule.over and "--resume" in schedule.over
    assert schedule.asked(running[0]) == "continue"  # what runs ends first

    resumed = schedule_of(config, tmp_path)  # and what ran when the driver died is run again
    drive(resumed, {})
    assert set(ended(tmp_path)) == {trial.id for trial in running}
    assert "max_trials" in resumed.over
    larger = schedule_of(replace(config, max_trials=1000), tmp_path)
    drive(larger, {})
    assert larger.over == "" and larger.ended == larger.total == len(ended(tmp_path))


def test_a_budget_of_device_hours_counts_what_records_cost(tmp_path: Path) -> None:
    config = replace(CONFIG, max_device_hours=12 / 3600)
    schedule = schedule_of(config, tmp_path)
    drive(schedule, {})
    spent = [each.seconds for each in ended(tmp_path).values()]
    assert sum(spent[:-1]) < 12 <= sum(spent)
    assert "max_device_hours" in schedule.over
    again = schedule_of(config, tmp_path)
    assert again.next(0) is None and again.over == schedule.over


def test_when_the_hours_are_over_what_runs_is_paused(tmp_path: Path) -> None:
    schedule = schedule_of(replace(CONFIG, max_hours=1.0), tmp_path)
    trial = the_next(schedule, 0)
    schedule.held = 3599.0
    assert schedule.report(trial, metrics(trial, 1)) == "continue"
    schedule.held = 3600.0
    assert schedule.report(trial, metrics(trial, 2)) == schedule.asked(trial) == "pause"
    assert schedule.next(0) is None
    assert "max_hours=1" in schedule.over


def test_a_plan_that_is_done_is_not_over(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    drive(schedule, {})
    same = schedule_of(replace(CONFIG, max_trials=schedule.total), tmp_path)
    assert same.next(0) is None and same.over == ""


def fail(schedule: Schedule, reason: str) -> Trial:
    trial = the_next(schedule, 0)
    schedule.finish(0, record(trial, "failed", 0, reason))
    return trial


def test_failures_of_one_cause_in_a_row_stop_the_run(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    running = the_next(schedule, 1)
    for _ in range(IN_A_ROW - 1):
        fail(schedule, "OSError: no space for 12 bytes")
    assert not schedule.over and schedule.asked(running) == "continue"
    last = fail(schedule, "OSError: no space for 7 bytes\nTraceback ...")
    assert schedule.next(0) is None and schedule.asked(running) == "pause"
    assert schedule.failing
    for part in ("OSError: no space for 7 bytes", last.id, "record.json", "--resume"):
        assert part in schedule.over
    for name in ended(tmp_path):
        RunDirectory(tmp_path).folder(name).remove("record.json")
    drive(schedule_of(CONFIG, tmp_path), {})
    assert {each.status for each in ended(tmp_path).values()} <= {"completed", "stopped"}


@pytest.mark.parametrize("other", ["ValueError: no space for 1 bytes", ""])
def test_another_ending_between_failures_resets_their_count(tmp_path: Path, other: str) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    for _ in range(IN_A_ROW - 1):
        fail(schedule, "OSError: no space for 1 bytes")
    trial = the_next(schedule, 0)
    schedule.finish(0, record(trial, "failed", 0, other) if other else record(trial, "completed", 5))
    for _ in range(IN_A_ROW - 1):
        fail(schedule, "OSError: no space for 1 bytes")
    assert not schedule.over


def test_a_cancelled_trial_ends_as_failed_wherever_it_is(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    runs, dies, waits = (the_next(schedule, slot) for slot in range(3))
    assert schedule.cancel(runs.id) and schedule.cancel(dies.id)
    assert schedule.asked(runs) == schedule.report(runs, metrics(runs, 1)) == "cancel"
    schedule.finish(0, record(runs, "failed", 1, "cancelled: asked for by a user"))
    schedule.lost(1)
    schedule.again(2)
    assert schedule.cancel(waits.id)
    assert {each.status for each in ended(tmp_path).values()} == {"failed"}
    assert all("cancelled" in each.reason for each in ended(tmp_path).values())
    assert set(ended(tmp_path)) == {runs.id, dies.id, waits.id}
    assert not schedule.cancel(runs.id) and not schedule.cancel("digits.twin.population.0.0099")


def test_cancelled_trials_are_no_failures_in_a_row(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    for _ in range(IN_A_ROW + 1):
        fail(schedule, "cancelled: asked for by a user")
    assert not schedule.over


def test_a_record_of_a_worker_thought_dead_is_not_taken(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    trial = the_next(schedule, 0)
    schedule.lost(0)
    assert schedule.asked(trial) == "cancel"  # it runs nowhere
    schedule.finish(0, record(trial, "completed", 5))
    assert not ended(tmp_path)
    assert the_next(schedule, 1) == trial
    schedule.finish(0, record(trial, "completed", 5))  # still that of the old worker
    assert not ended(tmp_path)
    schedule.finish(1, record(trial, "completed", 5))
    assert schedule.report(trial, metrics(trial, 5)) == "cancel"
    (only,) = ended(tmp_path).values()
    assert only.attempts == 2


def test_no_memory_and_interruptions_are_no_deaths(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    trial = the_next(schedule, 0)
    for _ in range(MAX_ATTEMPTS + 1):
        schedule.again(0)
        assert the_next(schedule, 0) == trial
    schedule.finish(0, record(trial, "completed", 5))
    assert ended(tmp_path)[trial.id].attempts == MAX_ATTEMPTS + 2


def test_a_trial_without_room_is_kept_and_lets_others_by(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)

    def small(trial: Trial) -> bool:
        return trial.study.kind == "population" and trial.study.space == "twin"

    handed_out = [the_next(schedule, slot, small) for slot in range(3)]
    assert len({trial.id for trial in handed_out}) == 3 and all(map(small, handed_out))
    assert schedule.next(3, small) == "wait"
    issued = RunDirectory(tmp_path).read_trials()[0]
    assert sum(trial.study.kind == "search" for trial in issued) == 1  # proposed once, and kept
    kept = the_next(schedule, 4)
    assert (kept.study.kind, kept.number) == ("search", 0)
    for slot, trial in enumerate(handed_out):
        schedule.finish(slot, record(trial, "completed", 5))
    schedule.finish(4, record(kept, "completed", 5))
    drive(schedule, {})
    assert schedule.ended == schedule.total == len(ended(tmp_path))


def test_a_search_begins_with_the_design_of_its_space_that_one_would_try_first(tmp_path: Path) -> None:
    schedule = schedule_of(replace(CONFIG, search_seeds=2), tmp_path)
    drive(schedule, {})
    first = [each.trial for each in ended(tmp_path).values() if each.trial.id.endswith(".0000")]
    searched = [trial for trial in first if trial.study.kind == "search"]
    assert len(searched) == 2
    assert all(set(trial.values.values()) == {3} for trial in searched)
