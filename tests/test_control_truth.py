"""Control tasks whose answer is known by enumeration: real training, p_design and verdicts against the truth.

On `order_sequence_near` a design whose receptive field is at most 28 errs on half of the rows, whatever it
learns (`trials/controls.py`); one with a kernel of 33 taps sees both events. That it may see them does not
mean that it learns to: 4 epochs were chosen because designs of this small skeleton with such a kernel do,
which `test_reach_is_what_decides` checks. So the share of designs with reach is the chance to match a
FlexConv that solves the task, within the margin. FlexConv does solve it, and does not find the far events of
`order_sequence`, for which a kernel of 65 taps is enough (docs/tasks.md).

Trains 3 x 51 networks, one after another: about 4 minutes on one core.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from nas.efficiency import Plan, SpaceComparison, TaskComparison, compare_records
from nas.population import population
from nas.seeds import derived_seed
from search_spaces import SPACES, Architecture, Choice, Space
from search_spaces.space import Values
from trials.recipe import STANDARD
from trials.record import Study, Trial, TrialRecord
from trials.reference import Task
from trials.task import open_task
from trials.training import run_trial

NEAR, FAR = "order_sequence_near", "order_sequence"
BLIND = {NEAR: 28, FAR: 33}
"""Receptive fields up to which the error is exactly 1/2."""
RECIPE = replace(STANDARD, epochs=4)
SEEDS = (0, 1, 2)


def ends(outer: tuple[int, ...], inner: tuple[int, ...]) -> Space:
    """The first and last kernel of five of `outer` sizes, those between of `inner`."""
    choices = tuple(Choice(name=f"kernel_{i}", options=outer if i in (1, 5) else inner) for i in range(1, 6))

    def assemble(values: Values) -> Architecture:
        kernels = tuple(values[choice.name] for choice in choices)
        return Architecture.of("flexnet", width=8, factors=(1.0, 1.0), kernels=kernels)

    return Space(name="ends", choices=choices, assemble=assemble, summary="kernels at both ends")


CENSUS = {NEAR: ends((3, 5, 33), (3,)), FAR: ends((3, 5, 65), (3,))}
"""9 designs each: 5 with a large kernel, 4 without."""
SAMPLED = ends((3, 5, 7, 33), (3, 5))
"""128 designs: 7/16 with a large kernel, the others see at most 25 samples."""
DRAWN = 24
PLAN = Plan(single="flexconv", searched=("ends",), budget=3)


def reach(design: Architecture) -> int:
    kernels = design["kernels"]
    assert isinstance(kernels, tuple)
    return 1 + sum(int(taps) - 1 for taps in kernels)


def share_with_reach(space: Space, task: str) -> float:
    """By enumeration; no design may lie where neither is sure."""
    fields = [reach(space.decode(values)) for values in space.enumerate()]
    assert not any(BLIND[task] < field <= BLIND[task] + 12 for field in fields)
    return sum(field > BLIND[task] for field in fields) / len(fields)


def trained(task: str, space: Space, values: Values, number: int, seed: int) -> TrialRecord:
    study = Study(task=task, space=space.name, kind="population", seed=seed)
    trial = Trial(
        study=study,
        number=number,
        task=Task(source=task),
        architecture=space.decode(values),
        values=values,
        recipe=RECIPE.for_space("twin" if space.name == "ends" else space.name),
        seed=derived_seed(seed, study.name, number),
    )
    record = run_trial(trial, open_task(trial.task))
    assert record is not None and record.status == "completed"
    return record


@cache
def single(task: str, seed: int) -> tuple[TrialRecord, ...]:
    space = SPACES["flexconv"](open_task(Task(source=task)).shape)
    (values,) = space.enumerate()
    return tuple(trained(task, space, values, number, seed) for number in range(3 if task == NEAR else 2))


@cache
def designs(task: str, seed: int, sampled: bool = False) -> tuple[TrialRecord, ...]:
    space = SAMPLED if sampled else CENSUS[task]
    drawn = population(space, DRAWN if sampled else space.size, derived_seed(seed, task))
    return tuple(trained(task, space, values, number, seed) for number, values in enumerate(drawn))


def compared(task: str, seed: int, sampled: bool = False) -> tuple[TaskComparison, SpaceComparison]:
    size = (SAMPLED if sampled else CENSUS[task]).size
    records = [*single(task, seed), *designs(task, seed, sampled)]
    found = compare_records(records, PLAN, {(task, "ends"): size}).tasks[0]
    return found, found.spaces[0]


def holds(space: SpaceComparison, share: float) -> bool:
    chance = space.chance_margin
    assert chance is not None and chance.chance.low is not None and chance.chance.high is not None
    return chance.chance.low - 1e-9 <= share <= chance.chance.high + 1e-9


def test_the_shares_with_reach_are_those_of_the_construction() -> None:
    assert share_with_reach(CENSUS[NEAR], NEAR) == share_with_reach(CENSUS[FAR], FAR) == 5 / 9
    assert share_with_reach(SAMPLED, NEAR) == 7 / 16
    assert (CENSUS[NEAR].size, SAMPLED.size) == (9, 128)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_reach_is_what_decides(seed: int) -> None:
    """What the others rest on: without reach exactly chance, with it solved."""
    found = [*designs(NEAR, seed), *designs(FAR, seed), *designs(NEAR, seed, sampled=True)]
    for record in found:
        blind = reach(record.trial.architecture) <= BLIND[record.trial.study.task]
        assert abs(record.error - 0.5) <= 0.01 if blind else record.error <= 0.01, record.trial.architecture


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_census_of_the_near_task_gives_the_share_and_needs_no_search(seed: int) -> None:
    task, space = compared(NEAR, seed)
    assert space.census and not space.descriptive
    assert space.chance_margin is not None and space.chance_margin.matches == 5
    assert holds(space, share_with_reach(CENSUS[NEAR], NEAR))
    assert task.verdict == "no search needed"


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_interval_from_a_sample_holds_the_enumerated_share(seed: int) -> None:
    _, space = compared(NEAR, seed, sampled=True)
    assert space.designs == DRAWN and space.descriptive and not space.census
    assert holds(space, share_with_reach(SAMPLED, NEAR))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_where_flexconv_is_blind_too_the_verdict_is_search(seed: int) -> None:
    """Designs without reach match a FlexConv at chance, so p says nothing of reach here."""
    task, space = compared(FAR, seed)
    assert task.single is not None and task.single.error is not None and task.single.error > 0.4
    assert task.verdict == "search"
    assert space.gain is not None and (space.gain.low or 0) > 0.3
