"""How often the statements hold on simulated runs whose truth is known; reduced replications, fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nas.efficiency import Plan
from nas.efficiency.chance import Match, Noise, match, pooled_variance
from tests.nas.builders import compare_one, population, seeds

Floats = NDArray[np.float64]


def match_against(errors: Floats, again: Floats, single: Floats, rng: np.random.Generator) -> Match:
    """The first designs trained twice, everything at equal cost."""
    repeats = [np.array(both) for both in zip(errors, again)]
    costs, single_costs = np.ones((len(errors), 1)), np.ones((len(single), 1))
    return match(errors, costs, single, single_costs, Noise(*pooled_variance(repeats)), rng, draws=1000)


@pytest.mark.parametrize(("noise_share", "least"), [(0.0, 0.93), (0.3, 0.90), (0.7, 0.88)])
def test_p_design_covers_the_truth_with_independent_noise(noise_share: float, least: float) -> None:
    """Means N(0.3, 0.05^2), noise a share of that spread, p = 0.2, N = 100, 5 seeds, 8 repeats, 200 times."""
    rng, spread, truth, covered = np.random.default_rng(5), 0.05, 0.2, []
    noise, level = noise_share * spread, 0.3 + spread * stats.norm.ppf(truth)
    for _ in range(200):
        means = rng.normal(0.3, spread, 100)
        errors, again = means + rng.normal(0, noise, 100), means[:8] + rng.normal(0, noise, 8)
        result = match_against(errors, again, level + rng.normal(0, max(noise, 0.002), 5), rng)
        covered.append(result.chance.low <= truth <= result.chance.high)
    assert np.mean(covered) >= least


@pytest.mark.parametrize("truth", [0.159, 0.055])
def test_p_design_covers_the_truth_where_all_designs_share_the_validation_rows(truth: float) -> None:
    """288 rows of differing difficulty, drawn once for all designs; N = 100, 5 seeds, 8 repeats, 300 times.

    Asserted: at least 90 % of the intervals hold the truth, and the share that matches is right on average
    to a fifth of it. A binomial variance on top of that of the repeats fails both.
    """
    rng, shares, covered = np.random.default_rng(5), [], []

    def validation_errors(logits: Floats, difficulty: Floats) -> Floats:
        logits = logits + rng.normal(0, 0.15, len(logits))  # the seed of a training
        wrong = 1 / (1 + np.exp(-(logits[:, None] + difficulty)))
        return (rng.random(wrong.shape) < wrong).mean(axis=1)

    for _ in range(300):
        difficulty, logits = rng.normal(0, 2, 288), rng.normal(-3, 0.4, 100)
        errors = validation_errors(logits, difficulty)
        single = validation_errors(np.full(5, -3 + 0.4 * stats.norm.ppf(truth)), difficulty)
        result = match_against(errors, validation_errors(logits[:8], difficulty), single, rng)
        shares.append(result.chance.value)
        covered.append(result.chance.low <= truth <= result.chance.high)
    assert np.mean(covered) >= 0.90
    assert np.mean(shares) == pytest.approx(truth, rel=0.2)


def test_wrong_verdicts_on_the_margin_are_rare() -> None:
    """The truth lies on the margin (f - E[best of 20] = 1 point): of 60 runs at most 7 claim either side.

    At 95 % intervals 3 are expected; more than 7 have a chance below 2 %.
    """
    rng, wrong = np.random.default_rng(11), 0
    truth = 0.05 + 0.1 / 21  # expected best of 20 uniform errors on [0.05, 0.15]
    plan = Plan(single="flexconv", searched=("twin",), margin_share=0.0, budget=20)
    for _ in range(60):
        single = seeds(truth + 0.01 + rng.normal(0, 0.003, 5))
        _, space = compare_one(single + population(0.05 + 0.1 * rng.random(100)), plan)
        wrong += space.verdict != "cannot say"
    assert wrong <= 7
