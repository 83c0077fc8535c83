"""How much of the spread of a population's errors each choice of its space explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.estimators import Floats
from nas.efficiency.selection import Population
from nas.efficiency.weighted import FEW

PERMUTATIONS = 1999


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionMean:
    """Mean validation error of the designs that took an option; None where all of them failed."""

    option: str
    designs: int
    failed: int
    error: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """The main effect of one choice, among the designs in which it is asked.

    Attributes:
        designs: where it is asked; `failed` of them failed and are left out of the numbers.
        share: omega squared, of the variance of the validation error; noise of seeds is in that variance.
            Below 0 where options differ less than chance makes them.
        p: of the permutation test, `p_holm` adjusted for all choices of the space (Holm 1979).
        options: in the order of their mean error.
    """

    choice: str
    designs: int
    failed: int
    share: float
    p: float
    p_holm: float
    options: tuple[OptionMean, ...]


def omega_squared(errors: Floats, groups: NDArray[np.int64]) -> float:
    """Share of variance between groups, ``(SSB - (k - 1) MSW) / (SST + MSW)`` (Hays 1963, Statistics).

    Args:
        errors: (n,) finite, not all the same.
        groups: (n,) 0..k-1, each at least once, k < n.
    """
    sizes = np.bincount(groups)
    between = float((np.bincount(groups, errors - errors.mean()) ** 2 / sizes).sum())
    total = float(((errors - errors.mean()) ** 2).sum())
    within = max(total - between, 0.0) / (len(errors) - len(sizes))
    return (between - (len(sizes) - 1) * within) / (total + within)


def permutation_p(errors: Floats, groups: NDArray[np.int64], permuted: Floats) -> float:
    """P that shuffled errors differ as much between groups: ``(1 + #{SSB* >= SSB}) / (1 + draws)``.

    Exact at every level that is a multiple of ``1 / (1 + draws)`` (Phipson and Smyth 2010, Stat. Appl. Genet.
    Mol. Biol. 9, 39). SSB orders the permutations as F and omega squared do.

    Args:
        permuted: (draws, n) shuffled `errors`.
    """
    member = (groups[:, None] == np.arange(groups.max() + 1)).astype(float)
    sizes, middle = member.sum(axis=0), errors.mean()
    seen = (((errors - middle) @ member) ** 2 / sizes).sum()
    drawn = (((permuted - middle) @ member) ** 2 / sizes).sum(axis=1)
    # Rounding must not undo an exact tie.
    return float(1 + (drawn >= seen * (1 - 1e-9)).sum()) / (1 + len(permuted))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number, ``max over j <= i of min(1, (m - j + 1) p_(j))`` (Holm 1979)."""
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = most
    return adjusted


def importance_of(population: Population, rng: np.random.Generator) -> tuple[Importance, ...]:
    """Every choice that was asked often enough and answered differently, the most important first.

    The population's law: options are drawn independently of the choices before them, so an effect of the
    choice is not one of those. What its options ask further is part of it.
    """
    errors = population.errors()
    values = [record.trial.values for record in population.first]
    names = dict.fromkeys(name for each in values for name in each)
    shuffled: dict[bytes, Floats] = {}
    found = []
    for name in names:
        asked = np.array([name in each for each in values])
        finished = asked & np.isfinite(errors)
        taken = np.array([repr(each[name]) if name in each else "" for each in values])
        options, groups = np.unique(taken[finished], return_inverse=True)
        kept = errors[finished]
        if len(kept) < FEW or not 1 < len(options) < len(kept) or np.ptp(kept) == 0:
            continue
        key = finished.tobytes()  # choices asked of the same designs share their shuffles
        if key not in shuffled:
            shuffled[key] = rng.permuted(np.tile(kept, (PERMUTATIONS, 1)), axis=1)
        means = [_option(option, taken, errors) for option in np.unique(taken[asked])]
        found.append(
            (
                name,
                int(asked.sum()),
                int(asked.sum() - finished.sum()),
                omega_squared(kept, groups),
                permutation_p(kept, groups, shuffled[key]),
                tuple(sorted(means, key=lambda m: (m.error is None, m.error or 0.0, m.option))),
            )
        )
    adjusted = holm([p for *_, p, _ in found])
    results = [
        Importance(choice=n, designs=d, failed=f, share=s, p=p, p_holm=q, options=o)
        for (n, d, f, s, p, o), q in zip(found, adjusted)
    ]
    return tuple(sorted(results, key=lambda each: -each.share))


def _option(option: str, taken: NDArray[np.str_], errors: Floats) -> OptionMean:
    of_option = errors[taken == option]
    ended = of_option[np.isfinite(of_option)]
    return OptionMean(
        option=option.strip("'"),
        designs=len(of_option),
        failed=len(of_option) - len(ended),
        error=float(ended.mean()) if len(ended) else None,
    )


def false_positives(simulations: int, rng: np.random.Generator, *, designs: int = 100) -> float:
    """Share of simulated spaces without any effect in which a choice has a Holm-adjusted p of at most 0.05.

    Six choices of two to five options, one of them asked after half the others' options, skewed errors.
    """
    wrong = 0
    for _ in range(simulations):
        errors = rng.gamma(2.0, 0.05, designs)
        asked = rng.random(designs) < 0.5
        kept = [np.ones(designs, bool)] * 5 + [asked]
        ps = []
        for options, mask in zip((2, 3, 4, 5, 5, 3), kept):
            _, groups = np.unique(rng.integers(options, size=mask.sum()), return_inverse=True)
            permuted = rng.permuted(np.tile(errors[mask], (199, 1)), axis=1)
            ps.append(permutation_p(errors[mask], groups, permuted))
        wrong += min(holm(ps)) <= 0.05
    return wrong / simulations
