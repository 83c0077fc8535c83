"""Records in, statements out: verdicts, guards, refusals, what is missing."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest

from nas.efficiency import Comparison, Plan, SpaceComparison, TaskComparison, compare_records, population_of
from tests.nas.builders import design, full_run, population, record, seeds
from trials.plain import dumps, from_plain
from trials.recipe import STANDARD
from trials.record import TrialRecord

PLAN = Plan(single="flexconv", searched=("twin",), defaults=("twin_3x3", "twin_7x7"))
AROUND = [-0.002, -0.001, 0.0, 0.001, 0.002]


def around(level: float) -> list[float]:
    return [level + offset for offset in AROUND]


def compare_one(records: list[TrialRecord], plan: Plan = PLAN) -> tuple[TaskComparison, SpaceComparison]:
    comparison = compare_records(records, plan)
    assert len(comparison.tasks) == 1
    return comparison.tasks[0], comparison.tasks[0].spaces[0]


def spread(low: float, count: int = 100) -> list[float]:
    """Errors whose expected best of 20 of 100 is close to `low`."""
    return [low + 0.0002 * i for i in range(count)]


@pytest.mark.parametrize(
    ("single", "best", "verdict"),
    [
        (0.050, 0.080, "no search needed"),  # FlexConv is better
        (0.080, 0.078, "no search needed"),  # worse, by less than a point
        (0.080, 0.050, "search"),  # worse by 3 points
        (0.400, 0.390, "no search needed"),  # 1 point, but the margin is 10 % of f = 4 points
        (0.400, 0.350, "search"),
    ],
)
def test_verdicts(single: float, best: float, verdict: str) -> None:
    task, space = compare_one(seeds(around(single)) + population(spread(best)))
    assert (task.verdict, space.verdict, space.n) == (verdict, verdict, 20)
    assert task.margin == pytest.approx(max(0.01, 0.1 * single))
    assert verdict in task.sentences[0]


def test_a_wide_interval_around_the_margin_cannot_say() -> None:
    task, space = compare_one(seeds([0.05, 0.12, 0.08, 0.10, 0.06]) + population(spread(0.07)))
    assert task.verdict == "cannot say"
    assert space.gain is not None and space.gain.low is not None and task.margin is not None
    assert space.gain.low < task.margin < (space.gain.high or 0)


@pytest.mark.parametrize(("defaults", "n"), [(100, 20), (24, 4), (9, 1), (400, 40)])
def test_the_budget_is_capped_at_a_fifth_of_the_population(defaults: int, n: int) -> None:
    _, space = compare_one(seeds(around(0.1)) + population(spread(0.1, defaults)))
    assert space.n == n
    assert all(best.solid == (best.n <= max(1, defaults // 5)) for best in space.best_of)
    assert max(best.n for best in space.best_of) == max(1, defaults // 2)
    assert all(best.error.low is None for best in space.best_of if not best.solid)


@pytest.mark.parametrize(
    ("default", "verdict"),
    [(0.10, "better than the default"), (0.05, "worse"), (0.0802, "cannot say")],
)
def test_against_a_default(default: float, verdict: str) -> None:
    records = seeds(around(0.08)) + seeds(around(default), "twin_3x3") + population(spread(0.08))
    task, _ = compare_one(records)
    assert task.defaults[0].verdict == verdict
    if verdict == "worse":
        assert "FlexConv loses to it" in task.sentences[0]


def test_only_the_best_default_by_select_error_is_in_the_sentence() -> None:
    bad, good = seeds(around(0.2), "twin_3x3"), seeds(around(0.1), "twin_7x7")
    task, _ = compare_one(seeds(around(0.08)) + bad + good)
    assert "twin_7x7 default" in task.sentences[0]
    assert "twin_3x3" not in task.sentences[0]


def test_losing_is_said_plainly() -> None:
    task, _ = compare_one(seeds(around(0.1)) + population(spread(0.05)))
    assert "search, FlexConv loses by more than the margin" in task.sentences[0]
    assert "points better" in task.sentences[0]


@pytest.mark.parametrize("kind", ["search", "finalist"])
def test_adaptive_trials_are_refused_as_a_population(kind: str) -> None:
    with pytest.raises(ValueError, match=f"is of kind {kind}"):
        population_of([record(kind=kind)])  # type: ignore[arg-type]


def test_stopped_trials_are_refused_in_a_population() -> None:
    with pytest.raises(ValueError, match="was stopped early"):
        compare_records([record(status="stopped")], PLAN)


def test_searches_change_no_statement_about_the_distribution() -> None:
    base = seeds(around(0.1)) + population(spread(0.1))
    searched = [record("twin", i, 0.01, kind="search", study_seed=1) for i in range(50)]
    without, with_search = compare_one(base)[1], compare_one(base + searched)[1]
    assert with_search == without


def test_differing_recipes_are_refused_by_field_and_values() -> None:
    other = dataclasses.replace(STANDARD, epochs=7)
    with pytest.raises(ValueError, match=r"epochs must be the same in one task, got 20 in .* and 7 in "):
        compare_records([record("flexconv"), record("twin", recipe=other)], PLAN)


def test_learning_rate_and_weight_decay_may_differ_between_spaces_only() -> None:
    other = dataclasses.replace(STANDARD, learning_rate=0.02, weight_decay=0.0)
    comparison = compare_records([record("flexconv"), record("twin", recipe=other)], PLAN)
    assert {(rate.space, rate.learning_rate) for rate in comparison.per_space} == {
        ("flexconv", 0.01),
        ("twin", 0.02),
    }
    assert comparison.settings["epochs"] == 20
    assert "learning_rate" not in comparison.settings
    with pytest.raises(ValueError, match="learning_rate must be the same in one space of a task"):
        compare_records([record("twin"), record("twin", 1, recipe=other)], PLAN)


def test_differing_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="rows_select must be the same"):
        compare_records([record("twin"), record("twin", 1, rows=100)], PLAN)


def test_recipes_may_differ_between_tasks() -> None:
    other = dataclasses.replace(STANDARD, epochs=7)
    comparison = compare_records([record(task="a"), record(task="b", recipe=other)], PLAN)
    assert "epochs" not in comparison.settings


def test_a_repeat_is_a_seed_and_not_a_design() -> None:
    first = population(spread(0.1))
    again = [record("twin", 100 + i, 0.1, architecture=first[i].trial.architecture) for i in range(8)]
    _, space = compare_one(seeds(around(0.1)) + first + again)
    assert (space.designs, space.repeats, space.notes) == (100, 8, ())
    _, alone = compare_one(seeds(around(0.1)) + first)
    assert "stands in" in alone.notes[0]


def test_failed_trials_stay_in_n() -> None:
    task, space = compare_one(seeds(around(0.1)) + population([*spread(0.05, 50), *[math.inf] * 50]))
    assert (space.designs, space.failed, len(space.errors)) == (100, 50, 50)
    assert space.chance is not None and space.chance.matches <= 50
    assert "N = 100, 50 failed" in task.sentences[0]


def test_a_failed_single_training_forbids_no_search_needed() -> None:
    task, space = compare_one(seeds([*around(0.05), math.inf]) + population(spread(0.2)))
    assert task.verdict == "cannot say"
    assert space.gain is not None and space.gain.high is None
    assert space.chance is None and "failed" in space.notes[-1]


def test_small_populations_are_descriptive() -> None:
    task, space = compare_one(seeds(around(0.1)) + population(spread(0.1, 24)))
    assert space.descriptive
    assert "descriptive, N = 24 is below 100" in task.sentences[0]


def test_a_census_is_recognised_and_not_descriptive() -> None:
    records = seeds(around(0.1)) + population(spread(0.1, 9))
    comparison = compare_records(records, PLAN, {("digits", "twin"): 9})
    space = comparison.tasks[0].spaces[0]
    assert space.census and not space.descriptive
    assert "census" in space.notes[0]


def test_device_seconds_are_not_compared_across_device_models() -> None:
    records = seeds(around(0.1), device="gpu-b") + population(spread(0.1))
    task, space = compare_one(records)
    assert space.cost_ratio_seconds is None and space.cost_ratio_multiply_adds is not None
    assert space.chance is not None and space.chance.factor_seconds is None
    assert "multiply-adds" in task.sentences[0] and "device models" in task.notes[0]


def test_a_factor_with_a_wide_interval_is_not_stated() -> None:
    records = seeds([0.1, 0.14, 0.12]) + population([0.1 + 0.01 * i for i in range(20)])
    task, space = compare_one(records)
    assert space.chance is not None
    assert space.chance.matches > 0
    assert "cannot say at what factor" in task.sentences[1]


def test_anytime_curves_follow_the_order_of_finish_and_count_what_was_stopped() -> None:
    trials = [
        record("twin", 0, 0.30, kind="search", seconds=5),
        record("twin", 1, 0.20, kind="search", seconds=5, status="stopped"),
        record("twin", 2, 0.25, kind="search", seconds=5, status="failed"),
        record("twin", 3, 0.10, kind="search", seconds=5),
    ]
    comparison = compare_records(seeds(around(0.101)) + trials, PLAN)
    search = comparison.tasks[0].searches[0]
    assert search.curve == ((5.0, 0.3), (10.0, 0.2), (15.0, 0.2), (20.0, 0.1))
    assert (search.completed, search.stopped, search.failed) == (2, 1, 1)
    assert (search.to_single, search.to_margin, comparison.censored) == (20.0, 20.0, 0)
    censored = compare_records(seeds(around(0.05)) + trials, PLAN)
    assert (censored.tasks[0].searches[0].to_single, censored.censored) == (None, 1)


def test_finalists_and_the_winners_curse() -> None:
    searched = record("twin", 4, 0.10, kind="search", study_seed=2)
    finalists = [
        record("twin", i, kind="finalist", test_error=0.12 + 0.01 * i, selected_from=searched.trial.id)
        for i in range(3)
    ]
    single = [record("flexconv", i, kind="finalist", test_error=0.10 + 0.001 * i) for i in range(3)]
    task = compare_records([searched, *finalists, *single], PLAN).tasks[0]
    twin = next(finalist for finalist in task.finalists if finalist.space == "twin")
    assert (twin.n, twin.searches, twin.test_error) == (3, 1, pytest.approx(0.13))
    assert twin.curses[0].gap == pytest.approx(0.03)
    assert twin.difference is not None and twin.difference.value == pytest.approx(0.029)


def test_kernel_sizes_are_means_over_seeds_beside_the_best_design() -> None:
    learned = [
        record("flexconv", seed, architecture=design(0, "flexconv"), kernel_sizes=sizes)
        for seed, sizes in enumerate([((3, 5), (9, 9)), ((5, 7), (11, 9))])
    ]
    designs = [
        record("twin", 0, 0.2, kernel_sizes=((3, 3),)),
        record("twin", 1, 0.1, kernel_sizes=((7, 7),)),
    ]
    single, twin = compare_records(learned + designs, PLAN).tasks[0].kernel_sizes
    assert single.layers == ((4.0, 6.0), (10.0, 9.0))
    assert twin.layers == ((7.0, 7.0),)


def test_records_that_nothing_rests_on_are_listed_with_the_reason() -> None:
    good = record("twin")
    twice = dataclasses.replace(good, trial=dataclasses.replace(good.trial, number=9))
    bare = dataclasses.replace(record("twin", 3), curve=())
    untested = record("twin", 4, kind="finalist")
    elsewhere = record("resnet", 5)
    comparison = compare_records([good, twice, bare, untested, elsewhere], PLAN)
    reasons = {left.trial: left.reason for left in comparison.left_out}
    assert len(reasons) == 4
    assert "same design and seed" in reasons[twice.trial.id]
    assert "finished epoch" in reasons[bare.trial.id]
    assert "test split" in reasons[untested.trial.id]
    assert "not in the plan" in reasons[elsewhere.trial.id]


UNFINISHED = {
    "nothing": [],
    "one trial": population([0.1]),
    "no single": population(spread(0.1)),
    "one seed": seeds([0.1]) + population([0.1, 0.2]),
    "one design": seeds(around(0.1)) + population([0.1]),
    "no designs": seeds(around(0.1)),
    "all designs failed": seeds(around(0.1)) + population([math.inf] * 5),
    "all seeds failed": seeds([math.inf] * 2) + population([0.1] * 5),
    "a failed default": seeds(around(0.1)) + seeds([math.inf] * 3, "twin_3x3") + population(spread(0.1)),
    "identical errors": seeds([0.1] * 3) + population([0.1] * 30),
    "zero errors": seeds([0.0] * 3) + population([0.0] * 30),
    "only a search": [record(kind="search", number=i) for i in range(3)],
    "only a finalist": [record(kind="finalist", test_error=0.1)],
    "free": seeds([0.1, 0.2], seconds=0.0, multiply_adds=0) + population([0.1] * 9, seconds=0.0),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_run_says_what_cannot_be_concluded(name: str) -> None:
    comparison = compare_records(UNFINISHED[name], PLAN)
    said = comparison.overall + " ".join(s for task in comparison.tasks for s in task.sentences)
    assert any(word in said for word in ("cannot say", "nothing can be concluded", "no search needed"))
    assert all(any(character.isdigit() for character in s) for t in comparison.tasks for s in t.sentences)
    assert from_plain(Comparison, json.loads(dumps(comparison))) == comparison  # no NaN, no infinity


@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_any_part_of_a_run_is_comparable(share: float) -> None:
    records = full_run()
    part = random.Random(3).sample(records, int(share * len(records)))
    assert dumps(compare_records(part, PLAN))


def test_a_full_run_round_trips_and_does_not_depend_on_the_order() -> None:
    records = full_run()
    comparison = compare_records(records, PLAN)
    shuffled = random.Random(1).sample(records, len(records))
    assert dumps(compare_records(shuffled, PLAN)) == dumps(comparison)
    assert from_plain(Comparison, json.loads(dumps(comparison))) == comparison
    assert all(
        "(5 seeds)" in task.sentences[0] and "N = 100" in task.sentences[0] for task in comparison.tasks
    )


def test_development_tasks_are_named_apart() -> None:
    plan = dataclasses.replace(PLAN, development=("digits",))
    comparison = compare_records(full_run(), plan)
    assert comparison.overall.startswith("Of 2 evaluation tasks")
    assert "On 1 development task, where rules were tuned" in comparison.overall


def test_a_plan_gives_each_space_one_role() -> None:
    with pytest.raises(ValueError, match="one role"):
        Plan(single="flexconv", searched=("flexconv",))
    with pytest.raises(ValueError, match="budget must be at least 1"):
        Plan(single="flexconv", searched=("twin",), budget=0)


def test_a_single_design_space_with_two_designs_is_refused() -> None:
    with pytest.raises(ValueError, match="2 designs"):
        compare_records(population([0.1, 0.2], "flexconv"), PLAN)


def test_wrong_verdicts_on_the_margin_are_rare() -> None:
    """The truth lies on the margin (f - E[best of 20] = 1 point): at most 5 % may claim either side."""
    rng, wrong, replications = np.random.default_rng(11), 0, 60
    truth = 0.05 + 0.1 / 21  # expected best of 20 uniform errors on [0.05, 0.15]
    plan = Plan(single="flexconv", searched=("twin",), margin_share=0.0)
    for _ in range(replications):
        single = seeds(truth + 0.01 + rng.normal(0, 0.003, 5))
        _, space = compare_one(single + population(0.05 + 0.1 * rng.random(100)), plan)
        wrong += space.verdict != "cannot say"
    assert wrong / replications <= 0.12


def test_comparing_imports_no_framework() -> None:
    code = (
        "import sys, nas.efficiency, nas.report, nas.figures\n"
        "print([m for m in ('torch', 'ray', 'optuna', 'mlflow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
