"""What generators are made of: linear maps, and waves with or without a Gaussian envelope.

MFN: Fathony et al., Multiplicative filter networks (ICLR 2021). Anisotropic and steerable envelopes:
FlexConv (arXiv 2110.08059). Frequencies are in cycles per unit of the [-1, 1] coordinate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def nyquist(size: tuple[int, ...]) -> Tensor:
    """Highest frequency that a grid of `size` points can hold, per axis: (N - 1) / 4 cycles per unit."""
    return torch.tensor([(n - 1) / 4 for n in size])


class GaborFilter(nn.Module):
    """`exp(-1/2 |gamma_c * R(theta_c) (x - mu_c)|^2) sin(w_c . x + b_c)`, per channel c; R only if steerable.

    Args:
        size: points of the grid along each axis.
        sigma: initial width of the mask along each axis; centres start within 1.667 of it, where the mask
            is: around 0, or before 1 if causal. Infinite: anywhere.
        channels: number of filters.
        shape: of the Gamma law of gamma (its rate is 1).
        frequency: mean frequency at gamma 6, as a share of Nyquist.
        causal: whether the mask sits at 1.
        isotropic: one gamma per channel instead of one per channel and axis.
        steerable: whether the envelope is turned by a learned angle, 2 pi theta; 2 axes only.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        sigma: tuple[float, ...],
        channels: int,
        shape: float,
        frequency: float,
        *,
        causal: bool = False,
        isotropic: bool = False,
        steerable: bool = False,
    ) -> None:
        super().__init__()
        reach = torch.tensor([min(1.0, 1.667 * s) for s in sigma])
        gamma = torch.distributions.Gamma(shape, 1.0).sample((channels, 1 if isotropic else len(size)))
        if causal:
            centres = 1 - torch.rand(channels, len(size)) * reach
        else:
            centres = (2 * torch.rand(channels, len(size)) - 1) * reach
        self.mu = nn.Parameter(centres)
        self.gamma = nn.Parameter(gamma)
        # mean |U(-1, 1)| is 1/2 and mean gamma of MAGNet's first filter is 6: hence the 3
        scale = frequency * nyquist(size) * 2 * math.pi / 3
        self.weight = nn.Parameter((2 * torch.rand(channels, len(size)) - 1) * gamma * scale)
        self.bias = nn.Parameter((2 * torch.rand(channels) - 1) * math.pi)
        self.theta = nn.Parameter(torch.rand(channels)) if steerable else None

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, channels) at `points` (K, D)."""
        distance = points[:, None] - self.mu  # (K, channels, D)
        if self.theta is not None:
            distance = _rotated(distance, 2 * math.pi * self.theta)
        envelope = torch.exp(-0.5 * (self.gamma * distance).square().sum(-1))
        return envelope * torch.sin(nn.functional.linear(points, self.weight, self.bias))


class WaveFilter(nn.Module):
    """`sin(w_c . x + b_c)`, per channel c.

    Args:
        size: points of the grid along each axis.
        channels: number of filters.
        frequency: mean frequency, as a share of Nyquist.
    """

    def __init__(self, size: tuple[int, ...], channels: int, frequency: float) -> None:
        super().__init__()
        scale = frequency * nyquist(size) * 4 * math.pi  # mean |U(-1, 1)| is 1/2
        self.weight = nn.Parameter((2 * torch.rand(channels, len(size)) - 1) * scale)
        self.bias = nn.Parameter((2 * torch.rand(channels) - 1) * math.pi)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, channels) at `points` (K, D)."""
        return torch.sin(nn.functional.linear(points, self.weight, self.bias))


def linear_map(inputs: int, outputs: int) -> nn.Linear:
    """A linear map with weights U(-1/sqrt(inputs), 1/sqrt(inputs)) and zero biases."""
    linear = nn.Linear(inputs, outputs)  # torch's own weights are U(-1/sqrt(inputs), 1/sqrt(inputs))
    nn.init.zeros_(linear.bias)
    return linear


def _rotated(vectors: Tensor, angle: Tensor) -> Tensor:
    """`vectors` (..., C, 2), each turned counter-clockwise by its channel's `angle` (C,)."""
    y, x = vectors.unbind(-1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return torch.stack((cosine * y - sine * x, sine * y + cosine * x), dim=-1)
