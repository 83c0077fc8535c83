"""Numbers and names as they are printed."""

from __future__ import annotations

import math

from nas.efficiency.estimate import Estimate

PRINTED = {"flexconv": "FlexConv"}


def label(space: str) -> str:
    """A space's name as it is printed."""
    return PRINTED.get(space, space)


def carried_from(space: str, source: str, by: str) -> str:
    """A design by where it was chosen: ``twin from digits by taps``."""
    return f"{space} from {source} by {by}"


def points(share: float) -> str:
    """A share in percentage points, one decimal, no negative zero."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def percent(share: float | None) -> str:
    """A share in percent, or a dash."""
    return "–" if share is None else f"{points(share)} %"


def number(value: float | None) -> str:
    """Three significant digits, thousands in SI prefixes."""
    if value is None:
        return "–"
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def probability(share: float) -> str:
    """Two decimals, more near 0 and 1: ``0.25``, ``0.004``, ``0.9961``."""
    if share in (0.0, 1.0):
        return f"{share:.0f}"
    return f"{share:.2g}" if share < 0.1 else f"{share:.4g}" if share > 0.99 else f"{share:.2f}"


def bits(size: int | None) -> str:
    """log2 of the number of designs, or a dash."""
    return "–" if size is None or size < 1 else f"{math.log2(size):.1f}"


def share_span(estimate: Estimate | None) -> str:
    """A probability and its interval; of 0 its one-sided bound only."""
    if estimate is None:
        return "–"
    if not estimate.value:
        return f"≤ {probability(estimate.high or 0.0)}"
    value, low, high = (probability(p or 0.0) for p in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def plural(count: int, word: str) -> str:
    """``1 seed``, ``2 seeds``."""
    ending = "" if count == 1 else "es" if word.endswith("ch") else "s"
    return f"{count} {word}{ending}"


def span(estimate: Estimate) -> str:
    """``[low, high]`` in points; an absent bound is infinite."""
    low = "-∞" if estimate.low is None else points(estimate.low)
    high = "∞" if estimate.high is None else points(estimate.high)
    return f"[{low}, {high}]"


def signed(estimate: Estimate, more: str, less: str) -> str:
    """``0.2 points better [-0.3, 0.7]``: the sign is in the word, the interval turns with it."""
    value = estimate.value or 0.0
    if value >= 0:
        return f"{points(value)} points {more} {span(estimate)}"
    low = None if estimate.high is None else -estimate.high
    high = None if estimate.low is None else -estimate.low
    return f"{points(-value)} points {less} {span(Estimate(value=-value, low=low, high=high))}"


def bound(value: float | None) -> str:
    """A bound of an interval; None is infinite."""
    return "∞" if value is None else number(value)
