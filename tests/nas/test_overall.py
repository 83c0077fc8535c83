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
        "on 1 of them FlexConv is worse than its best default (digits)."
    )
    assert compared(dict.fromkeys(SPLITS, 0.08)).overall == (
        "Of 1 evaluation dataset (5 tasks): no search needed on 1 (x: 5 tasks)."
    )


def test_a_dataset_has_a_verdict_only_where_its_tasks_agree() -> None:
    levels = {text: 0.3 if text.endswith(("3", "4")) else 0.08 for text in SPLITS}
    assert compared(levels).overall == (
        "Of 1 evaluation dataset (5 tasks): cannot say on 1 (x: 5 tasks that differ); "
        "on 1 of them FlexConv is worse than its best default (x: 2 of 5 tasks)."
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
