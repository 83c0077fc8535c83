"""What rests on other trials: controls made from what was learned, transfer; and what goes first."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nas import compare
from nas.open_space import open_spaces
from nas.schedule import Schedule
from nas.showing import state_of
from search_spaces import SPACES, TaskShape, complexity
from search_spaces.carrying import carried
from search_spaces.controls import matched
from tests.nas.runs import SMALL, WHOLE, drive, records_of, schedule_of
from trials.record import Study, Trial, TrialRecord

IMAGE = TaskShape(extent=(8, 8), channels=1, classes=10)
SERIES = TaskShape(extent=(64,), channels=1, classes=10)
DIGITS, SEQUENCE = "digits@rows=200", "digits_sequence@rows=200"
CONTROLLED = replace(WHOLE, tasks=("digits",), transfer=0, long=0)


def phase(trial: Trial) -> int:
    """Asked for; controls; transfer; long."""
    kind = trial.study.kind
    if kind in ("transfer", "long"):
        return 2 + (kind == "long")
    return int(trial.study.space in WHOLE.controls)


def ended(schedule: Schedule, task: str, space: str, kind: str = "population") -> list[TrialRecord]:
    """Records of these trials, by number."""
    found = [
        record
        for record in records_of(schedule).values()
        if (record.trial.study.task, record.trial.study.space, record.trial.study.kind) == (task, space, kind)
    ]
    return sorted(found, key=lambda record: record.trial.number)


def outcome(schedule: Schedule) -> dict[str, object]:
    return {name: (r.trial, r.curve, r.status) for name, r in records_of(schedule).items()}


def test_at_any_moment_what_was_asked_goes_before_controls_transfer_and_long_trials(tmp_path: Path) -> None:
    trials = drive(schedule_of(WHOLE, tmp_path))
    phases = [phase(trial) for trial in trials]
    assert phases == sorted(phases)
    assert Counter(phases) == {
        0: 2 * (3 + 1 + 3 + 1 + 3 * (2 + 1)),
        1: 2 * (3 + 1 + 3 + 1 + 2),
        2: 2 * (2 + 2),
        3: 2 * (1 + 3),
    }


def test_a_report_of_what_was_asked_needs_nothing_that_comes_later(tmp_path: Path) -> None:
    config = replace(WHOLE, population=8)
    drive(schedule_of(config, tmp_path / "a"), until=lambda trial: phase(trial) > 0)
    drive(schedule_of(config, tmp_path / "b"))
    early, late = compare(tmp_path / "a"), compare(tmp_path / "b")
    for before, after in zip(early.tasks, late.tasks, strict=True):
        assert (before.verdict, before.margin, before.spaces) == (after.verdict, after.margin, after.spaces)
        assert after.defaults[:2] == before.defaults  # those chosen on the other tasks come later
        assert before.searches == after.searches
    assert early.left_out == late.left_out  # closed-form finalists, which are not tested


def test_a_slot_trains_a_control_rather_than_wait_for_a_search(tmp_path: Path) -> None:
    config = replace(CONTROLLED, defaults=(), seeds=1, population=1, repeats=0, finalist_seeds=1)
    schedule = schedule_of(config, tmp_path)
    handed_out = [schedule.next(slot) for slot in range(20)]
    trials = [trial for trial in handed_out if isinstance(trial, Trial)]
    assert trials[-1].study.space == "flexconv_fixed"  # all that rests on nothing
    assert handed_out[len(trials) :] == ["wait"] * (20 - len(trials))
    assert {trial.study.space for trial in trials} == {"flexconv", "twin", "flexconv_fixed"}


@pytest.mark.parametrize("killed_at", range(0, 70, 5))
def test_a_driver_killed_among_controls_or_transfers_changes_nothing(tmp_path: Path, killed_at: int) -> None:
    undisturbed = schedule_of(WHOLE, tmp_path / "a")
    assert len(drive(undisturbed)) == 70
    seen: list[Trial] = []

    def kill(trial: Trial) -> bool:
        seen.append(trial)
        return len(seen) == killed_at + 1

    drive(schedule_of(WHOLE, tmp_path / "b"), until=kill)
    resumed = schedule_of(WHOLE, tmp_path / "b", resume=True)
    assert drive(resumed)[0] == seen[-1]
    assert outcome(resumed) == outcome(undisturbed)


def test_folders_of_finalists_controls_and_transfers_that_were_removed_are_run_again(tmp_path: Path) -> None:
    undisturbed = schedule_of(WHOLE, tmp_path)
    drive(undisturbed)
    removed = {
        f"{DIGITS}.twin.finalist.0.0000",
        f"{DIGITS}.flexconv.population.0.0001",
        f"{SEQUENCE}.twin_matched.population.0.0001",
        f"{SEQUENCE}.twin_learned.population.0.0000",
        f"{SEQUENCE}.twin.transfer.0.{DIGITS}.fraction.0000",
    }
    for name in removed:
        shutil.rmtree(tmp_path / "trials" / name)
    resumed = schedule_of(WHOLE, tmp_path, resume=True)
    assert {trial.id for trial in drive(resumed)} == removed
    assert outcome(resumed) == outcome(undisturbed)


def test_learned_sizes_are_retrained_one_by_one(tmp_path: Path) -> None:
    schedule = schedule_of(replace(CONTROLLED, seeds=4), tmp_path)
    drive(schedule)
    single, twins = (ended(schedule, DIGITS, space) for space in ("flexconv", "twin_learned"))
    assert len({record.kernel_sizes for record in single}) > 1
    assert [record.trial.architecture["kernels"] for record in twins] == [r.kernel_sizes for r in single]
    assert [record.trial.selected_from for record in twins] == [record.trial.id for record in single]
    assert len({record.trial.seed for record in twins + single}) == 8


def test_of_failed_trainings_nothing_was_learned(tmp_path: Path) -> None:
    def fails(trial: Trial) -> bool:
        return (
            trial.study == Study(task=DIGITS, space="flexconv", kind="population") and trial.number in failing
        )

    failing = {0, 2}
    schedule = schedule_of(replace(CONTROLLED, seeds=5), tmp_path / "some")
    drive(schedule, fails=fails)
    assert [record.trial.selected_from for record in ended(schedule, DIGITS, "twin_learned")] == [
        f"{DIGITS}.flexconv.population.0.000{i}" for i in (1, 3, 4, 1, 3)
    ]

    failing = {0, 1, 2, 3, 4}
    schedule = schedule_of(replace(CONTROLLED, seeds=5), tmp_path / "all")
    trials = drive(schedule, fails=fails)
    assert {trial.study.space for trial in trials} & set(WHOLE.controls) == {"flexconv_fixed"}
    assert schedule.next(0) is None
    assert schedule.ended == schedule.total == len(trials)


def test_matched_designs_cost_what_the_trained_single_design_does(tmp_path: Path) -> None:
    schedule = schedule_of(replace(CONTROLLED, population=20), tmp_path)
    drive(schedule)
    single, twins = (ended(schedule, DIGITS, space) for space in ("flexconv", "twin_matched"))
    trained = sum(record.multiply_adds for record in single) / len(single)
    assert complexity(single[0].trial.architecture, IMAGE).multiply_adds != pytest.approx(trained, rel=0.3)
    assert len(twins) == 20 + 1 and len({record.trial.architecture for record in twins}) == 20
    for record in twins:
        plain = SPACES["twin"](IMAGE).decode(record.trial.values)
        assert record.trial.architecture == matched(plain, IMAGE, trained, "multiply_adds")
    costs = [complexity(record.trial.architecture, IMAGE).multiply_adds for record in twins]
    assert sum(abs(cost / trained - 1) <= 0.05 for cost in costs) >= 18


def test_limits_do_not_hold_for_designs_that_are_matched_to_the_single_one(tmp_path: Path) -> None:
    config = replace(CONTROLLED, constraints=("multiply_adds >= 1.5e6",))  # trained, it has 1.25e6
    schedule = schedule_of(config, tmp_path)
    drive(schedule)
    assert len(ended(schedule, DIGITS, "twin_matched")) == 4
    assert schedule.ended == schedule.total


def test_a_control_that_the_single_design_cannot_give_is_refused_before_anything_runs() -> None:
    config = replace(SMALL, spaces=("ccnn", "twin"), single="ccnn", controls=("twin_learned",))
    with pytest.raises(ValueError, match=r"the control twin_learned cannot be made .* got one of ccnn"):
        open_spaces(config, SERIES)


def test_populations_carry_the_weight_of_their_designs(tmp_path: Path) -> None:
    schedule = schedule_of(replace(SMALL, spaces=("flexconv", "cell"), population=8, repeats=2), tmp_path)
    trials = drive(schedule)
    space = SPACES["cell"](IMAGE)
    drawn = [trial for trial in trials if trial.study.space == "cell" and trial.study.kind == "population"]
    assert len({trial.weight for trial in drawn}) > 1
    assert [trial.weight for trial in drawn] == [space.weight(trial.values) for trial in drawn]
    assert {trial.weight for trial in trials if trial not in drawn} == {1.0}


def test_the_best_design_of_every_task_is_trained_on_every_task(tmp_path: Path) -> None:
    schedule = schedule_of(WHOLE, tmp_path)
    trials = [trial for trial in drive(schedule) if trial.study.kind == "transfer"]
    shapes = {DIGITS: IMAGE, SEQUENCE: SERIES}
    assert Counter((t.study.source, t.study.task, t.study.by) for t in trials) == {
        (DIGITS, DIGITS, "taps"): 2,
        (SEQUENCE, SEQUENCE, "taps"): 2,
        (DIGITS, SEQUENCE, "fraction"): 2,  # by taps between images and series there is none
        (SEQUENCE, DIGITS, "fraction"): 2,
    }
    for trial in trials:
        source = trial.study.source
        chosen_from = ended(schedule, source, "twin") + ended(schedule, source, "twin", "search")
        best = min((r for r in chosen_from if r.status == "completed"), key=lambda r: r.select_error).trial
        assert trial.selected_from == best.id and trial.values == best.values
        way = "fraction" if trial.study.task != source else "taps"
        target = shapes[trial.study.task]
        assert trial.architecture == carried(best.architecture, target, way, shapes[source])
        assert trial.task.name == trial.study.task and trial.recipe == best.recipe
    assert len({trial.seed for trial in trials}) == len(trials) == 8
    assert all(records_of(schedule)[trial.id].test is None for trial in trials)
    said = io.StringIO()
    Console(file=said, width=200).print(state_of(tmp_path))
    assert f"transfer of {SEQUENCE} by fraction" in said.getvalue()


def test_forms_of_one_dataset_exchange_designs_within_a_split(tmp_path: Path) -> None:
    tasks = ("digits", "digits@split=1", "digits_sequence", "digits_sequence@split=1")
    config = replace(SMALL, tasks=tasks, transfer=1, population=2, repeats=0, search_trials=0, seeds=1)
    studies = {
        trial.study for trial in drive(schedule_of(config, tmp_path)) if trial.study.kind == "transfer"
    }
    pairs = {(study.source, study.task) for study in studies}
    within = {
        (f"{a}{end}", f"{b}{end}")
        for a in (DIGITS, SEQUENCE)
        for b in (DIGITS, SEQUENCE)
        for end in ("", ",split=1")
    }
    assert pairs == within


@pytest.mark.parametrize(
    ("tasks", "cells"),
    [
        (("digits",), set()),
        (("digits", "digits@split=1"), set()),  # what one selects on, the other tests on
        (("digits", "digits@resolution=12,split=1"), set()),
        (
            ("digits", "digits@fraction=0.5"),  # equal extents: one network either way
            {(a, b, "taps") for a in ("", ",fraction=0.5") for b in ("", ",fraction=0.5")},
        ),
        (
            ("digits", "digits@resolution=12"),
            {("", "", "taps"), ("12", "12", "taps")}
            | {(a, b, way) for a, b in (("", "12"), ("12", "")) for way in ("taps", "fraction")},
        ),
    ],
)
def test_cells_of_one_network_or_of_split_seeds_are_not_trained(
    tmp_path: Path, tasks: tuple[str, ...], cells: set[tuple[str, str, str]]
) -> None:
    config = replace(SMALL, tasks=tasks, transfer=1, population=2, repeats=0, search_trials=0, seeds=1)
    schedule = schedule_of(config, tmp_path)
    trials = [trial for trial in drive(schedule) if trial.study.kind == "transfer"]

    def short(name: str) -> str:
        return name.removeprefix(DIGITS).removeprefix(",resolution=")

    found = [(short(t.study.source), short(t.study.task), t.study.by) for t in trials]
    assert set(found) == cells and len(found) == len(cells)
    assert schedule.ended == schedule.total
