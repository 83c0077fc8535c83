"""The grid a continuous kernel is sampled on, and how much of it a Gaussian mask keeps. No torch.

Along an axis of `points` (odd) the coordinates are the grid points of [-1, 1], `step(points)` apart and
with 0 in the middle; in a causal kernel (1-D, any number of points) 1 is now and -1 the oldest sample.
FlexConv (arXiv 2110.08059) crops where the mask falls to `THRESHOLD`.
"""

from __future__ import annotations

import math

import numpy as np

THRESHOLD = 0.1
"""Value of the mask at which the kernel is cropped."""
ROOT = math.sqrt(-2 * math.log(THRESHOLD))
"""Distance from the mask's mean to that value, in sigmas: 2.1460."""


def odd_cover(extent: int) -> int:
    """Smallest odd number of taps that is at least `extent` samples."""
    return extent + 1 - extent % 2


def check_size(size: tuple[int, ...], causal: bool = False) -> None:
    """Refuse a kernel size that is not odd and positive on each of 1 to 3 axes, with a ValueError.

    A causal kernel has one axis and no middle: any positive size.
    """
    if not 1 <= len(size) <= 3:
        raise ValueError(f"a kernel has 1 to 3 axes, got {len(size)}: {size}; give one size per axis")
    if causal and len(size) > 1:
        raise ValueError(f"a causal kernel has 1 axis, time, got {len(size)}: {size}; use causal=False")
    if any(n < 1 or (n % 2 == 0 and not causal) for n in size):
        odd = tuple(odd_cover(max(1, n)) for n in size)
        rule = "positive" if causal else "odd and positive"
        raise ValueError(f"kernel sizes must be {rule}, got {size}; use {odd}")


def step(points: int) -> float:
    """Distance between neighbouring grid points, in units of the [-1, 1] coordinate."""
    return 2 / (points - 1) if points > 1 else 2.0


def initial_sigma(points: int, causal: bool = False) -> float:
    """Starting width of the mask: the published 0.075, but never less than 5 taps (3 where 3 is all)."""
    return max(0.075, (4.2 if causal else 2.2) * step(points) / ROOT)


def smallest_sigma(points: int) -> float:
    """Least width allowed: neighbours of the mask's top stay. With one tap sigma would have no gradient."""
    return 1.05 * step(points) / ROOT


def taps(points: int, mean: float, sigma: float, causal: bool = False, room: float = 0.0) -> int:
    """Taps kept: those where the mask exceeds `THRESHOLD`, at least 3, at most the grid's.

    Centred: |x| < |mean| + ROOT sigma, symmetric about 0, so a shifted mean enlarges the kernel. Causal:
    x > mean - ROOT sigma, the last tap always kept. NaN keeps the whole grid: it shall reach the loss,
    where the trial looks for it. `room` is added to that distance, in units of the coordinate.
    """
    distance = 1 - mean if causal else abs(mean)
    reach = (distance + ROOT * abs(sigma) + room) / step(points)
    if not math.isfinite(reach):
        return points
    return min(points, max(3, math.ceil(reach) if causal else 2 * math.ceil(reach) - 1))


def kernel_size(size: tuple[int, ...], sigma: float | None = None, causal: bool = False) -> tuple[int, ...]:
    """Taps per axis of a mask where it starts, on a grid of `size` points, at the initial sigma if None.

    Sigma is rounded as a network's parameter is: on a threshold that decides.
    """
    mean = 1.0 if causal else 0.0
    sigmas = [float(np.float32(initial_sigma(n, causal) if sigma is None else sigma)) for n in size]
    return tuple(taps(n, mean, s, causal) for n, s in zip(size, sigmas, strict=True))
