"""The grid a continuous kernel is sampled on, and how much of it a Gaussian mask keeps. No torch.

Along an axis of `points` (odd) the coordinates are the grid points of [-1, 1], `step(points)` apart and
with 0 in the middle. FlexConv (arXiv 2110.08059) crops where the mask falls to `THRESHOLD`.
"""

from __future__ import annotations

import math

THRESHOLD = 0.1
"""Value of the mask at which the kernel is cropped."""
ROOT = math.sqrt(-2 * math.log(THRESHOLD))
"""Distance from the mask's mean to that value, in sigmas: 2.1460."""


def odd_cover(extent: int) -> int:
    """Smallest odd number of taps that is at least `extent` samples."""
    return extent + 1 - extent % 2


def check_size(size: tuple[int, ...]) -> None:
    """Refuse a kernel size that is not odd and positive on each of 1 to 3 axes, with a ValueError."""
    if not 1 <= len(size) <= 3:
        raise ValueError(f"a kernel has 1 to 3 axes, got {len(size)}: {size}; give one size per axis")
    if any(n < 1 or n % 2 == 0 for n in size):
        odd = tuple(odd_cover(max(1, n)) for n in size)
        raise ValueError(f"kernel sizes must be odd and positive, got {size}; use {odd}")


def step(points: int) -> float:
    """Distance between neighbouring grid points, in units of the [-1, 1] coordinate."""
    return 2 / (points - 1) if points > 1 else 2.0


def initial_sigma(points: int) -> float:
    """Starting width of the mask: the published 0.075, but never less than 5 taps (3 where 3 is all)."""
    return max(0.075, 2.2 * step(points) / ROOT)


def smallest_sigma(points: int) -> float:
    """Least width allowed: 3 taps. With one tap, at the mask's top, sigma would have no gradient."""
    return 1.05 * step(points) / ROOT


def half_width(points: int, mean: float, sigma: float) -> int:
    """Taps kept on each side of the centre: those with |x| < |mean| + ROOT sigma, at least one.

    The crop is symmetric about 0, so a shifted mean enlarges it. NaN keeps the whole grid: it shall
    reach the loss, where the trial looks for it.
    """
    most = (points - 1) // 2
    reach = (abs(mean) + ROOT * abs(sigma)) / step(points)
    if not math.isfinite(reach):
        return most
    return min(most, max(1, math.ceil(reach) - 1))


def kernel_size(size: tuple[int, ...], sigma: float | None = None) -> tuple[int, ...]:
    """Taps per axis of a centred mask on a grid of `size` points, at the initial sigma if None."""
    return tuple(2 * half_width(n, 0.0, initial_sigma(n) if sigma is None else sigma) + 1 for n in size)
