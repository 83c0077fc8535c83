"""Searches over time: step functions over seeds, and Kaplan-Meier against what is known of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.efficiency import compare_records
from nas.efficiency.anytime import FEWEST, median_time, quartiles_over_time
from nas.figures_use import anytime_figure
from nas.report_use import time_table
from tests.nas.builders import PLAN, full_run, record, seeds
from trials.record import TrialRecord

NONE = np.empty(0)


def search(seed: int, errors: list[float], seconds: float = 10.0, **more: object) -> list[TrialRecord]:
    """A search whose trials end one after another; an error of infinity is one that was stopped."""
    return [
        record(
            number=i,
            error=0.01 if math.isinf(error) else error,
            kind="search",
            status="stopped" if math.isinf(error) else "completed",
            study_seed=seed,
            seconds=seconds,
            **more,
        )
        for i, error in enumerate(errors)
    ]


def test_quartiles_are_those_of_the_step_functions_at_every_cost() -> None:
    rng = np.random.default_rng(0)
    spent = [np.cumsum(rng.uniform(1, 5, 12)) for _ in range(5)]
    best = [np.minimum.accumulate(np.where(rng.random(12) < 0.3, math.inf, rng.random(12))) for _ in spent]
    found = quartiles_over_time(spent, best)
    end = min(costs[-1] for costs in spent)
    for cost in np.linspace(0.5, end, 200):
        values = sorted(
            min((b for c, b in zip(*each) if c <= cost), default=math.inf) for each in zip(spent, best)
        )
        now = [q for q in found if q.cost <= cost]
        expected = [None if math.isinf(v) else v for v in (values[1], values[2], values[3])]
        shown = [now[-1].lower, now[-1].median, now[-1].upper] if now else [None, None, None]
        assert shown == expected, cost
    assert found[-1].cost <= end


def test_quartiles_of_four_searches_lie_between_two_of_them() -> None:
    (found,) = quartiles_over_time([np.array([1.0])] * 4, [np.array([e]) for e in (0.4, 0.1, 0.2, math.inf)])
    assert (found.lower, found.median, found.upper) == pytest.approx((0.15, 0.3, None))


def test_a_search_is_worth_nothing_before_a_completed_trial() -> None:
    records = search(0, [math.inf, 0.3, 0.2]) + search(1, [0.5, 0.5, 0.5, 0.1])
    anytime, _ = compare_records(records, PLAN).tasks[0].anytime
    assert (anytime.space, anytime.unit, anytime.searches) == ("twin", "device-seconds", 2)
    assert [(q.cost, q.lower, q.upper) for q in anytime.quartiles] == [
        (10.0, 0.5, None),
        (20.0, 0.3, 0.5),
        (30.0, 0.2, 0.5),
    ]  # not at 40, where the first search has ended
    assert anytime.times == ()  # no single design, no target
    nothing = compare_records(search(0, [math.inf]) + search(1, [math.inf]) + search(2, [0.3]), PLAN)
    assert all(row[0] != "twin, median of 3 searches" for row in anytime_figure(nothing.tasks[0]).rows)


def test_without_censoring_the_median_is_that_of_the_times() -> None:
    times = np.arange(1.0, 10.0)
    found = median_time(times, NONE)
    assert found.value == 5.0
    assert found.low is not None and found.high is not None and found.low < 5.0 < found.high


def test_the_median_of_kaplan_and_meier_by_hand() -> None:
    # S: 5/6 at 1, then 4 at risk: 5/8 at 3, then 2 at risk: 5/16 at 5
    assert median_time(np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0, 6.0])).value == 5.0
    # censored at the same time counts as still at risk: S = 3/4, 1/2
    assert median_time(np.array([1.0, 2.0]), np.array([2.0, 9.0])).value == 2.0
    unknown = median_time(np.array([1.0]), np.array([2.0, 2.0]))
    assert unknown.value is None
    assert median_time(NONE, np.array([1.0])).value is None


def test_few_searches_have_no_interval() -> None:
    few, enough = (median_time(np.arange(1.0, 1 + n), NONE) for n in (FEWEST - 1, FEWEST))
    assert few.value == 3.0 and (few.low, few.high) == (None, None)
    assert enough.low is not None
    assert 2.0 ** -(FEWEST - 1) > 0.025 > 2.0**-FEWEST


@pytest.mark.parametrize("count", [8, 20])
@pytest.mark.parametrize("last", [1.2, math.inf])
def test_the_interval_of_the_median_covers_it(count: int, last: float) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        times = rng.exponential(1 / math.log(2), count)  # median 1
        ends = np.full(count, math.inf) if math.isinf(last) else rng.uniform(last, 2 * last, count)
        found = median_time(times[times <= ends], ends[times > ends])
        covered += (found.low or 0.0) <= 1.0 <= (math.inf if found.high is None else found.high)
    assert covered >= 0.93 * 400


def test_searches_that_do_not_reach_the_target_stay() -> None:
    records = seeds([0.2, 0.22]) + [r for i in range(6) for r in search(i, [0.5, 0.5 if i < 2 else 0.2])]
    task = compare_records(records, PLAN).tasks[0]
    assert task.single is not None and task.single.select_error == pytest.approx(0.21)
    first = task.anytime[0].times[0]
    assert (first.name, first.target, first.searches, first.reached) == ("f", pytest.approx(0.21), 6, 4)
    assert first.median.value == 20.0 and first.known == 20.0
    rows = time_table(task).rows
    assert rows[0][:3] == ("twin", "f = 21.0 %", "4 of 6") and rows[0][4].startswith("20 [20, ")
    never = compare_records(seeds([0.1, 0.1]) + search(0, [0.5]), PLAN).tasks[0]
    assert time_table(never).rows[0][4] == "> 10"


def test_seconds_are_given_within_one_device_only() -> None:
    records = search(0, [0.3], device="cpu-a") + search(1, [0.3], device="cpu-b")
    (anytime,) = compare_records(records, PLAN).tasks[0].anytime
    assert anytime.unit == "multiply-adds" and anytime.quartiles[0].cost == 1e9


def test_searches_of_a_full_run_agree_with_their_curves() -> None:
    task = compare_records(full_run(("digits",)), PLAN).tasks[0]
    anytime = task.anytime[0]
    end = min(search.spent for search in task.searches)
    last = sorted(min(e for s, e in search.curve if s <= end) for search in task.searches)
    shown = anytime.quartiles[-1]
    assert [shown.lower, shown.median, shown.upper] == last
