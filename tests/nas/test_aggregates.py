"""Aggregates over tasks: against the numbers of published code, enumeration, and the rules of counting."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nas.efficiency import Comparison, Plan, compare_records
from nas.efficiency.aggregates import Aggregate
from nas.efficiency.references import REFERENCES, reference_of, without_split
from nas.efficiency.resampling import (
    improvement,
    interquartile_mean,
    profile,
    run_weights,
    trimmed_mean,
)
from nas.efficiency.transfer import task_shares
from tests.nas.builders import PLAN, around, design, record, seeds
from tests.nas.coverage_across import improvement_intervals, iqm_intervals
from tests.nas.test_transfer import carried, on
from trials.finding import TASKS
from trials.plain import dumps, from_plain
from trials.record import TrialRecord

RNG = np.random.default_rng(42)
OURS, THEIRS = np.round(RNG.gamma(2, 0.1, (8, 5)), 3), np.round(RNG.gamma(2, 0.12, (8, 5)), 3)
"""Runs x tasks, as rliable takes them."""


def units(runs: np.ndarray) -> list[list[np.ndarray]]:
    return [[np.array([run]) for run in of_task] for of_task in runs.T]


def equal(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def test_numbers_are_those_of_rliable() -> None:
    """rliable 1.2.0 on numpy 2.4.6: aggregate_iqm, probability_of_improvement(THEIRS, OURS), a profile.

    It counts scores > tau, of which ours is the rest; higher scores improve, so the sides are exchanged.
    """
    rng = np.random.default_rng(0)
    assert interquartile_mean(units(OURS), equal(5), rng).value == pytest.approx(0.18525)
    assert interquartile_mean(units(THEIRS), equal(5), rng).value == pytest.approx(0.1761)
    assert improvement(units(OURS), units(THEIRS), equal(5), rng).value == pytest.approx(0.5125)
    at = profile(units(OURS), equal(5))
    shares = [
        max((share for tau, share in at if tau <= level), default=0.0) for level in (0.05, 0.1, 0.2, 0.4)
    ]
    assert shares == pytest.approx([1 - above for above in (0.925, 0.8, 0.45, 0.0)])


def test_the_trimmed_mean_cuts_a_quarter_of_the_weight_and_parts_of_runs() -> None:
    values = np.array([4.0, 1.0, 3.0, 2.0, 9.0])
    (found,) = trimmed_mean(values, np.full((1, 5), 0.2))
    assert found == pytest.approx((0.15 * 2 + 0.2 * 3 + 0.15 * 4) / 0.5)
    assert trimmed_mean(values[:4], np.full((1, 4), 0.25))[0] == pytest.approx(2.5)
    copies = np.repeat(values, [1, 2, 3, 4, 6])  # weights are the same as copies
    weights = np.array([[1, 2, 3, 4, 6]]) / 16
    assert trimmed_mean(values, weights)[0] == pytest.approx(stats.trim_mean(copies, 0.25))
    failed = np.array([1.0, 2.0, 3.0, math.inf])
    assert trimmed_mean(failed, np.full((1, 4), 0.25))[0] == pytest.approx(2.5)
    assert trimmed_mean(failed, np.array([[0.2, 0.2, 0.2, 0.4]]))[0] == math.inf


def test_the_draws_of_runs_have_the_variance_of_a_mean() -> None:
    """Exactly s^2 / k on average, where drawing k of k would give (k - 1) / k of it; a search stays whole."""
    runs = np.array([0.1, 0.4, 0.2, 0.9])
    weights = run_weights([np.array([run]) for run in runs], np.random.default_rng(0), 40_000)
    assert weights[0] == pytest.approx(0.25) and weights.sum(axis=1) == pytest.approx(1)
    assert (weights[1:] @ runs).var() == pytest.approx(runs.var(ddof=1) / 4, rel=0.03)
    searches = run_weights([runs[:1], runs[1:]], np.random.default_rng(0), 100)
    assert searches[0] == pytest.approx(0.25)
    assert {tuple(row) for row in searches[1:].round(6)} == {(1, 0, 0, 0), (0, *[round(1 / 3, 6)] * 3)}


def test_improvement_is_the_share_of_pairs_and_never_certain() -> None:
    rng = np.random.default_rng(1)
    ours = [rng.integers(0, 4, 5) / 4, rng.integers(0, 4, 3) / 4]
    theirs = [rng.integers(0, 4, 4) / 4, rng.integers(0, 4, 5) / 4]
    ours[0][0] = theirs[0][0] = math.inf
    pairs = [np.mean([(x < y) + (x == y) / 2 for x, y in product(a, b)]) for a, b in zip(ours, theirs)]
    sides = [[[np.array([run]) for run in runs] for runs in side] for side in (ours, theirs)]
    found = improvement(sides[0], sides[1], np.array([0.3, 0.7]), rng)
    assert found.value == pytest.approx(0.3 * pairs[0] + 0.7 * pairs[1])
    lower, upper = units(np.full((5, 2), 0.1)), units(np.full((3, 2), 0.2))
    sure = improvement(lower, upper, equal(2), rng)
    assert (sure.value, sure.high) == (1, 1) and sure.low == pytest.approx(0.025 ** (1 / 6))
    split = improvement([lower[0], upper[0]], [upper[0], lower[0]], equal(2), rng)
    assert split.value == 0.5 and split.low < 0.3 and split.high > 0.7


def test_a_dataset_counts_once() -> None:
    assert task_shares(["a", "b", "b", "c"]) == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 3])


def finalists(task: str, levels: list[float]) -> list[TrialRecord]:
    """Searches of one trial with two finalists each, at these levels."""
    searches = [
        record("twin", 0, level, kind="search", study_seed=search, architecture=design(search))
        for search, level in enumerate(levels)
    ]
    searches = on(task, searches)
    return searches + on(
        task,
        [
            record(
                "twin",
                i,
                level + 0.001 * i,
                kind="finalist",
                study_seed=search,
                seed=10 * search + i,
                architecture=design(search),
                test_error=0.5,
                selected_from=searches[search].trial.id,
            )
            for search, level in enumerate(levels)
            for i in range(2)
        ],
    )


REFERRED = replace(PLAN, references=(("a", 0.1), ("b", 0.4), ("dev", 0.1)), development=("dev",))


def some_tasks(*tasks: str) -> list[TrialRecord]:
    """FlexConv at 18 %, 3x3 at 34 %, finalists at 26 %: with a reference of 10 %, 0.1, 0.3 and 0.2."""
    records = []
    for task in tasks:
        records += on(task, seeds(around(0.18)) + seeds(around(0.34), "twin_3x3"))
        records += finalists(task, [0.26, 0.26, 0.26])
    return records


def aggregate(records: list[TrialRecord], plan: Plan = REFERRED) -> Aggregate:
    comparison = compare_records(records, plan)
    assert from_plain(Comparison, json.loads(dumps(comparison))) == comparison
    assert comparison.aggregate is not None
    return comparison.aggregate


def test_errors_are_normalised_by_reference_and_majority_of_their_task() -> None:
    found = aggregate(some_tasks("a", "b"))
    by_name = {each.name: each for each in found.standings}
    assert list(by_name) == ["flexconv", "twin_3x3", "twin"]
    # b: (0.18 - 0.4) / 0.5 = -0.44, so the middle half is half of either task
    assert by_name["flexconv"].iqm.value == pytest.approx((0.1 - 0.44) / 2, abs=0.003)
    assert by_name["twin"].runs == 12 and by_name["twin"].searches == 6
    taus = [tau for tau, _ in by_name["twin_3x3"].profile]
    assert min(taus) == pytest.approx((0.338 - 0.4) / 0.5)
    assert by_name["twin_3x3"].profile[-1][1] == pytest.approx(1)
    chance = by_name["twin"].improvement
    assert chance is not None and chance.value == 1 and chance.low is not None and chance.low < 0.7
    missing = {each.name: each.reason for each in found.missing}
    assert missing["twin_7x7"] == "no run on a, b"


def test_tasks_without_a_reference_are_left_out_by_name() -> None:
    found = aggregate(some_tasks("a", "b", "c"))
    assert [scale.task for scale in found.scales] == ["a", "b"]
    assert "c" in {each.name for each in found.missing} and len(found.signs[0].effects) == 3
    impossible = replace(REFERRED, references=(("a", 0.95), ("b", 0.4)))
    reasons = {each.name: each.reason for each in aggregate(some_tasks("a", "b"), impossible).missing}
    assert reasons["a"] == "its reference of 0.95 is not below the majority's 0.9"


def test_a_space_that_a_task_lacks_is_left_out_and_named() -> None:
    records = some_tasks("a", "b")
    without = [r for r in records if (r.trial.study.task, r.trial.study.kind) != ("b", "finalist")]
    found = aggregate(without)
    assert [each.name for each in found.standings] == ["flexconv", "twin_3x3"]
    assert {each.name: each.reason for each in found.missing}["twin"] == "no run on b"


def test_evaluation_tasks_judge_and_development_tasks_stand_in_marked() -> None:
    found = compare_records(some_tasks("a", "b", "dev"), REFERRED)
    assert found.aggregate is not None and found.aggregate.of == "evaluation"
    assert [scale.task for scale in found.aggregate.scales] == ["a", "b"]
    assert not any("development" in sentence for sentence in found.across)
    tuned = compare_records(some_tasks("a", "dev"), replace(REFERRED, development=("a", "dev")))
    assert tuned.aggregate is not None and tuned.aggregate.of == "development"
    assert any("they show the instrument" in sentence for sentence in tuned.across)
    assert compare_records(some_tasks("a", "dev"), REFERRED).aggregate is None  # one evaluation task


def test_splits_of_one_dataset_share_its_weight() -> None:
    records = some_tasks("a", "a@split=1", "a@split=2", "b")
    found = aggregate(records)
    assert found.datasets == 2 and {scale.reference for scale in found.scales} == {0.1, 0.4}
    assert found.standings[0].iqm.value == pytest.approx((0.1 - 0.44) / 2, abs=0.003)
    assert [effect.dataset for effect in found.signs[0].effects] == ["a", "b"]


def test_the_default_of_the_other_tasks_is_one_way_to_go() -> None:
    records = some_tasks("a", "b") + [
        r for s, t in product("ab", "ab") for r in carried(around(0.2 if s == t else 0.3), t, s)
    ]
    found = aggregate(records)
    standing = next(each for each in found.standings if "other tasks" in each.name)
    assert standing.name == "twin default of the other tasks" and standing.runs == 10
    assert standing.improvement is not None and standing.improvement.value == 1


def test_failed_runs_are_infinite_and_open_what_they_reach() -> None:
    records = some_tasks("a", "b")
    records += on("a", [record("twin_3x3", 9, status="failed", architecture=design(0, "twin_3x3"))])
    found = aggregate(records)
    worse = next(each for each in found.standings if each.name == "twin_3x3")
    assert worse.failed == 1 and worse.profile[-1][1] == pytest.approx(1 - 1 / 12)
    effect = found.signs[0].effects[0]
    assert effect.difference is not None and effect.difference.high is None and effect.verdict == "win"


def test_references_are_committed_for_every_task_that_ships() -> None:
    assert set(REFERENCES) == set(TASKS)
    assert all(0 <= reference.error < 1 and reference.how for reference in REFERENCES.values())
    assert reference_of("digits@split=3", ()) == REFERENCES["digits"]
    assert reference_of("digits@rows=500", ()) is None
    given = reference_of("digits@rows=500", (("digits@rows=500", 0.1),))
    assert given is not None and given.error == 0.1
    assert without_split("x@rows=5,split=2,rate=0.5") == "x@rows=5,rate=0.5"
    own = reference_of("digits", (("digits", 0.3),))
    assert own is not None and own.error == 0.3


@pytest.mark.parametrize(("tasks", "runs"), [(2, 5), (4, 3), (10, 5)])
def test_intervals_of_the_interquartile_mean_cover(tasks: int, runs: int) -> None:
    found = iqm_intervals(150, np.random.default_rng(tasks), tasks=tasks, runs=runs, draws=200)
    assert np.mean([low <= truth <= high for low, high, truth in found]) >= 0.90


@pytest.mark.parametrize("chances", [(0.5, 0.5), (0.9,) * 4, (0.95, 0.05) * 2])
def test_intervals_of_improvement_cover(chances: tuple[float, ...]) -> None:
    found = improvement_intervals(150, np.random.default_rng(3), chances=chances, runs=(5, 3), draws=200)
    assert np.mean([low <= truth <= high for low, high, truth in found]) >= 0.92
