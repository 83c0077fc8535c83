"""How many designs and seeds would resolve the difference that was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas.efficiency.estimators import Moments, cautious

MOST = 1000
"""Times as many as there are, beyond which no number is named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolving:
    """Numbers at which the interval would exclude the margin, if the difference stays as seen.

    `designs`, `seeds`: None where more than `MOST` times as many would be needed, as on the margin itself.
    """

    designs: int | None
    seeds: int | None


def resolving(of_single: Moments, of_best: Moments, margin: float, *, designs: int, least: int) -> Resolving:
    """The smallest multiple r of designs and seeds whose interval would exclude the margin.

    Point values stay, standard errors fall with ``sqrt(r)``, degrees of freedom as those of r times the
    numbers; the interval is `cautious`. The value seen is an estimate: if it is the truth, half of new runs
    of that size resolve it.

    Args:
        of_single: mean over seeds, with seeds - 1 degrees of freedom.
        of_best: expected best of n designs.
        designs: N.
        least: designs without which there is no verdict at all.
    """

    def excluded(ratio: float) -> bool:
        _, low, high = cautious(_grown(of_single, ratio), _grown(of_best, ratio))
        return not low <= margin <= high

    if not excluded(MOST):
        return Resolving(designs=None, seeds=None)
    low, high = 1.0, float(MOST)
    if excluded(low):
        high = low
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(middle) else (middle, high)
    seeds = math.ceil((of_single.freedom + 1) * high - 1e-3)
    return Resolving(designs=max(math.ceil(designs * high - 1e-3), least), seeds=seeds)


def _grown(of: Moments, ratio: float) -> Moments:
    return Moments(of.mean, of.standard_error / math.sqrt(ratio), ratio * (of.freedom + 1) - 1)
