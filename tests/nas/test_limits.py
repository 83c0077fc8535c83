"""Limits on what designs may cost: kept by all a run trains, refused before it starts if nothing can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nas.limits import DRAWS, admission, weigh
from nas.population import population
from nas.running import run
from nas.sampler import PROPOSALS, Sampler
from search_spaces import SPACES, Architecture, TaskShape, complexity
from search_spaces.space import Choice, Space, Values
from tests.nas.runs import SMALL, TRIALS, drive, records_of, schedule_of
from trials.record import Trial

SHAPE = TaskShape(extent=(8, 8), channels=1, classes=10)
TWIN = SPACES["twin"](SHAPE)
LIMITED = replace(SMALL, constraints=("parameters <= 6e4", "multiply_adds <= 3.3e6"))
"""Keeps the single designs; of the twins on digits, about 7 in 10."""


def parameters(space: Space, values: Values) -> int:
    return complexity(space.decode(values), SHAPE).parameters


def test_what_a_limit_leaves_is_counted_and_what_it_rejects_estimated() -> None:
    every = [parameters(TWIN, values) for values in TWIN.enumerate()]
    within = sum(each <= 4e4 for each in every)
    designs, rejected = weigh(TWIN, SHAPE, ("parameters <= 4e4",))
    assert 0 < within < len(every)
    assert designs == within
    assert rejected == pytest.approx(1 - within / len(every), abs=3 * 0.5 / DRAWS**0.5)
    assert weigh(TWIN, SHAPE, ()) == (243, 0.0)
    large = SPACES["twin"](TaskShape(extent=(784,), channels=1, classes=10))
    assert weigh(large, SHAPE, ("parameters <= 1e9",)) == (large.size, 0.0)


@pytest.mark.parametrize("name", ["twin", "flexconv", "twin_3x3", "twin_wide"])
def test_limits_that_no_design_keeps_say_what_the_space_reaches(name: str) -> None:
    space = SPACES[name](SHAPE)
    with pytest.raises(
        ValueError, match=rf"no design of {name} was found within parameters <= 1e4 and parameters >= 2e4"
    ):
        weigh(space, SHAPE, ("parameters <= 1e4", "parameters >= 2e4"))
    with pytest.raises(ValueError, match=r"reaches .* multiply-adds and .* parameters; change --set"):
        weigh(space, SHAPE, ("parameters <= 3e9", "multiply_adds <= 1"))


def test_a_population_within_limits_is_a_census_where_few_designs_are_left() -> None:
    admits = admission(TWIN, SHAPE, ("parameters <= 15000",))
    left = {TWIN.decode(values).id for values in TWIN.enumerate() if admits(values)}
    assert 1 < len(left) < 100
    assert {TWIN.decode(values).id for values in population(TWIN, 100, 0, admits)} == left
    some = population(TWIN, len(left) - 1, 0, admits)
    assert len(some) == len(left) - 1
    assert all(map(admits, some))
    with pytest.raises(ValueError, match="no design of twin was found"):
        population(TWIN, 3, 0, lambda values: False)


def search(admits_up_to: int) -> Sampler:
    return Sampler(
        TWIN,
        method="tpe",
        seed=1,
        grace_epochs=1,
        reduction_factor=3,
        admits=lambda values: sum(values.values()) <= admits_up_to,
    )


@pytest.mark.parametrize("most", [25, 17])  # of 15 to 45 taps; 17 admits 6 of 243 designs
def test_a_search_learns_nothing_from_rejected_designs_and_is_rebuilt_without_them(most: int) -> None:
    def error(values: Values) -> float:
        return 0.5 - sum(values.values()) / 100

    first, history = search(most), []
    for number in range(25):
        history.append(first.ask())
        first.report(number, 1, error(history[-1]))
        first.tell(number, "completed", error(history[-1]))
    assert all(first._admits(values) for values in history)
    rejected = [trial for trial in first._study.trials if trial.state.name == "FAIL"]
    assert rejected
    assert len(first._study.trials) == 25 + len(rejected)
    second = search(most)
    for number, values in enumerate(history):
        second.restore(values)
        second.report(number, 1, error(values))
        second.tell(number, "completed", error(values))
    assert len(second._study.trials) == 25
    assert [first.ask() for _ in range(3)] == [second.ask() for _ in range(3)]


def test_a_search_that_meets_no_admitted_design_draws_one_or_gives_up() -> None:
    rare = Space(
        name="rare",
        choices=(Choice(name="a", options=tuple(range(2 * PROPOSALS))),),
        assemble=lambda values: Architecture.of("x", **values),
    )
    made = Sampler(
        rare,
        method="random",
        seed=0,
        grace_epochs=1,
        reduction_factor=2,
        admits=lambda values: values["a"] == 7,
    )
    assert [made.ask() for _ in range(3)] == [{"a": 7}] * 3
    never = Sampler(
        rare, method="random", seed=0, grace_epochs=1, reduction_factor=2, admits=lambda values: False
    )
    with pytest.raises(ValueError, match="no design of rare was found"):
        never.ask()


def test_everything_a_run_trains_keeps_within_its_limits_killed_or_not(tmp_path: Path) -> None:
    undisturbed = schedule_of(LIMITED, tmp_path / "a")
    trials = drive(undisturbed)
    assert len(trials) == TRIALS
    costs = [complexity(trial.architecture, SHAPE) for trial in trials]
    assert all(cost.parameters <= 6e4 and cost.multiply_adds <= 3.3e6 for cost in costs)
    free = {trial.id: trial for trial in drive(schedule_of(SMALL, tmp_path / "free"))}
    assert any(free[trial.id].architecture != trial.architecture for trial in trials if trial.id in free)

    seen: list[Trial] = []

    def kill(trial: Trial) -> bool:
        seen.append(trial)
        return len(seen) == 12

    drive(schedule_of(LIMITED, tmp_path / "b"), until=kill)
    resumed = schedule_of(LIMITED, tmp_path / "b", resume=True)
    drive(resumed)
    assert {name: (r.trial, r.status) for name, r in records_of(resumed).items()} == {
        name: (r.trial, r.status) for name, r in records_of(undisturbed).items()
    }


def test_a_run_reports_what_its_limits_rejected_and_whose_rates_nobody_chose(tmp_path: Path) -> None:
    small = replace(LIMITED, epochs=1, population=2, repeats=0, seeds=1, search_trials=2)
    small = replace(small, defaults=("twin_7x7",), spaces=("flexconv", "twin", "convnext"))
    result = run(small, run_dir=tmp_path / "run", console=Console(quiet=True))
    twin, convnext = result.comparison.tasks[0].spaces
    unchosen = [any("were not chosen for this space" in n for n in s.notes) for s in (twin, convnext)]
    assert unchosen == [False, True]
    share = round(100 * weigh(TWIN, SHAPE, small.constraints)[1], 1)
    note = f"Limits (parameters <= 6e4, multiply_adds <= 3.3e6) reject {share} % of its designs"
    assert any(line.startswith(note) for line in twin.notes)
    assert "1,000 draws" in (tmp_path / "run" / "report.md").read_text()

    with pytest.raises(ValueError, match="no design of twin_3x3 was found within"):
        run(replace(LIMITED, constraints=("parameters >= 2e4",)), run_dir=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
