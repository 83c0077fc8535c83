"""A population under two laws: the random sampler's, and the uniform law over designs; whole and in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.chance import Noise
from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Floats
from nas.efficiency.level import Level
from nas.efficiency.selection import Population
from nas.efficiency.weighted import FEW, effective_size, weighted_chance, weighted_quantiles
from trials.record import TrialRecord

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
TAPS = ("kernel", "edge")
"""A choice whose name has one of these words offers kernel sizes: its whole numbers are numbers of taps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """Errors of a population under one law.

    Attributes:
        effective: designs of equal weight that are worth as much (Kish 1965).
        quantiles: of the errors, at `LEVELS`; None where that design failed.
    """

    effective: float
    quantiles: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """p_design among some designs of a population, under both laws.

    Attributes:
        designs: inside; `failed` of them failed and stay in.
        unknown: failed designs left out since their complexity is not known.
        effective: of the uniform law.
        drawn, uniform: p under the random sampler's law and the uniform one; None: cannot be given.
    """

    what: str
    designs: int
    failed: int
    unknown: int
    drawn: Estimate | None
    effective: float | None
    uniform: Estimate | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Laws:
    """Both laws of a population.

    Attributes:
        uniform: None where the weights are not known.
        parts: all designs; without each kernel size; not above the single design in multiply-adds, and in
            parameters.
    """

    drawn: Law
    uniform: Law | None
    parts: tuple[Part, ...]


def laws_of(
    population: Population,
    single: Floats,
    level: Level | None,
    noise: Noise | None,
    whole: Estimate | None,
    rng: np.random.Generator,
    *,
    census: bool,
) -> Laws | None:
    """Both laws, None without designs.

    Args:
        single: errors of the single design over its seeds.
        level: the single design; its multiply-adds and parameters bound the last parts.
        noise: of `stabilised` errors; None: no p is given.
        whole: p of all designs with equal weights, as `chance.match` gives it.
    """
    first, errors = population.first, population.errors()
    if not first:
        return None
    drawn, uniform = _weights(first, census)

    def part(what: str, kept: NDArray[np.bool_], unknown: int = 0) -> Part:
        everything = bool(kept.all())

        def chance(weights: Floats | None) -> Estimate | None:
            if weights is None or noise is None or whole is None or effective_size(weights[kept]) < FEW:
                return None
            if everything and np.ptp(weights) == 0:
                return whole
            rows = population.rows
            found = weighted_chance(errors[kept], weights[kept], single, noise, rng, rows=rows, census=census)
            return estimate(found)

        some = kept.sum() >= FEW and np.isfinite(errors[kept]).any()
        of_drawn = chance(drawn) if some else None
        alike = uniform is not None and bool(np.array_equal(uniform, drawn))
        of_uniform = of_drawn if alike else chance(uniform) if some else None
        return Part(
            what=what,
            designs=int(kept.sum()),
            failed=int((~np.isfinite(errors[kept])).sum()),
            unknown=unknown,
            drawn=of_drawn,
            effective=None if uniform is None or not kept.any() else effective_size(uniform[kept]),
            uniform=of_uniform,
        )

    parts = [part("all designs", np.ones(len(first), bool))]
    sizes = [kernel_sizes(record) for record in first]
    for taps in sorted(set().union(*sizes)):
        parts.append(part(f"without kernel size {taps}", np.array([taps not in each for each in sizes])))
    for name in ("multiply_adds", "parameters"):
        if level is None or not level.seeds:
            continue
        known = np.array([getattr(record, name) > 0 for record in first])
        below = np.array([getattr(record, name) <= getattr(level, name) for record in first])
        what = f"{name.replace('_', '-')} at most the single design's"
        parts.append(part(what, known & below, int((~known).sum())))
    return Laws(
        drawn=_law(errors, drawn),
        uniform=None if uniform is None else _law(errors, uniform),
        parts=tuple(parts),
    )


def kernel_sizes(record: TrialRecord) -> set[int]:
    """Numbers of taps that a design's choices took: whole numbers of choices named by `TAPS`."""
    return {
        value
        for name, value in record.trial.values.items()
        if type(value) is int and any(word in TAPS for word in name.split("_"))
    }


def _law(errors: Floats, weights: Floats) -> Law:
    found = weighted_quantiles(errors, weights, LEVELS)
    return Law(
        effective=effective_size(weights),
        quantiles=tuple(value if np.isfinite(value) else None for value in found),
    )


def _weights(first: Sequence[TrialRecord], census: bool) -> tuple[Floats, Floats | None]:
    """Weights of the random sampler's law and of the uniform one (None: not known).

    A population is drawn by the first; a census holds every design once, which is the second.
    """
    weights, equal = np.array([record.trial.weight for record in first]), np.ones(len(first))
    if not _known(first, weights):
        return equal, equal if census else None
    return (1 / weights, equal) if census else (equal, weights)


def _known(first: Sequence[TrialRecord], weights: Floats) -> bool:
    """Whether the weights are positive numbers, and more than the default 1.

    Where all designs answer the same choices, as in a space without conditions, weights of 1 are right unless
    different values merge to one design, which older records cannot say.
    """
    if not (np.isfinite(weights) & (weights > 0)).all():
        return False
    if (weights != 1).any():
        return True
    return len({frozenset(record.trial.values) for record in first}) == 1
