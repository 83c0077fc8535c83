"""A network at another sampling rate: the same functions of position on finer or coarser grids.

A sum of samples grows with their number, so kernels are rescaled by the product over axes of the ratio of
grid steps (CKConv, arXiv 2102.02611; FlexConv, arXiv 2110.08059, does so for the square of one ratio).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TypeVar

from torch import nn

from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.grid import step

Network = TypeVar("Network", bound=nn.Module)


def at_rate(network: Network, rate: float | Sequence[float]) -> Network:
    """A copy for inputs sampled `rate` times as densely, of `rate` times as many samples.

    Grids nest: N points become rate (N - 1) + 1, so at a whole rate every old point is among the new ones.
    Frequencies above the lower of the two Nyquist frequencies are not the same, see `antialiasing`. Discrete
    kernels have no other rate and stay as they are; so do strides. At a lower rate a mask narrower than the
    new grid allows is read at its least width.

    Args:
        network: any module, also one layer.
        rate: new sampling rate over old, positive: 2, 0.5, 1.5; of every axis or one per axis.

    Raises:
        ValueError: a rate that is not positive, not one per axis, or that does not nest.
    """
    changed = copy.deepcopy(network)
    for module in changed.modules():
        if isinstance(module, FlexConv):
            rates = tuple(rate) if isinstance(rate, Sequence) else (rate,) * len(module.size)
            if len(rates) != len(module.size):
                raise ValueError(f"rate must be a number or one per axis, got {rate} for {module.size}")
            size = tuple(nested(n, r, module.causal) for n, r in zip(module.size, rates, strict=True))
            module.gain *= math.prod(
                step(new) / step(old) for new, old in zip(size, module.size, strict=True)
            )
            module.set_size(size)
    return changed


def resamples(network: nn.Module) -> bool:
    """Whether a network has a kernel that is a function, and so another sampling rate."""
    return any(isinstance(module, FlexConv) for module in network.modules())


def nested(points: int, rate: float, causal: bool = False) -> int:
    """Points of the grid `rate` times as dense: rate (points - 1) + 1, odd unless causal.

    Raises:
        ValueError: `rate` is not positive, or that is no such number.
    """
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be positive and finite, got {rate}")
    intervals = rate * (points - 1)
    if abs(intervals - round(intervals)) > 1e-6 or (round(intervals) % 2 and not causal):
        kind = "a whole number" if causal else "an even number"
        raise ValueError(
            f"grids nest if rate (N - 1) is {kind}, got rate {rate} and N = {points}; "
            "use a multiple of 1 / (N - 1)" + ("" if causal else " that is even")
        )
    return round(intervals) + 1
