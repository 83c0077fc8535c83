"""The sampler proposes, stops and learns, and comes back the same from its history."""

from __future__ import annotations

import math

import pytest

from nas.sampler import Sampler
from search_spaces.architecture import Architecture
from search_spaces.space import Choice, Space, Values

CONDITIONAL = Space(
    name="conditional",
    choices=(
        Choice(name="depth", options=(1, 2, 3)),
        Choice(name="norm", options=("batch", "none")),
        Choice(name="momentum", options=(0.1, 0.2, 0.4), when=("norm", ("batch",))),
    ),
    assemble=lambda values: Architecture.of("x", **values),
)


def error(values: Values) -> float:
    """Best at depth 3 with batch norm and momentum 0.2."""
    momentum = values.get("momentum", 0.05)
    return 0.1 * (3 - int(values["depth"] or 0)) + abs(float(momentum or 0) - 0.2)


def sampler(method: str = "tpe", seed: int = 1) -> Sampler:
    return Sampler(CONDITIONAL, method=method, seed=seed, grace_epochs=1, reduction_factor=3)


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_proposals_are_designs_of_the_space_and_repeat_with_the_seed(method: str) -> None:
    def proposals(seed: int) -> list[Values]:
        made, found = sampler(method, seed), []
        for number in range(20):
            values = made.ask()
            CONDITIONAL.decode(values)
            made.tell(number, "completed", error(values))
            found.append(values)
        return found

    assert proposals(1) == proposals(1)
    assert proposals(1) != proposals(2)


def test_a_rebuilt_sampler_goes_on_like_the_first_one() -> None:
    first, history = sampler(), []
    for number in range(15):
        values = first.ask()
        history.append(values)
        first.report(number, 1, error(values))
        first.tell(number, "completed", error(values))
    second = sampler()
    for number, values in enumerate(history):
        second.restore(values)
        second.report(number, 1, error(values))
        second.tell(number, "completed", error(values))
    assert [first.ask() for _ in range(3)] == [second.ask() for _ in range(3)]


def test_tpe_finds_better_designs_than_it_started_with() -> None:
    made, errors = sampler(), []
    for number in range(60):
        values = made.ask()
        errors.append(error(values))
        made.tell(number, "completed", errors[-1])
    assert sum(errors[-20:]) < 0.7 * sum(errors[:20])


def test_halving_stops_the_worse_trials_only() -> None:
    made = sampler()
    verdicts = []
    for number, value in enumerate([0.5, 0.1, 0.9, 0.8, 0.7, 0.05]):
        made.ask()
        verdicts.append(made.report(number, 1, value))
    assert verdicts == [False, False, True, True, True, False]


def test_failures_and_nan_are_never_results() -> None:
    made = sampler()
    for number, (status, value) in enumerate(
        [("failed", math.inf), ("completed", math.nan), ("stopped", 0.3), ("completed", 0.2)]
    ):
        made.ask()
        made.report(number, 1, 0.3)
        made.tell(number, status, value)
    assert [trial.state.name for trial in made._study.trials] == ["FAIL", "FAIL", "PRUNED", "COMPLETE"]
