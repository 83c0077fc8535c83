"""A value with its interval, as a result holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas.efficiency.estimators import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


def estimate(interval: Interval) -> Estimate:
    """An interval for a result: what is not finite becomes None."""
    value, low, high = (float(each) if math.isfinite(each) else None for each in interval)
    return Estimate(value=value, low=low, high=high)
