"""Verdicts and sentences: what is claimed, when, and what is said instead."""

from __future__ import annotations

import dataclasses
import math

import pytest

from nas.efficiency import TaskComparison, compare_records
from tests.nas.builders import PLAN, around, compare_one, design, full_run, population, record, seeds, spread


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
    assert verdict in task.sentences[0] and "400 report rows" in task.sentences[0]


def test_a_wide_interval_around_the_margin_cannot_say() -> None:
    task, space = compare_one(seeds([0.05, 0.12, 0.08, 0.10, 0.06]) + population(spread(0.07)))
    assert task.verdict == "cannot say"
    assert space.gain is not None and space.gain.low is not None and task.margin is not None
    assert space.gain.low < task.margin < (space.gain.high or 0)


@pytest.mark.parametrize(("designs", "n"), [(100, 20), (24, 4), (9, 1), (400, 40), (185, 37)])
def test_the_budget_is_capped_at_a_fifth_of_the_population_and_shown(designs: int, n: int) -> None:
    plan = dataclasses.replace(PLAN, budget=40)
    _, space = compare_one(seeds(around(0.1)) + population(spread(0.1, designs)), plan)
    assert space.n == n and n in [best.n for best in space.best_of]
    assert all(best.solid == (best.n <= max(1, designs // 5)) for best in space.best_of)
    assert max(best.n for best in space.best_of) == max(1, designs // 2)
    assert all(best.error.low is None for best in space.best_of if not best.solid)


def test_any_judged_n_is_in_the_table() -> None:
    for budget in (20, 23, 35):  # not on the curve's own grid
        plan = dataclasses.replace(PLAN, budget=budget)
        _, space = compare_one(seeds(around(0.1)) + population(spread(0.1, 200)), plan)
        assert space.n == budget and budget in [best.n for best in space.best_of]


def test_no_search_needed_is_concluded_at_the_whole_budget_only() -> None:
    plan = dataclasses.replace(PLAN, budget=40)
    task, _ = compare_one(seeds(around(0.05)) + population(spread(0.08, 120)), plan)
    assert task.verdict == "cannot say"
    assert "N = 120 allows n = 24, the plan asks for 40" in task.sentences[0]
    task, _ = compare_one(seeds(around(0.08)) + population(spread(0.05, 120)), plan)
    assert task.verdict == "search" and "the plan asks" not in task.sentences[0]


@pytest.mark.parametrize("single", [0.05, 0.2])
def test_small_populations_are_descriptive_and_get_no_verdict(single: float) -> None:
    comparison = compare_records(seeds(around(single)) + population(spread(0.1, 60)), PLAN)
    task = comparison.tasks[0]
    assert task.spaces[0].descriptive and task.verdict == "cannot say"
    assert task.spaces[0].gain is not None
    assert "descriptive: N = 60 is below 100" in task.sentences[0]
    assert comparison.overall == (
        "Of 1 evaluation task: descriptive only, fewer than 100 designs, on 1 (digits)."
    )


def test_a_census_is_judged_whole_from_the_noise_of_seeds() -> None:
    records = seeds(around(0.08)) + population(spread(0.1, 9))
    task, space = compare_one(records, size=9)
    assert space.census and not space.descriptive and "census" in space.notes[0]
    assert (space.band, space.n, task.verdict) == (None, 9, "no search needed")
    assert [best.n for best in space.best_of if best.solid] == list(range(1, 10))
    last = space.best_of[-1].error
    assert last.value == pytest.approx(0.1)
    assert last.high is not None and last.high - 0.1 == pytest.approx(2.776 * 0.0015811, rel=0.02)
    _, sample = compare_one(records, size=20)
    assert "9 designs are more than a fifth of the 20" in sample.notes[0] and sample.band is not None


@pytest.mark.parametrize(
    ("default", "verdict"),
    [(0.10, "better than the default"), (0.05, "worse"), (0.0802, "cannot say")],
)
def test_against_a_default(default: float, verdict: str) -> None:
    records = seeds(around(0.08)) + seeds(around(default), "twin_3x3") + population(spread(0.08))
    comparison = compare_records(records, PLAN)
    task = comparison.tasks[0]
    assert task.defaults[0].verdict == verdict
    assert ("FlexConv loses to it" in task.sentences[0]) == (verdict == "worse")
    loses = "; FlexConv is worse than a default on 1 (digits: twin_3x3)"
    assert (loses in comparison.overall) == (verdict == "worse")


def test_only_the_best_default_by_select_error_is_in_the_sentence() -> None:
    bad, good = seeds(around(0.2), "twin_3x3"), seeds(around(0.1), "twin_7x7")
    task, _ = compare_one(seeds(around(0.08)) + bad + good)
    assert "twin_7x7 default" in task.sentences[0]
    assert "twin_3x3" not in task.sentences[0]


def test_a_default_that_always_failed_is_not_beaten() -> None:
    failed = seeds([math.inf] * 3, "twin_3x3")
    task, _ = compare_one(seeds(around(0.1)) + failed + population(spread(0.1)))
    assert "cannot say whether FlexConv beats one" in task.sentences[0]
    assert "3 of 3 trainings of twin_3x3 failed." in task.notes


def test_losing_is_said_plainly() -> None:
    task, _ = compare_one(seeds(around(0.1)) + population(spread(0.05)))
    assert "search, FlexConv loses by more than the margin" in task.sentences[0]
    assert "points better" in task.sentences[0]


def test_a_failed_single_training_forbids_no_search_needed() -> None:
    task, space = compare_one(seeds([*around(0.05), math.inf]) + population(spread(0.2)))
    assert task.verdict == "cannot say"
    assert space.gain is not None and space.gain.high is None
    assert space.chance is None and "failed" in space.notes[-1]


def test_coarse_rows_and_vanishing_standard_errors_are_noted() -> None:
    few = seeds([0.1] * 3, rows=150) + population(spread(0.1), rows=150)
    task, space = compare_one(few)
    assert "One of the 150 report rows is 0.7 points, more than half the margin of 1.0" in task.notes[0]
    assert any("agree to less than half a row of the 150 report rows" in note for note in space.notes)
    task, space = compare_one(seeds(around(0.1)) + population(spread(0.1)))
    assert not any("report rows" in note for note in task.notes)
    assert not any("exactly 0" in note or "half a row" in note for note in space.notes)


def test_designs_without_an_error_are_not_said_to_be_worse_than_none() -> None:
    errors = [0.0] * 12 + [0.002 * i for i in range(1, 89)]
    first = population(errors)
    again = [
        record("twin", 100 + i, errors[10 * i] + 0.02, architecture=first[10 * i].trial.architecture)
        for i in range(8)
    ]
    task, space = compare_one(seeds([0.0] * 5) + first + again)
    assert space.chance is None and space.chance_margin is not None and space.chance_margin.matches > 0
    assert any("makes 0.0 errors" in note and "of the 12 of 100 designs" in note for note in space.notes)
    assert not any("designs to match" in sentence for sentence in task.sentences)
    _, exact = compare_one(seeds([0.0] * 5) + first)  # no noise is known: nothing is shrunk
    assert exact.chance is not None and exact.chance.matches == 12


def test_defaults_that_only_guess_are_named() -> None:
    records = seeds([0.9] * 3) + seeds([0.9, 0.91], "twin_3x3") + seeds([0.9, 0.89], "twin_7x7")
    task, _ = compare_one(records + population(spread(0.1)))
    said = "no better on validation rows than always answering the most frequent class: "
    assert [note for note in task.notes if said in note] == [
        f"twin_3x3 (2 seeds) is {said}90.5 % against 90.0 %."
    ]


def test_a_factor_with_a_wide_interval_is_not_stated() -> None:
    task, space = compare_one(seeds([0.1, 0.14, 0.12]) + population([0.1 + 0.01 * i for i in range(20)]))
    assert space.chance is not None
    assert space.chance.matches > 0
    assert "cannot say at what factor" in task.sentences[2]


def test_designs_that_noise_hides_are_not_said_to_be_fewer_than_one() -> None:
    """Two trainings of a design differ by more than two designs do: none is known to be better than all."""
    first = population(spread(0.1))
    again = [
        record("twin", 100 + i, 0.13 if i % 2 else 0.07, architecture=first[i].trial.architecture)
        for i in range(8)
    ]
    task, space = compare_one(seeds([0.08, 0.09, 0.1, 0.11, 0.12, 0.09]) + first + again)
    assert space.chance is not None and space.chance.matches == 0
    (said,) = (sentence for sentence in task.sentences if "random twin designs match" in sentence)
    assert "but noise hides how many do: p at most 0." in said and "to match" not in said
    task, space = compare_one(seeds(around(0.02)) + population(spread(0.1)))
    assert "at least " in next(s for s in task.sentences if "random twin designs match" in s)


def test_anytime_curves_cost_all_trials_and_count_completed_ones() -> None:
    trials = [
        record("twin", 0, 0.30, kind="search", seconds=5),
        record("twin", 1, 0.05, kind="search", seconds=5, status="stopped"),
        record("twin", 2, 0.05, kind="search", seconds=5, status="failed"),
        record("twin", 3, 0.10, kind="search", seconds=5),
    ]
    comparison = compare_records(seeds(around(0.101)) + trials, PLAN)
    search = comparison.tasks[0].searches[0]
    assert search.curve == ((5.0, 0.3), (10.0, 0.3), (15.0, 0.3), (20.0, 0.1))
    assert (search.completed, search.stopped, search.failed) == (2, 1, 1)
    assert (search.to_single, search.to_margin, comparison.censored) == (20.0, 20.0, 0)
    censored = compare_records(seeds(around(0.05)) + trials, PLAN)
    assert (censored.tasks[0].searches[0].to_single, censored.censored) == (None, 1)


def finalists(twin: dict[int, list[float]], single: list[float]) -> tuple[TaskComparison, dict[str, str]]:
    """Finalists of searches by their seed; an infinite test error is a failed training."""
    found = [record("twin", 4, 0.10, kind="search", study_seed=search) for search in twin]
    records = [*found, *seeds(around(0.1))]
    for trial, errors in zip(found, twin.values()):
        records += [
            record(
                "twin",
                i,
                kind="finalist",
                study_seed=trial.trial.study.seed,
                seed=100 * trial.trial.study.seed + i,
                architecture=trial.trial.architecture,
                test_error=error,
                selected_from=trial.trial.id,
                status="failed" if math.isinf(error) else "completed",
            )
            for i, error in enumerate(errors)
        ]
    records += [
        record(
            "flexconv",
            i,
            kind="finalist",
            test_error=error,
            architecture=design(0, "flexconv"),
            status="failed" if math.isinf(error) else "completed",
        )
        for i, error in enumerate(single)
    ]
    task = compare_records(records, PLAN).tasks[0]
    return task, {s.split()[2]: s for s in task.sentences if s.startswith("On test, ")}


def test_finalists_of_one_search_and_its_winners_curse() -> None:
    task, said = finalists({2: [0.12, 0.13, 0.14]}, [0.100, 0.101, 0.102])
    twin = next(finalist for finalist in task.finalists if finalist.space == "twin")
    assert (twin.n, twin.trainings, twin.searches) == (3, 3, 1)
    assert twin.test_error == pytest.approx(0.13)
    assert twin.curses[0].gap == pytest.approx(0.03)
    assert twin.difference is not None and twin.difference.value == pytest.approx(0.029)
    assert "from one search reach 13.0 % ± 1.0 (n = 3), 2.9 points worse" in said["twin"]


def test_finalists_of_several_searches_count_searches() -> None:
    task, said = finalists({0: [0.11, 0.13], 1: [0.13, 0.15], 2: [0.15, 0.17, 0.16]}, [0.1, 0.101, 0.102])
    twin = next(finalist for finalist in task.finalists if finalist.space == "twin")
    assert (twin.n, twin.trainings, twin.searches) == (3, 7, 3)
    assert (twin.test_error, twin.test_sd) == (pytest.approx(0.14), pytest.approx(0.02))
    assert "(n = 3 searches, 7 trainings)" in said["twin"]


@pytest.mark.parametrize(
    ("twin", "single", "failed"),
    [
        ([0.12, 0.13, math.inf], [0.1, 0.101, 0.102], "1 of 3 twin finalists failed"),
        ([0.12, 0.13, 0.14], [0.1, 0.101, math.inf], "1 of 3 FlexConv finalists failed"),
    ],
)
def test_a_failed_finalist_of_either_side_leaves_no_difference(
    twin: list[float], single: list[float], failed: str
) -> None:
    task, said = finalists({0: twin}, single)
    assert all(finalist.difference is None for finalist in task.finalists)
    assert f"{failed}: cannot say which is better." in said["twin"]


def test_finalists_that_cannot_be_told_apart_are_said_so() -> None:
    _, said = finalists({0: [0.10, 0.11, 0.12]}, [0.10, 0.11, 0.12])
    assert said["twin"].endswith("than FlexConv: cannot say which is better.")


def test_development_tasks_are_named_apart() -> None:
    plan = dataclasses.replace(PLAN, development=("digits",))
    comparison = compare_records(full_run(), plan)
    assert comparison.overall.startswith("Of 2 evaluation tasks")
    assert "On 1 development task, where rules were tuned" in comparison.overall
