"""What training and use cost, next to the error: of whom, over what, and only where it can be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.efficiency import compare_records
from nas.report_use import curse_table, training_table, use_table
from tests.nas.builders import PLAN, full_run, population, record, seeds
from trials.record import TrialRecord


def costly(record: TrialRecord, **costs: object) -> TrialRecord:
    return replace(record, **costs)


def test_a_step_is_a_whole_batch() -> None:
    records = [
        costly(r, rows_train=200, seconds_training=6.0, training_executed=5e8, peak_memory_bytes=2**30 + i)
        for i, r in enumerate(seeds([0.1, 0.2]))
    ]
    (usage,) = compare_records(records, PLAN).tasks[0].usage
    assert usage.steps == 20 * 3 and usage.seconds_per_step == 0.1  # 20 epochs of 200 rows by 64
    assert (usage.trainings, usage.report_error, usage.of) == (2, pytest.approx(0.15), "fixed")
    assert usage.peak_memory_bytes == 2**30 + 1 and usage.peak_device_bytes is None
    assert usage.training_executed == 5e8 and usage.training_multiply_adds == 1e9


def test_a_searched_space_shows_its_finalists_or_its_best_by_select() -> None:
    drawn = population([0.3, 0.1, 0.2]) + [record(number=9, error=0.05, kind="search", study_seed=1)]
    drawn[1] = replace(drawn[1], parameters=77)
    (best,) = compare_records(drawn[:3], PLAN).tasks[0].usage
    assert (best.of, best.trainings, best.parameters) == ("best by select error", 1, 77)
    (best,) = compare_records(drawn, PLAN).tasks[0].usage
    assert best.report_error == 0.05
    finalists = [
        record(
            number=i,
            error=0.2,
            kind="finalist",
            study_seed=1,
            seed=100 + i,
            architecture=drawn[3].trial.architecture,
            test_error=0.2,
            selected_from=drawn[3].trial.id,
        )
        for i in range(2)
    ]
    finalists = [costly(r, latency_seconds=s) for r, s in zip(finalists, (0.002, 0.004))]
    (shown,) = compare_records([*drawn, *finalists], PLAN).tasks[0].usage
    assert (shown.of, shown.trainings, shown.latency_seconds) == ("finalists", 2, 0.003)


def test_seconds_and_joules_are_left_out_where_they_cannot_be_compared() -> None:
    one = [costly(r, joules=5.0, joules_of="accelerator") for r in seeds([0.1, 0.2])]
    (usage,) = compare_records(one, PLAN).tasks[0].usage
    assert (usage.joules, usage.joules_of) == (5.0, "accelerator")
    (usage,) = compare_records([one[0], costly(one[1], joules=None)], PLAN).tasks[0].usage
    assert usage.joules is None
    (usage,) = compare_records([one[0], costly(one[1], device="other")], PLAN).tasks[0].usage
    assert usage.joules is None and usage.seconds_per_step is None and usage.multiply_adds == 1e6


def test_the_tables_have_a_row_for_every_design() -> None:
    task = compare_records(full_run(("digits",)), PLAN).tasks[0]
    names = [row[0] for row in use_table(task).rows]
    assert names == ["FlexConv", "twin, finalists", "twin_3x3", "twin_7x7"]
    assert [row[0] for row in training_table(task).rows] == names


def test_the_winners_curse_of_weights_and_of_designs() -> None:
    records = full_run(("digits",))
    finalist = next(f for f in compare_records(records, PLAN).tasks[0].finalists if f.space == "twin")
    exported = min(
        (r for r in records if r.trial.study.kind == "finalist" and r.trial.study.space == "twin"),
        key=lambda r: (r.select_error, r.trial.id),  # the rule of `nas export`
    )
    kept = finalist.kept
    assert kept is not None and exported.test is not None
    assert (kept.selected_from, kept.select_error, kept.test_error, kept.n) == (
        exported.trial.id,
        exported.select_error,
        exported.test.error,
        1,
    )
    assert kept.gap == kept.test_error - kept.select_error
    rows = curse_table(compare_records(records, PLAN).tasks[0]).rows
    of_twin = [row for row in rows if row[0] == "twin"]
    assert [row[1] for row in of_twin] == [
        "weights kept (export; best of 9 finalists)",
        "design retrained, fresh seeds",
    ]
    assert [row[4] for row in of_twin] == ["1", "3 searches, 9 trainings"]
