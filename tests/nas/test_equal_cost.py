"""Regret at equal cost, and how many designs would decide: against enumeration and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nas.efficiency import Plan
from nas.efficiency.chance import Noise
from nas.efficiency.equal_cost import equal_cost_of
from nas.efficiency.estimators import Moments, cautious, jackknife_best, moments
from nas.efficiency.resolving import Resolving, resolving
from nas.efficiency.selection import population_of
from tests.nas.builders import compare_one, population, record, seeds, spread


def test_designs_that_a_training_pays_for_are_compared_with_the_best_of_as_many_seeds() -> None:
    """A training costs 2.5 trials: n = 2, 5, 10 of 60 designs; means over all subsets by enumeration."""
    rng = np.random.default_rng(0)
    select, report = rng.random((2, 60))
    ours = [record("flexconv", i, 0.2 + i / 100, report_error=0.3 - i / 50, seconds=25.0) for i in range(8)]
    found = equal_cost_of(
        population_of(
            [record(number=i, error=s, report_error=r) for i, (s, r) in enumerate(zip(select, report))]
        ),
        ours,
        None,
        one_device=True,
    )
    assert [(e.trainings, e.n, e.unit) for e in found] == [
        (k, int(2.5 * k), "device-seconds") for k in (1, 2, 4)
    ]
    for each in found:
        best = [
            min(s, key=lambda r: r.select_error).report_error
            for s in itertools.combinations(ours, each.trainings)
        ]
        assert each.single == pytest.approx(np.mean(best))
        assert each.gain is not None and each.best is not None and each.reason == ""
        assert each.gain.value == pytest.approx(np.mean(best) - each.best)
        assert each.gain.low is not None and each.gain.high is not None
    pairs = [min(p, key=lambda i: select[i]) for p in itertools.combinations(range(60), 2)]
    assert found[0].best == pytest.approx(report[pairs].mean())


def test_what_cannot_be_compared_has_its_reason() -> None:
    dear = population_of(population(spread(0.1, 20), seconds=30.0))
    one, two, four = equal_cost_of(dear, seeds([0.1, 0.11, 0.12], seconds=20.0), None, one_device=True)
    assert one.reason == "a trial costs more" and one.gain is None
    assert (two.n, two.reason) == (1, "") and two.gain is not None
    assert two.gain.low is None and two.gain.high is None  # k is more than half the seeds: no interval
    assert four.reason == "needs 4 seeds, 3 are there"
    cheap = population_of(population(spread(0.1, 20), seconds=1.0))
    assert (
        equal_cost_of(cheap, seeds([0.1] * 5), None, one_device=True)[0].reason
        == "n is more than N/5, N = 20"
    )
    census = equal_cost_of(cheap, seeds([0.1] * 5), Noise(1e-4, 4), one_device=True)
    assert [each.n for each in census] == [10, 20, 40] and census[1].gain is not None
    assert census[2].reason == "n is more than N, N = 20"
    failing = population_of(population([0.1, math.inf] * 20))
    (first, *_) = equal_cost_of(failing, seeds([0.1] * 5), None, one_device=True)
    assert first.n == 1 and first.best == pytest.approx(0.55) and first.gain is not None
    assert equal_cost_of(failing, [], None, one_device=True) == ()


def test_failures_of_the_single_design_are_charged_to_it() -> None:
    """Two trainings failed of four: one that ended costs two."""
    designs = population_of(population(spread(0.1, 100)))
    found = equal_cost_of(designs, seeds([0.1, 0.1, math.inf, math.inf]), None, one_device=True)
    assert found[0].n == 2 and found[0].single == pytest.approx(0.55)
    assert equal_cost_of(designs, seeds([0.1] * 4), None, one_device=False)[0].unit == "multiply-adds"


@pytest.mark.parametrize("k", [1, 2])
def test_the_difference_at_equal_cost_covers_the_truth(k: int) -> None:
    """Uniform errors on [0.1, 0.2], 5 seeds around 0.15 with sd 0.01, n = k, 200 times."""
    rng, covered = np.random.default_rng(1), []
    best_seed = 0.15 - (0 if k == 1 else 0.01 / math.sqrt(math.pi))
    truth = best_seed - (0.1 + 0.1 / (k + 1))
    for _ in range(200):
        designs = population_of(population(0.1 + 0.1 * rng.random(50)))
        found = equal_cost_of(designs, seeds(rng.normal(0.15, 0.01, 5)), None, one_device=True)
        gain = next(each.gain for each in found if each.trainings == k)
        assert gain is not None and gain.low is not None and gain.high is not None
        covered.append(gain.low <= truth <= gain.high)
    assert np.mean(covered) >= 0.90


def test_the_stated_numbers_exclude_the_margin_and_no_smaller_multiple_does() -> None:
    ours, best = Moments(0.10, 0.004, 4.0), Moments(0.085, 0.003, 99.0)
    found = resolving(ours, best, 0.01, designs=100, least=0)
    assert found.designs is not None and found.seeds is not None
    for ratio, excluded in ((found.designs / 100, True), (0.98 * found.designs / 100, False)):
        grown = [
            Moments(m.mean, m.standard_error / ratio**0.5, ratio * (m.freedom + 1) - 1) for m in (ours, best)
        ]
        _, low, high = cautious(grown[0], grown[1])
        assert (not low <= 0.01 <= high) == excluded
    assert found.seeds == math.ceil(5 * found.designs / 100 - 0.02)


def test_on_the_margin_no_number_decides() -> None:
    on = resolving(Moments(0.1, 0.004, 4.0), Moments(0.09, 0.003, 99.0), 0.01, designs=100, least=100)
    assert on == Resolving(designs=None, seeds=None)


def test_about_half_of_new_runs_of_the_stated_size_resolve() -> None:
    """Uniform errors on [0.05, 0.15], n = 5, the single design 1.6 points above their best, margin 1."""
    rng, n = np.random.default_rng(2), 5
    best, sd = 0.05 + 0.1 / (n + 1), 0.012

    def sides(designs: int, of_seeds: int) -> tuple[Moments, Moments]:
        errors = 0.05 + 0.1 * rng.random(designs)
        (value,), (deviation,), (freedom,) = jackknife_best(errors, errors, [n])
        ours = moments(best + 0.016 + rng.normal(0, sd, of_seeds))
        return ours, Moments(float(value), float(deviation), float(freedom))

    # What a first run of 60 designs and 5 seeds sees on average, at the true difference.
    deviation = float(np.mean([sides(60, 5)[1].standard_error for _ in range(50)]))
    would = resolving(
        Moments(best + 0.016, sd / 5**0.5, 4.0), Moments(best, deviation, 59.0), 0.01, designs=60, least=0
    )
    assert would.designs is not None and would.seeds is not None and would.designs > 120
    again = [cautious(*sides(would.designs, would.seeds)) for _ in range(150)]
    first = [cautious(*sides(60, 5)) for _ in range(150)]
    assert 0.42 <= np.mean([interval.low > 0.01 for interval in again]) <= 0.8
    assert np.mean([interval.low > 0.01 for interval in first]) < 0.35


def test_a_verdict_that_cannot_be_said_names_the_numbers_in_its_sentence() -> None:
    rng = np.random.default_rng(4)
    task, space = compare_one(
        seeds(0.1 + rng.normal(0, 0.02, 5)) + population(0.08 + 0.1 * rng.random(100)),
        Plan(single="flexconv", searched=("twin",), budget=5),
    )
    assert space.verdict == "cannot say" and space.resolving is not None
    assert f"about {space.resolving.designs} designs and" in task.sentences[0]


def test_small_populations_are_told_the_least_that_is_judged() -> None:
    _, space = compare_one(
        seeds([0.1, 0.101, 0.102]) + population(spread(0.3, 20)),
        Plan(single="flexconv", searched=("twin",), budget=40),
    )
    assert space.resolving == Resolving(designs=200, seeds=3)
    _, judged = compare_one(seeds([0.1, 0.101, 0.102]) + population(spread(0.3, 100)))
    assert judged.verdict == "no search needed" and judged.resolving is None
