"""Two budgets at about equal cost: the nearest of four pairs, or none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.efficiency import compare_records
from nas.efficiency.budget_pairs import BudgetPair
from nas.efficiency.estimators import moments, welch
from nas.report_use import budget_pair_table
from tests.nas.builders import PLAN, population, seeds
from trials.recipe import LONG, STANDARD
from trials.record import TrialRecord

LENGTHENED = STANDARD.lengthened(LONG)
SINGLE = (0.10, 0.11, 0.12), (0.08, 0.09, 0.10)


def both(
    errors: tuple[tuple[float, ...], tuple[float, ...]],
    seconds: tuple[float, float],
    space: str,
    **more: object,
) -> list[TrialRecord]:
    """Trainings at B and at 4B."""
    made = population if space == "twin" else seeds
    return [
        *made(errors[0], space, seconds=seconds[0], **more),
        *made(errors[1], space, kind="long", recipe=LENGTHENED, seconds=seconds[1], **more),
    ]


def compared(*records: TrialRecord) -> dict[str, BudgetPair]:
    task = compare_records([*both(SINGLE, (40.0, 160.0), "flexconv"), *records], PLAN).tasks[0]
    return {found.space: found for found in task.budget_pairs}


def test_the_pair_with_the_nearest_costs_is_compared() -> None:
    errors = (0.20, 0.22, 0.24), (0.14, 0.15, 0.16)
    found = compared(*both(errors, (11.0, 44.0), "twin_3x3"))["twin_3x3"]
    assert (found.length, found.single_length, found.ratio) == ("4B", "B", pytest.approx(1.1))
    expected = welch(moments(np.array(errors[1])), moments(np.array(SINGLE[0])))
    difference = found.difference
    assert (difference.value, difference.low, difference.high) == pytest.approx(expected)
    assert (found.trainings, found.single_trainings, found.unit) == (3, 3, "device-seconds")
    dear = compared(*both(errors, (150.0, 600.0), "twin"))["twin"]
    assert (dear.length, dear.single_length, dear.ratio) == ("B", "4B", pytest.approx(150 / 160))


def test_costs_that_are_not_near_are_not_compared() -> None:
    errors = (0.2, 0.2), (0.1, 0.1)
    assert "twin_3x3" in compared(*both(errors, (27.0, 108.0), "twin_3x3"))
    assert "twin_3x3" not in compared(*both(errors, (26.0, 104.0), "twin_3x3"))  # 40 / 26 and 104 / 160
    assert "twin" not in compared(*population([0.1, 0.2]))  # no long trials


def test_failed_trainings_are_charged_and_leave_the_interval_open() -> None:
    errors = (0.2, 0.2, float("inf")), (0.1, 0.11, 0.12)
    found = compared(*both(errors, (30.0, 700.0), "twin_3x3"))["twin_3x3"]
    assert found.length == "B" and found.ratio == pytest.approx(45 / 40) and found.trainings == 2
    assert found.difference.low is not None and found.difference.high is None


def test_across_devices_multiply_adds_are_compared() -> None:
    errors = (0.2, 0.21), (0.1, 0.11)
    found = compared(*both(errors, (40.0, 160.0), "twin_3x3", device="other"))["twin_3x3"]
    assert found.unit == "multiply-adds" and found.ratio == 1


def test_the_sentence_says_ratio_budgets_and_n() -> None:
    records = both(((0.20, 0.22, 0.24), (0.14, 0.15, 0.16)), (11.0, 44.0), "twin_3x3")
    task = compare_records([*both(SINGLE, (40.0, 160.0), "flexconv"), *records], PLAN).tasks[0]
    assert task.sentences[-1] == (
        "At about equal device-time of one training (ratio 1.1): twin_3x3 at 4B (n = 3) is 4.0 points worse "
        "[1.7, 6.3] than FlexConv at B (n = 3)."
    )
    assert budget_pair_table(task).rows == (
        ("twin_3x3 at 4B (n = 3)", "B (n = 3)", "1.1 (device-seconds)", "4.0 [1.7, 6.3]"),
    )


def test_long_trials_that_were_packed_otherwise_are_compared_in_multiply_adds() -> None:
    errors = (0.20, 0.22, 0.24), (0.14, 0.15, 0.16)
    records = both(SINGLE, (40.0, 160.0), "flexconv") + both(errors, (40.0, 160.0), "twin_3x3")
    for packed, unit in ((False, "device-seconds"), (True, "multiply-adds")):
        on_host, now = [], 0.0
        for r in records:
            together = packed and r.trial.study.kind == "long" and r.trial.study.space == "flexconv"
            started = 10_000.0 if together else now
            on_host.append(replace(r, host="h", started=started, finished=started + r.seconds))
            now += r.seconds
        (task,) = compare_records(on_host, PLAN).tasks
        assert task.single is not None and task.single.seconds is not None
        assert [pair.unit for pair in task.budget_pairs] == [unit]
        notes = [note for note in task.notes if "multiply-adds" in note]
        assert len(notes) == packed
        for note in notes:
            assert note.startswith(
                "On average 3.0 trials ran on a host while one of FlexConv (long) did, and 1.0"
            )
            assert note.endswith("only multiply-adds are compared with long trials.")
