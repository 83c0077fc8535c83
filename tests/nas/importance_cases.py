"""False positives of the permutation test of choices, on simulated spaces without any effect."""

from __future__ import annotations

import numpy as np

from nas.efficiency.importance import PERMUTATIONS, holm, permutation_p, shuffled


def false_positives(
    simulations: int, rng: np.random.Generator, *, designs: int = 100, permutations: int = PERMUTATIONS
) -> float:
    """Share of simulated spaces without any effect in which a choice has a Holm-adjusted p of at most 0.05.

    Six choices of two to five options, one of them asked of half the designs, skewed errors.
    """
    wrong = 0
    for _ in range(simulations):
        errors = rng.gamma(2.0, 0.05, designs)
        asked = rng.random(designs) < 0.5
        kept = [np.ones(designs, bool)] * 5 + [asked]
        ps: list[float] = []
        for options, mask in zip((2, 3, 4, 5, 5, 3), kept):
            _, groups = np.unique(rng.integers(options, size=mask.sum()), return_inverse=True)
            shuffles = shuffled(errors[mask], permutations, rng)
            ps += permutation_p(errors[mask], [groups], shuffles)
        wrong += min(holm(ps)) <= 0.05
    return wrong / simulations
