"""Importance of choices: shares of variance in closed form, and how seldom one is found where none is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nas.efficiency.importance import (
    Importance,
    holm,
    importance_of,
    omega_squared,
    permutation_p,
    shuffled,
)
from nas.efficiency.selection import population_of
from search_spaces.architecture import Architecture, Option
from tests.nas.builders import record
from tests.nas.importance_cases import false_positives
from trials.record import TrialRecord


def designs(values: list[dict[str, Option]], errors: list[float]) -> list[TrialRecord]:
    made = []
    for i, (taken, error) in enumerate(zip(values, errors)):
        failed = not np.isfinite(error)
        found = record(number=i, error=error, status="failed" if failed else "completed")
        trial = replace(found.trial, values=taken, architecture=Architecture.of("toy", n=i))
        made.append(replace(found, trial=trial))
    return made


def importance(values: list[dict[str, Option]], errors: list[float]) -> dict[str, Importance]:
    found = importance_of(population_of(designs(values, errors)), np.random.default_rng(0))
    return {each.choice: each for each in found}


def test_an_additive_model_without_noise_gives_its_shares_of_variance() -> None:
    """Effects 0.01 a, 0.02 b and 0.03 c of three fair options each: variances as 1 : 4 : 9, of 14."""
    values = [dict(zip("abcd", v)) for v in itertools.product((0, 1, 2), repeat=4)]
    values = [v | {"n": i % 7} for i, v in enumerate(values * 5)]
    errors = [0.1 + 0.01 * v["a"] + 0.02 * v["b"] + 0.03 * v["c"] for v in values]
    found = importance(values, errors)
    for name, share in (("a", 1 / 14), ("b", 4 / 14), ("c", 9 / 14), ("d", 0.0)):
        assert found[name].share == pytest.approx(share, abs=0.006)
    assert list(found)[:3] == ["c", "b", "a"]
    assert found["c"].p == 1 / 2000 and found["d"].p > 0.5
    assert [o.option for o in found["c"].options] == ["0", "1", "2"]
    assert found["c"].options[0].error == pytest.approx(0.1 + 0.01 + 0.02)


def test_a_choice_that_says_everything_has_share_one() -> None:
    groups = np.repeat([0, 1, 2], 5)
    assert omega_squared(groups / 10, groups) == pytest.approx(1.0)


def test_omega_squared_is_right_on_average_where_the_variance_share_is_known() -> None:
    """Means -d, 0, d at variance 1: share 2/3 d^2 / (1 + 2/3 d^2); eta squared would be 0.09 too high."""
    rng, groups, d = np.random.default_rng(1), np.repeat([0, 1, 2], 6), 0.7
    found = [omega_squared(d * (groups - 1) + rng.normal(size=18), groups) for _ in range(4000)]
    truth = (2 / 3 * d**2) / (1 + 2 / 3 * d**2)
    assert np.mean(found) == pytest.approx(truth, abs=0.02)


def test_permutation_p_is_that_of_all_permutations() -> None:
    """Two groups of 3 of 6 errors: of 20 divisions only the seen one and its mirror differ as much."""
    errors, groups = np.array([1.0, 2, 3, 7, 8, 9]), np.array([0, 0, 0, 1, 1, 1])
    every = np.array(list(itertools.permutations(errors)))
    assert permutation_p(errors, [groups], [every]) == [pytest.approx(0.1, abs=2e-3)]


def test_blocks_of_shuffles_hold_every_error_once() -> None:
    errors = np.arange(1_500_000, dtype=float)
    blocks = list(shuffled(errors, 2, np.random.default_rng(4)))
    assert [block.shape for block in blocks] == [(1, 1_500_000)] * 2
    assert (np.sort(blocks[0][0]) == errors).all() and (blocks[0] != blocks[1]).any()


def test_holm_against_a_hand_calculation() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_conditional_choices_and_failures_are_counted_where_they_are() -> None:
    rng = np.random.default_rng(2)
    values: list[dict[str, Option]] = []
    errors = []
    for i in range(60):
        deep = i % 2 == 0
        taken: dict[str, Option] = {"deep": deep, "kind": "ab"[i % 3 == 0], "one": 1}
        values.append(taken | ({"kernel": 3 + 2 * (i % 4 // 2)} if deep else {}))
        errors.append(float("inf") if i < 4 else 0.1 + 0.01 * i % 4 + rng.normal(0, 0.01))
    found = importance(values, errors)
    assert set(found) == {"deep", "kind", "kernel"}  # a choice with one option explains nothing
    assert (found["kernel"].designs, found["kernel"].failed) == (30, 2)
    assert (found["deep"].designs, found["deep"].failed) == (60, 4)
    assert sum(o.failed for o in found["kind"].options) == 4
    assert {o.option for o in found["kind"].options} == {"a", "b"}


@pytest.mark.parametrize("count", [0, 1, 9])
def test_few_designs_say_nothing(count: int) -> None:
    assert importance([{"a": i % 2} for i in range(count)], [0.1 + i / 100 for i in range(count)]) == {}


def test_equal_errors_say_nothing() -> None:
    assert importance([{"a": i % 2} for i in range(40)], [0.1] * 40) == {}


def test_false_positives_of_a_space_without_effects_are_rare() -> None:
    """At 5 %; of 400 simulated spaces more than 30 have a chance below 2 %."""
    assert false_positives(400, np.random.default_rng(3), permutations=399) <= 30 / 400
