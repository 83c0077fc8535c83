"""Controls beside the verdict: measured like the rest, charged in full, and part of no verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.efficiency import compare_records
from nas.efficiency.estimators import moments, welch
from nas.report_use import control_table
from tests.nas.builders import PLAN, around, design, population, record, seeds, spread
from trials.record import TrialRecord

CONTROLLED = replace(PLAN, controls=("twin_matched", "flexconv_fixed", "twin_learned"))
SINGLE = seeds(around(0.1), seconds=15.0, multiply_adds=3_000_000)
USUAL = [*SINGLE, *population(spread(0.1))]


def learned(errors: list[float], sources: list[TrialRecord] = SINGLE, **more: object) -> list[TrialRecord]:
    """A training for each of the single design's, of the design it learned; the first two are the same."""
    return [
        record(
            "twin_learned",
            i,
            error,
            architecture=design(max(i, 1), "twin_learned"),
            selected_from=sources[i].trial.id,
            **more,
        )
        for i, error in enumerate(errors)
    ]


def test_controls_change_no_verdict_and_no_other_number() -> None:
    without = compare_records(USUAL, PLAN).tasks[0]
    beside = [*population(spread(0.01), "flexconv_fixed"), *learned(around(0.01))]
    task = compare_records([*USUAL, *beside], CONTROLLED).tasks[0]
    assert task.verdict == without.verdict and task.spaces == without.spaces
    assert task.defaults == without.defaults and task.fronts == without.fronts
    assert task.normalised == without.normalised  # at one cost a control has no support in common
    assert task.sentences[: len(without.sentences)] == without.sentences
    assert [control.space for control in task.controls] == ["flexconv_fixed"]
    assert [control.level.space for control in task.fixed_controls] == ["twin_learned"]
    assert compare_records([*USUAL, *beside], PLAN).tasks[0].controls == ()  # not planned, left out


def test_a_control_with_a_population_is_measured_as_a_searched_space_is() -> None:
    errors = spread(0.08)
    searched = compare_records([*SINGLE, *population(errors)], PLAN).tasks[0].spaces[0]
    records = [*USUAL, *population(errors, "flexconv_fixed")]
    (control,) = compare_records(records, CONTROLLED).tasks[0].controls
    assert control.gain == searched.gain and control.best_of == searched.best_of
    assert control.cost_ratio_seconds == pytest.approx(20 * 10 / 15)


def test_learned_sizes_are_charged_with_the_training_that_learned_them() -> None:
    errors = around(0.13)
    task = compare_records([*USUAL, *learned(errors, seconds=4.0)], CONTROLLED).tasks[0]
    (control,) = task.fixed_controls
    assert (control.level.seeds, control.designs, control.sources, control.unknown) == (5, 4, 5, 0)
    assert (control.own_seconds, control.level.seconds) == (4.0, 19.0)
    assert control.level.training_multiply_adds == 1e9 + 3e9
    assert control.cost_ratio_seconds == pytest.approx(19 / 15)
    assert control.cost_ratio_multiply_adds == pytest.approx(4 / 3)
    expected = welch(moments(np.array(errors)), moments(np.array(around(0.1))))
    found = control.level.difference
    assert found is not None and (found.value, found.low, found.high) == pytest.approx(expected)
    assert control.level.verdict is None
    assert task.sentences[-1] == (
        "Control twin_learned (discrete kernels at the sizes FlexConv learned, retrained): 13.0 % ± 0.2 (5 "
        "seeds), sizes from 5 trainings of FlexConv; 3.0 points worse [2.8, 3.2] than FlexConv at 1.27x the "
        "device-time."
    )
    assert control_table(task).rows[-1][-1] == "4 + 15"


def test_failed_trainings_of_a_control_are_charged_and_open_its_interval() -> None:
    records = learned(around(0.13), seconds=4.0)
    records[0] = replace(records[0], status="failed", curve=())
    (control,) = compare_records([*USUAL, *records], CONTROLLED).tasks[0].fixed_controls
    assert (control.level.seeds, control.level.failed) == (4, 1)
    assert control.own_seconds == 5.0 and control.level.seconds == 5.0 + 15.0 * 5 / 4
    assert control.level.difference is not None and control.level.difference.high is None


def test_a_source_that_is_missing_is_said() -> None:
    gone = [record("flexconv", 9, 0.1, architecture=design(0, "flexconv"))]
    records = learned(around(0.13)[:3], sources=[*SINGLE[:2], *gone])
    task = compare_records([*USUAL, *records], CONTROLLED).tasks[0]
    (control,) = task.fixed_controls
    assert control.unknown == 1 and control.cost_ratio_seconds is None
    assert control_table(task).rows[-1][-1].endswith("(unknown of 1)")


def test_a_control_of_one_design_is_a_fixed_design() -> None:
    plan = replace(PLAN, controls=("mine",))
    (control,) = compare_records([*USUAL, *seeds(around(0.1), "mine")], plan).tasks[0].fixed_controls
    assert (control.designs, control.sources) == (1, 0)
    assert control.own_seconds == control.level.seconds


def test_sentences_of_controls_do_not_speak_of_searching() -> None:
    small = population(spread(0.2, 30), "twin_matched")
    task = compare_records([*USUAL, *population(spread(0.1), "flexconv_fixed"), *small], CONTROLLED).tasks[0]
    said = [text for text in task.sentences if "ontrol " in text]
    assert said[0].startswith("Descriptive: control twin_matched (discrete kernels at the multiply-adds of")
    assert "10.1 points worse" in said[0] and "N = 30" in said[0]
    assert said[1].startswith(
        "Control flexconv_fixed (kernels of FlexConv whose sizes are chosen, not learned)"
    )
    assert said[1].endswith("cannot say which is better.")
    assert not any("search" in text for text in said)
    before = compare_records(population(spread(0.1), "flexconv_fixed"), CONTROLLED).tasks[0]
    assert not any("Control" in text for text in before.sentences)
