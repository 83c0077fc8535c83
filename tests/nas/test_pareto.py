"""Fronts and what they cover, against enumeration; who dominates whom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.efficiency import compare_records
from nas.efficiency.pareto import FrontPoint, fronts_of, hypervolume
from nas.report_use import front_table
from tests.nas.builders import PLAN, full_run, population, record, seeds


def point(cost: float, error: float) -> FrontPoint:
    return FrontPoint(trial="t", cost=cost, select_error=error, report_error=error)


def test_hypervolume_in_closed_form() -> None:
    costs = (1.0, 10.0, 100.0)
    assert hypervolume([point(1.0, 0.0)], 0.9, costs) == pytest.approx(1)
    assert hypervolume([point(100.0, 0.0)], 0.9, costs) == 0
    assert hypervolume([point(1.0, 0.9)], 0.9, costs) == 0
    assert hypervolume([point(1.0, 0.95)], 0.9, costs) == 0  # worse than guessing: nothing, not less
    assert hypervolume([point(10.0, 0.45)], 0.9, costs) == pytest.approx(0.25)
    # [0, 1] x [0, 1/3] and [0, 1/2] x [0, 1]: 1/3 + 1/2 - 1/6
    assert hypervolume([point(1.0, 0.6), point(10.0, 0.0)], 0.9, costs) == pytest.approx(2 / 3)
    assert hypervolume([point(1.0, 0.1)], 0.9, [1.0, 1.0]) is None
    assert hypervolume([point(1.0, 0.1)], None, costs) is None


def test_hypervolume_is_the_share_of_points_that_are_dominated() -> None:
    rng = np.random.default_rng(0)
    points = [point(10 ** rng.uniform(0, 2), rng.uniform(0, 1)) for _ in range(9)]  # on no front
    found = hypervolume(points, 0.9, [1.0, 100.0])
    logs, errors = rng.uniform(0, 2, 200_000), rng.uniform(0, 0.9, 200_000)
    hit = np.zeros(len(logs), bool)
    for each in points:
        hit |= (logs >= math.log10(each.cost)) & (errors >= each.report_error)
    assert found == pytest.approx(hit.mean(), abs=0.005)


def test_the_front_is_picked_by_select_and_shown_by_report() -> None:
    records = [
        record(number=0, error=0.30, report_error=0.31, multiply_adds=1_000),
        record(number=1, error=0.20, report_error=0.35, multiply_adds=2_000),
        record(number=2, error=0.25, report_error=0.01, multiply_adds=3_000),  # dominated by select
        record(number=3, error=0.20, report_error=0.02, multiply_adds=2_500),  # as good, dearer
        record(number=4, error=0.10, report_error=0.12, multiply_adds=9_000),
        record(number=5, error=0.01, report_error=0.01, multiply_adds=10, status="failed"),
    ]
    (front,) = [f for f in fronts_of({"twin": records}, (), 0.9) if f.cost == "multiply_adds"]
    assert [p.report_error for p in front.points] == [0.31, 0.35, 0.12]
    assert front.designs == 6


def test_every_design_off_the_front_is_dominated_and_none_on_it() -> None:
    task = compare_records(full_run(("digits",)), PLAN).tasks[0]
    front = next(f for f in task.fronts if f.space == "twin" and f.cost == "multiply_adds")
    records = [
        r
        for r in full_run(("digits",))
        if r.trial.study.kind == "population" and r.trial.study.space == "twin" and r.trial.number < 100
    ]
    on = {p.trial for p in front.points}
    for mine in records:
        dominated = any(
            other.select_error <= mine.select_error
            and other.multiply_adds <= mine.multiply_adds
            and (other.select_error, other.multiply_adds) != (mine.select_error, mine.multiply_adds)
            for other in records
            if other.status == "completed"
        )
        assert (mine.trial.id in on) == (mine.status == "completed" and not dominated)


def test_a_fixed_design_is_dominated_by_what_is_no_worse_in_both() -> None:
    records = seeds([0.2, 0.2], multiply_adds=5_000) + seeds([0.05, 0.05], "twin_3x3", multiply_adds=4_000)
    records += population([0.1, 0.3], multiply_adds=5_000)
    task = compare_records(records, PLAN).tasks[0]
    dominated = {f.space: f.dominated_by for f in task.fronts if f.cost == "multiply_adds"}
    assert dominated == {"flexconv": ("twin",), "twin_3x3": (), "twin": ()}
    rows = front_table(task).rows
    assert ("FlexConv", "multiply-adds", "–", "0.000", "twin") in rows  # at the largest cost of all
    assert rows[2][2] == "1" and rows[2][0] == "twin (N = 2)"
