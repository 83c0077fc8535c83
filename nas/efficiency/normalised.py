"""Distributions of error normalised for complexity: spaces compared at the same mix of multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.estimators import Floats
from nas.efficiency.selection import Population
from nas.efficiency.weighted import FEW, effective_size, weighted_quantiles

BINS = 10
Complexity = Literal["multiply-adds", "parameters"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedSpace:
    """A space on the common support.

    Attributes:
        designs: inside, `failed` of them failed and stay in the shares.
        effective: designs of equal weight that are worth as much (Kish 1965).
        errors, shares: the weighted EDF: share of the weight at or below each sorted validation error.
        quartiles: of the weighted distribution, None where that design failed.
        plain: the median of the whole population, unweighted.
    """

    space: str
    designs: int
    failed: int
    effective: float
    errors: tuple[float, ...]
    shares: tuple[float, ...]
    quartiles: tuple[float | None, ...]
    plain: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalised:
    """Spaces of a task with the distribution over complexity made uniform.

    Attributes:
        low, high: the common support; None where there is none.
        empty: of `BINS` bins, those without a design of some space: dropped for all.
        spaces: empty where the comparison cannot be made, for `reason`.
        unknown: failed designs left out since their complexity is not known.
    """

    by: Complexity
    low: float | None
    high: float | None
    empty: int
    unknown: int
    spaces: tuple[NormalisedSpace, ...]
    reason: str


def bin_weights(bins: Sequence[NDArray[np.int64]], count: int) -> tuple[list[Floats], int]:
    """Weights that make the distribution over bins uniform, ``1 / (kept bins x designs in the bin)``.

    Radosavovic et al. 2019, "On Network Design Spaces for Visual Recognition". A bin that is
    empty for one space is dropped for all.

    Args:
        bins: for each space the bins, 0..count-1, of its designs.

    Returns:
        Weights of each space's designs, summing to 1 or all 0, and the number of bins dropped.
    """
    counts = np.array([np.bincount(each, minlength=count) for each in bins])
    kept = (counts > 0).all(axis=0)
    per_bin = np.where(kept, 1 / (max(kept.sum(), 1) * np.maximum(counts, 1)), 0.0)
    return [weights[each] for weights, each in zip(per_bin, bins)], int(count - kept.sum())


def normalised_of(populations: Mapping[str, Population], by: Complexity) -> Normalised | None:
    """The comparison of all spaces with at least `FEW` designs; None for fewer than two such spaces."""
    name = by.replace("-", "_")
    known: dict[str, tuple[Floats, Floats]] = {}
    unknown = 0
    for space, population in populations.items():
        size = np.array([getattr(record, name) for record in population.first], float)
        unknown += int((size <= 0).sum())
        if (size > 0).sum() >= FEW:
            known[space] = size[size > 0], population.errors()[size > 0]
    if len(known) < 2:
        return None

    def nothing(reason: str, empty: int = 0) -> Normalised:
        return Normalised(by=by, low=None, high=None, empty=empty, unknown=unknown, spaces=(), reason=reason)

    low_space, low = max(((s, float(size.min())) for s, (size, _) in known.items()), key=lambda each: each[1])
    high_space, high = min(((s, float(size.max())) for s, (size, _) in known.items()), key=lambda e: e[1])
    if low > high:
        return nothing(f"no common support: all of {low_space} is above all of {high_space}")
    if low == high:
        return nothing("the common support is a single value")
    inside = {s: (size >= low) & (size <= high) for s, (size, _) in known.items()}
    edges = np.linspace(math.log(low), math.log(high), BINS + 1)
    binned = [
        np.clip(np.searchsorted(edges, np.log(size[inside[s]]), side="right") - 1, 0, BINS - 1)
        for s, (size, _) in known.items()
    ]
    weights, empty = bin_weights(binned, BINS)
    spaces = []
    for (space, (_, errors)), of_space in zip(known.items(), weights):
        used = of_space > 0
        if used.sum() < FEW:
            return nothing(f"{space} has {used.sum()} designs on the common support, fewer than {FEW}", empty)
        whole = populations[space].errors()
        spaces.append(_space(space, errors[inside[space]][used], of_space[used], whole))
    return Normalised(
        by=by, low=low, high=high, empty=empty, unknown=unknown, spaces=tuple(spaces), reason=""
    )


def _space(space: str, errors: Floats, weights: Floats, whole: Floats) -> NormalisedSpace:
    order = np.argsort(errors, kind="stable")
    ended = order[np.isfinite(errors[order])]
    shares = np.minimum(np.cumsum(weights[order])[: len(ended)], 1.0)
    quartiles = weighted_quantiles(errors, weights, (0.25, 0.5, 0.75))
    (plain,) = weighted_quantiles(whole, np.ones(len(whole)), (0.5,))
    return NormalisedSpace(
        space=space,
        designs=len(errors),
        failed=len(errors) - len(ended),
        effective=effective_size(weights),
        errors=tuple(float(error) for error in errors[ended]),
        shares=tuple(float(share) for share in shares),
        quartiles=tuple(value if math.isfinite(value) else None for value in quartiles),
        plain=plain if math.isfinite(plain) else None,
    )
