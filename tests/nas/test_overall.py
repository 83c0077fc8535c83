"""What is said over all tasks, and of a task on which nothing was learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from nas.efficiency import Comparison, compare_records
from tests.nas.builders import PLAN, around, population, seeds, spread
from trials.record import TrialRecord
from trials.reference import Task


def of_task(records: list[TrialRecord], text: str) -> list[TrialRecord]:
    """The same records, of another task."""
    task = Task.parse(text)
    return [
        replace(r, trial=replace(r.trial, task=task, study=replace(r.trial.study, task=task.name)))
        for r in records
    ]


def compared(levels: Mapping[str, float], default: float = 0.2, **plan: object) -> Comparison:
    """Tasks with the single design at some levels, searched designs from 0.1, one default at its own."""
    records = []
    for text, level in levels.items():
        found = seeds(around(level)) + population(spread(0.1)) + seeds(around(default), "twin_3x3")
        records += of_task(found, text)
    return compare_records(records, replace(PLAN, **plan))


SPLITS = ("x", "x@split=1", "x@split=2", "x@split=3", "x@split=4")


def test_splits_and_sizes_of_one_dataset_count_once() -> None:
    comparison = compared({**dict.fromkeys(SPLITS, 0.08), "digits": 0.3})
    assert {task.dataset for task in comparison.tasks} == {"x", "digits"}
    assert comparison.overall == (
        "Of 2 evaluation datasets (6 tasks): no search needed on 1 (x: 5 tasks), search on 1 (digits); "
        "FlexConv is worse than a default on 1 (digits: twin_3x3)."
    )
    assert compared(dict.fromkeys(SPLITS, 0.08)).overall == (
        "Of 1 evaluation dataset (5 tasks): no search needed on 1 (x: 5 tasks)."
    )


def test_a_dataset_has_a_verdict_only_where_its_tasks_agree() -> None:
    levels = {text: 0.3 if text.endswith(("3", "4")) else 0.08 for text in SPLITS}
    assert compared(levels).overall == (
        "Of 1 evaluation dataset (5 tasks): cannot say on 1 (x: 5 tasks that differ); "
        "FlexConv is worse than a default on 1 (x: 2 of 5 tasks)."
    )


def test_different_datasets_and_development_tasks_are_counted_as_before() -> None:
    levels = {"digits": 0.08, "x@rows=500": 0.08, "y": 0.08}
    assert compared(levels, development=("digits",)).overall == (
        "Of 2 evaluation tasks: no search needed on 2 (x@rows=500, y). "
        "On 1 development task, where rules were tuned or answers built in: no search needed on 1 (digits)."
    )


@pytest.mark.parametrize(("level", "said"), [(0.9, True), (0.88, True), (0.95, True), (0.85, False)])
def test_a_single_design_that_learned_nothing_is_said_to_be_no_mark(level: float, said: bool) -> None:
    """Builders' tasks: the most frequent class errs on 90 %, and 800 rows have a standard error of 1.06."""
    (task,) = compare_records(seeds(around(level)) + population(spread(0.1)), PLAN).tasks
    text = "not better, beyond noise, than always answering the most frequent class (90.0 %)"
    assert any(text in sentence for sentence in task.sentences) == said


@pytest.mark.parametrize(("best", "verdict"), [(0.899, "cannot say"), (0.85, "cannot say"), (0.3, "search")])
def test_nothing_learned_is_no_reason_not_to_search(best: float, verdict: str) -> None:
    """The margin is 10 % of f, 9 points: a space that is 5 points better would pass for no better."""
    comparison = compare_records(seeds(around(0.9)) + population(spread(best)), PLAN)
    (task,) = comparison.tasks
    assert task.verdict == task.spaces[0].verdict == verdict
    assert ("FlexConv learned nothing here" in task.sentences[0]) == (verdict == "cannot say")
    assert "would decide it" not in task.sentences[0] and task.spaces[0].resolving is None
    assert "; FlexConv learned nothing on 1 (digits)." in comparison.overall


def test_of_several_searched_spaces_it_is_said_which_needs_no_search() -> None:
    records = seeds(around(0.1)) + population(spread(0.12)) + population(spread(0.05), "resnet")
    plan = replace(PLAN, searched=("twin", "resnet"))
    assert compare_records(records, plan).overall == (
        "Of 1 evaluation task, against twin: no search needed on 1 (digits); search in resnet on 1 (digits)."
    )
    several = [r for text in ("x", "x@split=1", "y") for r in of_task(records, text)]
    several = [r for r in several if r.trial.study.space != "resnet" or r.trial.study.task != "x"]
    assert compare_records(several, plan).overall == (
        "Of 2 evaluation datasets (3 tasks), against twin: no search needed on 2 (x: 2 tasks, y); "
        "search in resnet on 2 (x: 1 of 2 tasks, y)."
    )


def test_a_default_with_a_failed_training_hides_no_loss_to_another() -> None:
    failing = seeds([0.099, 0.1, 0.1, 0.101, float("inf")], "twin_3x3")
    intact = seeds(around(0.11), "twin_7x7")
    comparison = compare_records(seeds(around(0.15)) + population(spread(0.15)) + failing + intact, PLAN)
    assert "The twin_7x7 default (5 seeds, best of 2 defaults" in comparison.tasks[0].sentences[0]
    assert "FlexConv loses to it" in comparison.tasks[0].sentences[0]
    assert comparison.overall.endswith("FlexConv is worse than a default on 1 (digits: twin_7x7).")


def test_a_loss_to_another_than_the_best_default_is_said() -> None:
    """The best one varies so much that its interval holds 0; the next one does not."""
    wide = seeds([0.02, 0.10, 0.10, 0.18], "twin_3x3")
    comparison = compare_records(
        seeds(around(0.15)) + population(spread(0.15)) + wide + seeds(around(0.11), "twin_7x7"), PLAN
    )
    said = comparison.tasks[0].sentences[0]
    assert "The twin_3x3 default (4 seeds, best of 2 defaults" in said
    assert said.endswith("cannot say which is better. FlexConv loses to twin_7x7.")
    assert comparison.overall.endswith("FlexConv is worse than a default on 1 (digits: twin_7x7).")
