"""A value with its interval, as a result holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nas.efficiency.estimators import Interval

Unit = Literal["device-seconds", "multiply-adds"]
"""Of a cost."""


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


def apart(found: Estimate) -> bool:
    """Whether the interval lies on one side of 0; an absent bound is infinite."""
    return (found.low is not None and found.low > 0) or (found.high is not None and found.high < 0)


def turned(found: Estimate) -> Estimate:
    """The same of the difference the other way round."""
    value, low, high = (None if each is None else -each for each in (found.value, found.high, found.low))
    return Estimate(value=value, low=low, high=high)
