"""Records in, measures out: guards, refusals, what is counted, what is missing."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
import subprocess
import sys
from typing import Any

import pytest

from nas.efficiency import Comparison, Plan, compare_records, population_of
from tests.nas.builders import (
    PLAN,
    around,
    compare_one,
    design,
    full_run,
    population,
    record,
    seeds,
    spread,
)
from trials.plain import dumps, from_plain
from trials.recipe import STANDARD
from trials.record import TrialRecord
from trials.reference import Task


@pytest.mark.parametrize("kind", ["search", "finalist"])
def test_adaptive_trials_are_refused_as_a_population(kind: str) -> None:
    with pytest.raises(ValueError, match=f"is of kind {kind}"):
        population_of([record(kind=kind)])


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
    with pytest.raises(ValueError, match="learning_rate must be the same in one space"):
        compare_records([record("twin"), record("twin", 1, recipe=other)], PLAN)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("rows_select", (400, 100)),
        ("classes", (10, 2)),
        ("majority_error", (0.9, 0.5)),
        ("digest", ("a", "b")),
        ("augmentation", ((), ("crop",))),
    ],
)
def test_records_of_different_data_are_refused(field: str, values: tuple[object, object]) -> None:
    one, other = (dataclasses.replace(record("twin", i), **{field: v}) for i, v in enumerate(values))
    failed = record("twin", 2, status="failed")
    first, second = (re.escape(repr(value)) for value in values)
    with pytest.raises(ValueError, match=f"{field} must be the same in one task, got {first} .*{second}"):
        compare_records([failed, one, other], PLAN)
    compare_records([failed, one], PLAN)


def test_an_empty_digest_agrees_with_any() -> None:
    records = [
        dataclasses.replace(record("twin", i), digest=digest) for i, digest in enumerate(["", "a", ""])
    ]
    compare_records(records, PLAN)
    with pytest.raises(ValueError, match="digest must be the same"):
        compare_records([*records, dataclasses.replace(record("twin", 3), digest="b")], PLAN)


def lying_at(source: str, number: int, digest: str = "a", **more: Any) -> TrialRecord:
    found = record("twin", number, **more)
    trial = dataclasses.replace(found.trial, task=Task(source=source, rows=500))
    return dataclasses.replace(found, trial=trial, digest=digest)


def test_the_same_data_may_lie_elsewhere_where_their_digest_says_so() -> None:
    here, there = lying_at("/a/digits", 0), lying_at("/b/digits", 1)
    lost = [lying_at(f"/{place}/digits", ord(place), digest="", status="failed") for place in "abc"]
    for records in ([here, there, *lost[:1]], [lost[1], here, there], lost[:1]):
        assert len(compare_records(records, PLAN).tasks) == 1
    for records in ([here, there, lost[2]], [lost[0], lost[1]], [lying_at("/b/digits", 1, ""), here]):
        with pytest.raises(
            ValueError, match=r"task must be the same in one task, got '/./digits@rows=500' in"
        ):
            compare_records(records, PLAN)
    read_otherwise = dataclasses.replace(there.trial.task, label="kind")
    wrong = dataclasses.replace(there, trial=dataclasses.replace(there.trial, task=read_otherwise))
    with pytest.raises(ValueError, match="task must be the same"):
        compare_records([here, wrong], PLAN)


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
    assert "that of the single design (5 seeds) stands in" in alone.notes[0]
    _, few = compare_one(seeds(around(0.1)) + first + again[:3])
    assert "Repeats leave 3 degrees of freedom" in few.notes[0]


def test_failed_trials_stay_in_n() -> None:
    task, space = compare_one(seeds(around(0.1)) + population([*spread(0.05, 50), *[math.inf] * 50]))
    assert (space.designs, space.failed, len(space.errors)) == (100, 50, 50)
    assert space.chance is not None and space.chance.matches <= 50
    assert "N = 100, 50 failed" in task.sentences[0]


def test_device_seconds_are_not_compared_across_device_models() -> None:
    records = seeds(around(0.1), device="gpu-b") + population(spread(0.1))
    task, space = compare_one(records)
    assert space.cost_ratio_seconds is None and space.cost_ratio_multiply_adds is not None
    assert space.chance is not None and space.chance.factor_seconds is None
    assert "multiply-adds" in task.sentences[0] and "device models" in task.notes[0]


def test_a_dead_worker_is_not_a_second_device_model() -> None:
    dead = record("twin", 200, status="failed", device="", seconds=0.0)
    task, space = compare_one([*seeds(around(0.1)), *population(spread(0.1)), dead])
    assert space.cost_ratio_seconds is not None and space.failed == 1
    assert not any("device models" in note for note in task.notes)


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


def test_kernel_sizes_that_never_changed_are_said_so() -> None:
    def learned(*first: tuple[tuple[int, ...], ...]) -> list[TrialRecord]:
        one = design(0, "flexconv")
        return [record("flexconv", i, architecture=one, first_kernel_sizes=f) for i, f in enumerate(first)]

    same, other = ((3, 3), (5, 5)), ((3, 3), (7, 7))
    task, _ = compare_one(learned(same, same))
    assert task.kernel_sizes[0].unchanged and "No kernel size changed in this run" in task.notes[-1]
    task, _ = compare_one(learned(same, other))
    assert not task.kernel_sizes[0].unchanged and not task.notes


def test_records_that_nothing_rests_on_are_listed_with_the_reason() -> None:
    good = record("twin")
    twice = dataclasses.replace(good, trial=dataclasses.replace(good.trial, number=9))
    bare = dataclasses.replace(record("twin", 3), curve=())
    untested = record("flexconv", 4, kind="finalist")
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
    assert any(word in said for word in ("cannot say", "nothing can be concluded"))
    assert all(task.verdict == "cannot say" for task in comparison.tasks)
    assert not any(claim in said for claim in ("no search needed", ": search", "loses", "beats it"))
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


def test_a_plan_gives_each_space_one_role() -> None:
    with pytest.raises(ValueError, match="one role"):
        Plan(single="flexconv", searched=("flexconv",))
    with pytest.raises(ValueError, match="budget must be at least 1"):
        Plan(single="flexconv", searched=("twin",), budget=0)


def test_a_single_design_space_with_two_designs_is_refused() -> None:
    with pytest.raises(ValueError, match="2 designs"):
        compare_records(population([0.1, 0.2], "flexconv"), PLAN)


def test_comparing_imports_no_framework() -> None:
    code = (
        "import sys, nas.efficiency, nas.report, nas.figures\n"
        "print([m for m in ('torch', 'ray', 'optuna', 'mlflow', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
