"""What is refused, and what is left out by name, so that no number rests on it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from nas.efficiency import Comparison, compare_records, population_of
from nas.efficiency.devices import at_once, seconds_apart
from nas.figures import all_figures
from nas.report import ReportContext, render_markdown
from nas.report_html import render_html
from tests.nas.builders import PLAN, around, compare_one, design, full_run, population, record, seeds, spread
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import Load, TrialRecord

OTHER: dict[str, Any] = {
    "name": "mine",
    "epochs": 7,
    "batch_size": 8,
    "mask_factor": 0.5,
    "warmup": 0.5,
    "label_smoothing": 0.5,
    "gradient_clip": 9.0,
    "augmentation": ("flip",),
    "moving_average": 0.5,
    "precision": "bfloat16",
    "norm_batches": 3,
    "per_space": (),
}
"""Another value of every field of a recipe but the two that are free per space."""
LOW, HIGH = record("twin", 3, 0.1, kind="search"), record("twin", 1, 0.2, kind="search")


def test_every_field_of_a_recipe_but_two_must_agree() -> None:
    fields = {field.name for field in dataclasses.fields(STANDARD)}
    assert set(OTHER) == fields - {"learning_rate", "weight_decay"}
    for name, value in OTHER.items():
        other = dataclasses.replace(STANDARD, **{name: value})
        with pytest.raises(ValueError, match=f"^{name} must be the same in one task, got "):
            compare_records([record("flexconv"), record("twin", recipe=other)], PLAN)


@pytest.mark.parametrize("field", ["learning_rate", "weight_decay"])
def test_a_space_has_one_rate_and_decay_on_all_tasks(field: str) -> None:
    other = dataclasses.replace(STANDARD, **{field: 0.5})
    records = [record("twin", task="a"), record("twin", task="b", recipe=other)]
    with pytest.raises(ValueError, match=rf"^{field} must be the same in one space, got .* in b\.twin"):
        compare_records(records, PLAN)


@pytest.mark.parametrize("kind", ["search", "finalist", "long"])
def test_only_random_trials_make_a_population(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"is of kind {kind}"):
        population_of([record(kind=kind)])


def finalist(origin: TrialRecord, **more: Any) -> TrialRecord:
    more = {"architecture": origin.trial.architecture, "seed": 50} | more
    found = record("twin", kind="finalist", test_error=0.3, selected_from=origin.trial.id, **more)
    return _at(100.0, found)  # after all of its search


def test_a_finalist_is_the_best_of_its_search_by_select_error() -> None:
    compare_records([LOW, HIGH, finalist(LOW)], PLAN)
    with pytest.raises(ValueError, match=f"{HIGH.trial.id} .*, not {LOW.trial.id} ") as error:
        compare_records([LOW, HIGH, finalist(HIGH)], PLAN)
    assert "digits.twin.finalist.0.0000" in str(error.value)


def test_finalists_of_before_the_run_grew_are_left_out() -> None:
    later = _at(200.0, record("twin", 7, 0.05, kind="search"))
    before = [LOW, HIGH, finalist(LOW)]
    (left,) = compare_records([*before, later], PLAN).left_out
    assert left.trial == "digits.twin.finalist.0.0000"
    assert left.reason == f"its design, of {LOW.trial.id}, was the best; now that of {later.trial.id} is"
    chosen = _at(300.0, finalist(later, number=1, seed=51))
    assert len(compare_records([*before, later, chosen], PLAN).left_out) == 1
    worse = dataclasses.replace(later, curve=HIGH.curve)
    assert compare_records([*before, worse], PLAN).left_out == ()
    with pytest.raises(ValueError, match="lowest select error"):
        compare_records([LOW, HIGH, later, _at(400.0, finalist(LOW))], PLAN)


def test_transfers_of_before_the_run_grew_are_left_out() -> None:
    from_low = record("twin", 0, task="mnist5k", kind="transfer", selected_from=LOW.trial.id)
    study = dataclasses.replace(from_low.trial.study, source="digits", by="taps")
    carried = dataclasses.replace(from_low, trial=dataclasses.replace(from_low.trial, study=study))
    assert compare_records([LOW, HIGH, carried], PLAN).left_out == ()
    drawn = record("twin", 9, 0.05)
    (left,) = compare_records([LOW, HIGH, carried, drawn], PLAN).left_out
    assert left.trial == carried.trial.id and f"now that of {drawn.trial.id} is" in left.reason


def _at(started: float, found: TrialRecord) -> TrialRecord:
    return dataclasses.replace(found, started=started, finished=started + 10)


def test_a_finalist_chosen_on_report_or_test_errors_is_refused() -> None:
    shown = [
        record("twin", i, e, report_error=r, kind="search")
        for i, (e, r) in enumerate([(0.1, 0.4), (0.2, 0.0)])
    ]
    compare_records([*shown, finalist(shown[0])], PLAN)
    with pytest.raises(ValueError, match="lowest select error of its search"):
        compare_records([*shown, finalist(shown[1])], PLAN)


def test_ties_go_to_the_lower_number_and_stopped_trials_are_no_choice() -> None:
    tied = [record("twin", i, 0.1, kind="search") for i in (0, 1)]
    compare_records([*tied, finalist(tied[0])], PLAN)
    with pytest.raises(ValueError, match="lowest select error"):
        compare_records([*tied, finalist(tied[1])], PLAN)
    stopped = record("twin", 7, 0.01, kind="search", status="stopped")
    compare_records([*tied, stopped, finalist(tied[0])], PLAN)
    with pytest.raises(ValueError, match=f"{stopped.trial.id} .*, not {tied[0].trial.id}"):
        compare_records([*tied, stopped, finalist(stopped)], PLAN)
    with pytest.raises(ValueError, match="which did not complete"):
        compare_records([stopped, finalist(stopped)], PLAN)


@pytest.mark.parametrize(
    "origin",
    [
        record("twin", 0, 0.1, kind="search", study_seed=1),
        record("twin", 0, 0.1, kind="search", task="mnist5k"),
        record("twin", 0, 0.1),
    ],
)
def test_a_finalist_is_selected_by_its_own_search(origin: TrialRecord) -> None:
    with pytest.raises(ValueError, match="of its own task, space and seed") as error:
        compare_records([LOW, origin, finalist(origin)], PLAN)
    assert origin.trial.id in str(error.value)


def test_a_finalist_has_the_design_it_was_selected_for() -> None:
    with pytest.raises(ValueError, match=f"another one than {LOW.trial.id}"):
        compare_records([LOW, finalist(LOW, architecture=design(99))], PLAN)


def test_a_finalist_whose_search_is_not_there_is_left_out() -> None:
    unknown = [finalist(LOW), record("twin", 1, kind="finalist", test_error=0.1)]
    comparison = compare_records([HIGH, *unknown], PLAN)
    assert [left.reason for left in comparison.left_out] == [
        f"selected from {LOW.trial.id}, which has no record here",
        "no search selected it",
    ]
    assert not comparison.tasks[0].finalists


@pytest.mark.parametrize("kind", ["population", "search", "long"])
def test_test_errors_of_trials_that_are_no_finalists_are_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"finalists only, but digits.twin.{kind}.0.0000 is of kind {kind}"):
        compare_records(
            [record(kind=kind, test_error=0.1, recipe=STANDARD.lengthened(4 if kind == "long" else 1))], PLAN
        )


def test_one_training_is_tested_once_whichever_searches_selected_its_design() -> None:
    searched = [record("twin", 0, 0.1, kind="search", study_seed=seed) for seed in (0, 1)]
    same = [finalist(each, study_seed=each.trial.study.seed) for each in searched]
    (task,) = (comparison := compare_records([*searched, *same], PLAN)).tasks
    assert [f.trainings for f in task.finalists] == [1]
    assert [left.reason for left in comparison.left_out] == [f"same design and seed as {same[0].trial.id}"]
    fresh = [same[0], finalist(searched[1], study_seed=1, seed=51)]
    assert compare_records([*searched, *fresh], PLAN).tasks[0].finalists[0].trainings == 2


# ---------------------------------------------------------------------- device-seconds


def mixed(factor: float) -> list[TrialRecord]:
    """A whole run on two device models, whose seconds are `factor` times as long."""
    return [
        dataclasses.replace(
            each,
            device=("a", "b")[i % 2],
            seconds_training=each.seconds_training * (factor if i % 3 else 1.0),
        )
        for i, each in enumerate(full_run(("digits",)))
    ]


def test_no_result_depends_on_seconds_that_are_not_compared() -> None:
    """Whatever the seconds are, the comparison, the page and the figures are the same: none rests on them."""
    one, other = (compare_records(mixed(factor), PLAN) for factor in (1.0, 7.3))
    assert dumps(one) == dumps(other)
    context = ReportContext(run="mixed")
    pages = [render_html(each, context, all_figures(each)) for each in (one, other)]
    assert pages[0] == pages[1]
    text = render_markdown(one, context)
    assert "device models (a, b): only multiply-adds are compared" in text
    assert "device-time" not in text and "x the multiply-adds" in text
    assert " MA |" in text


def test_seconds_do_count_on_one_device() -> None:
    def run(factor: float) -> Comparison:
        return compare_records([dataclasses.replace(each, device="a") for each in mixed(factor)], PLAN)

    assert dumps(run(1.0)) != dumps(run(7.3))


def test_a_search_on_another_device_is_enough() -> None:
    records = seeds(around(0.1)) + population(spread(0.1)) + [record("twin", kind="search", device="b")]
    (task,) = compare_records(records, PLAN).tasks
    assert task.searches[0].unit == "multiply-adds"
    assert task.single is not None and task.single.seconds is None
    assert task.spaces[0].cost_ratio_seconds is None and task.spaces[0].seconds is None


def test_shares_of_a_device_are_packing_levels() -> None:
    half = dataclasses.replace(record("twin", 1), device_share=0.5)
    assert "several shares of a device (0.5, 1)" in seconds_apart([record("twin"), half], ["twin"], {})
    assert seconds_apart([half], ["twin"], {}) == ""


def on_host(space: str, number: int, started: float, seconds: float, host: str = "h") -> TrialRecord:
    found = record(space, number, seconds=seconds)
    return dataclasses.replace(found, host=host, started=started, finished=started + seconds)


def test_trials_at_a_time_are_averaged_over_each_trial() -> None:
    trials = [on_host("twin", 0, 0, 10), on_host("twin", 1, 5, 10), on_host("twin", 2, 8, 1)]
    found = at_once([*trials, on_host("twin", 3, 0, 100, host="other")])
    # 0 to 5 alone, 5 to 8 two, 8 to 9 three, 9 to 10 two
    assert found[trials[0].trial.id] == pytest.approx((5 * 1 + 3 * 2 + 3 + 2) / 10)
    assert found[trials[1].trial.id] == pytest.approx((3 * 2 + 3 + 2 + 5) / 10)
    assert found[trials[2].trial.id] == pytest.approx(3)
    assert found["digits.twin.population.0.0003"] == pytest.approx(1)


def test_at_once_is_exact_at_the_size_of_unix_times_and_after_an_interruption() -> None:
    late = [on_host("twin", i, 1.79e9 + 0.25 * i, 0.25) for i in range(4)]
    assert list(at_once(late).values()) == pytest.approx([1.0] * 4)
    resumed = dataclasses.replace(late[3], started=0.0)
    assert list(at_once([*late[:3], resumed]).values()) == pytest.approx([1.0] * 4)


def test_spaces_that_were_packed_otherwise_on_processors_are_not_compared_in_seconds() -> None:
    alone = [on_host("flexconv", i, 100.0 * i, 10) for i in range(5)]
    alone = [
        dataclasses.replace(r, trial=dataclasses.replace(r.trial, architecture=design(0, "flexconv")))
        for r in alone
    ]
    packed = [on_host("twin", i, 1000 + 10.0 * (i // 4), 10) for i in range(100)]
    (task,) = compare_records(alone + packed, PLAN).tasks
    (note,) = [note for note in task.notes if "multiply-adds" in note]
    assert note.startswith("On average 4.0 trials ran on a host while one of twin did, and 1.0 while one of")
    assert task.single is not None and task.single.seconds is None
    apart = [on_host("twin", i, 1000 + 10.0 * i, 10) for i in range(100)]
    (task,) = compare_records(alone + apart, PLAN).tasks
    assert task.single is not None and task.single.seconds == pytest.approx(10)
    plan = dataclasses.replace(PLAN, controls=("twin_learned",))
    control = [
        dataclasses.replace(r, trial=dataclasses.replace(r.trial, selected_from=source.trial.id))
        for i, source in enumerate(alone)
        for r in [on_host("twin_learned", i, 3000, 10)]
    ]
    (task,) = compare_records(alone + apart + control, plan).tasks
    (note,) = [note for note in task.notes if "multiply-adds" in note]
    assert note.startswith("On average 5.0 trials ran on a host while one of twin_learned did, and 1.0 while")
    assert all(each.level.seconds is None for each in task.fixed_controls) and task.fixed_controls
    assert task.single is not None and task.single.seconds is None
    accelerated = [dataclasses.replace(r, peak_device_bytes=1) for r in alone + packed]
    assert at_once(accelerated) == {}


def loaded(record: TrialRecord, processors: float) -> TrialRecord:
    """The record with epochs of even length, in which it had this much of a processor."""
    spent = record.seconds_training / max(len(record.curve), 1)
    load = Load(processors=processors, memory_bytes=1)
    curve = (
        dataclasses.replace(m, seconds_training=(i + 1) * spent, at=1e9 * (i + 1), load=load)
        for i, m in enumerate(record.curve)
    )
    return dataclasses.replace(record, curve=tuple(curve))


def test_costs_are_processor_seconds_where_other_work_slowed_one_side() -> None:
    """Two of five trainings of the single design took three times as long beside something else."""
    slow = [30.0 if i < 2 else 10.0 for i in range(5)]
    single = [dataclasses.replace(r, seconds_training=s) for r, s in zip(seeds(around(0.1)), slow)]
    had = [loaded(r, 0.3 if i < 2 else 0.9) for i, r in enumerate(single)]
    designs = [loaded(r, 0.9) for r in population([*spread(0.1, 99), math.inf])]
    task, space = compare_one(had + designs)
    assert task.single is not None and task.single.seconds == pytest.approx(9)
    assert space.cost_ratio_seconds == pytest.approx(
        20 * (99 * 9 + 10) / 100 / 9
    )  # the failed one has no epoch
    assert space.chance is not None and space.chance.factor_seconds is not None
    (note,) = (note for note in task.notes if "processor" in note)
    assert "those of FlexConv had 0.50 of their processor, those of twin 0.90" in note
    quiet = [loaded(r, 0.88) for r in seeds(around(0.1))]
    threads = [loaded(r, 1.3) for r in single] + [loaded(r, 1.8) for r in designs]
    for records in (quiet + designs, threads, seeds(around(0.1)) + designs):
        task, _ = compare_one(records)
        assert task.single is not None and task.single.seconds == pytest.approx(
            sum(r.seconds_training for r in records[:5]) / 5
        )
        assert not any("processor" in note for note in task.notes)
    unknown = compare_one([*had[:4], seeds(around(0.1))[4], *designs])[0]  # one of five is as it was
    assert unknown.single is not None and unknown.single.seconds == pytest.approx((4 * 9 + 10) / 5)
