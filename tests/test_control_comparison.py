"""A comparison on control tasks comes out as they were built, and says so: real training, Ray, a report.

What must come out follows from the docstrings in `trials/controls.py`. No figure of an earlier run is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from nas import RunResult, SearchConfig, run
from nas.efficiency import TaskComparison
from nas.efficiency.level import Level
from nas.efficiency.sentences import best_default, loses_to_default
from nas.run_directory import RunDirectory
from search_spaces import Architecture, Choice, Space, TaskShape
from trials.record import TrialRecord

BLIND = {"order_sequence": 33, "order_sequence_near": 28}
"""Receptive fields up to which the error is exactly 1/2."""
PATTERN = "pattern_sequence"
CHANCE = 0.01
"""Validation error may be so far from 1/2: sums are rounded, and what is a tie may go either way."""


def small_twin(shape: TaskShape) -> Space:
    """The twin with small kernels and a large one: few designs are enough to have some without reach."""
    choices = tuple(Choice(name=f"kernel_{i}", options=(3, 5, 9, 33)) for i in range(1, 6))

    def assemble(values: dict[str, str | int | float | bool | None]) -> Architecture:
        kernels = tuple(values[choice.name] for choice in choices)
        return Architecture.of("flexnet", width=16, factors=(1.0, 1.0), kernels=kernels)

    return Space(name="small_twin", choices=choices, assemble=assemble, summary="the twin, at most 33 taps")


CONFIG = SearchConfig(
    name="controls",
    tasks=(*BLIND, PATTERN),
    spaces=("flexconv", f"{__file__}:small_twin"),
    epochs=4,
    population=8,
    repeats=1,
    seeds=3,
    search_trials=3,
    search_seeds=1,
    finalist_seeds=1,
    seed=3,  # draws designs of both kinds on both tasks
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(CONFIG, run_dir=tmp_path_factory.mktemp("controls") / "run")


def of_task(result: RunResult, name: str) -> TaskComparison:
    return next(task for task in result.comparison.tasks if task.task == name)


def default(task: TaskComparison, space: str) -> Level:
    return next(level for level in task.defaults if level.space == space)


def trained(path: Path, task: str, *kinds: str) -> list[TrialRecord]:
    """Trials on a task that ran the whole recipe, but those of FlexConv, whose reach is learned."""
    records, unreadable = RunDirectory(path).read_records()
    assert not unreadable and all(record.status != "failed" for record in records)
    ours = [r for r in records if r.trial.study.task == task and r.trial.study.kind in kinds]
    return [r for r in ours if r.trial.study.space != "flexconv" and r.status == "completed"]


def receptive_field(record: TrialRecord) -> int:
    """Of a chain of convolutions without strides, from the taps it was built with."""
    return 1 + sum(taps - 1 for (taps,) in record.kernel_sizes)


def blind(records: Iterable[TrialRecord], task: str) -> list[TrialRecord]:
    return [record for record in records if receptive_field(record) <= BLIND[task]]


@pytest.mark.slow
@pytest.mark.parametrize("name", BLIND)
def test_designs_without_reach_end_at_chance_and_others_near_zero(result: RunResult, name: str) -> None:
    population = trained(result.path, name, "population")
    without = blind(population, name)
    assert {record.trial.study.space for record in without} >= {"small_twin", "twin_3x3"}
    assert [record.error for record in without] == pytest.approx([0.5] * len(without), abs=CHANCE)
    with_reach = [record for record in population if record not in without]
    assert min(record.error for record in with_reach) < 0.1
    # the same in the results
    task = of_task(result, name)
    (space,) = task.spaces
    designs = {r.trial.architecture.id for r in without if r.trial.study.space == "small_twin"}
    assert sum(error == pytest.approx(0.5, abs=CHANCE) for error in space.errors) >= len(designs)
    assert space.errors[0] < 0.1
    assert default(task, "twin_3x3").error == pytest.approx(0.5, abs=CHANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", BLIND)
def test_finalists_without_reach_are_at_chance_on_test(result: RunResult, name: str) -> None:
    without = blind(trained(result.path, name, "finalist"), name)
    assert "twin_3x3" in {record.trial.study.space for record in without}
    for record in without:
        assert record.test is not None and record.test.error == pytest.approx(0.5, abs=CHANCE)


@pytest.mark.slow
def test_flexconv_beats_the_default_without_reach_on_near_events(result: RunResult) -> None:
    task = of_task(result, "order_sequence_near")
    assert task.single is not None and task.single.error is not None and task.single.error < 0.1
    small = default(task, "twin_3x3")
    assert small.verdict == "better than the default"
    assert small.difference is not None and (small.difference.low or 0) > 0.3
    best = best_default(task.defaults)
    assert best is not None and not loses_to_default(task)
    said = {"better than the default": "points worse", "cannot say": "cannot say which is better"}
    assert f"The {best.space} default" in task.sentences[0]
    assert said[best.verdict or ""] in task.sentences[0]
    (space,) = task.spaces
    assert space.chance is not None
    without = {
        record.trial.architecture.id
        for record in blind(trained(result.path, task.task, "population"), task.task)
        if record.trial.study.space == "small_twin"
    }
    assert 0 < space.chance.matches <= space.designs - len(without)


@pytest.mark.slow
def test_nothing_is_said_in_favour_of_designs_that_are_equally_blind(result: RunResult) -> None:
    """FlexConv does not find the far events, and neither default can: their errors are the same."""
    task = of_task(result, "order_sequence")
    assert task.single is not None and task.single.error is not None and task.single.error > 0.4
    assert [level.verdict for level in task.defaults] == ["cannot say"] * 2
    assert "default" in task.sentences[0] and task.sentences[0].endswith("cannot say which is better.")
    assert any("FlexConv" in said and "is not better, beyond noise" in said for said in task.sentences)
    for name in ("twin_3x3", "twin_7x7"):
        assert any(note.startswith(f"{name} (3 seeds) is no better") for note in task.notes)
    # designs that reach are better, and that is not hidden
    (space,) = task.spaces
    assert space.gain is not None and (space.gain.value or 0) > 0
    assert "no search needed" not in " ".join(task.sentences)
    found = sum(error < 0.1 for error in space.errors)
    assert space.chance is not None and space.chance.matches >= found > 0


@pytest.mark.slow
def test_no_difference_is_claimed_where_every_design_reaches(result: RunResult) -> None:
    task = of_task(result, PATTERN)
    levels = [task.single, *task.defaults]
    assert all(level is not None and level.error is not None and level.error < 0.1 for level in levels)
    assert task.verdict != "search" and "loses" not in " ".join(task.sentences)
    assert [level.verdict for level in task.defaults] == ["cannot say"] * 2


@pytest.mark.slow
def test_a_small_population_gets_no_verdict(result: RunResult) -> None:
    assert result.finished
    for task in result.comparison.tasks:
        assert task.verdict == "cannot say" and all(space.descriptive for space in task.spaces)
    assert "descriptive only" in result.comparison.overall
    page = result.report.read_text()
    assert "descriptive: N below 100" in page and "search, FlexConv loses" not in page
