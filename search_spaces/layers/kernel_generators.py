"""Kernel generators: small networks from a position to the values of a kernel there.

MAGNet is from FlexConv (arXiv 2110.08059): a multiplicative filter network whose filters
are anisotropic Gabor functions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class GaborFilter(nn.Module):
    """`exp(-1/2 sum_d (gamma_cd (x_d - mu_cd))^2) sin(w_c . x + b_c)`, per channel c.

    Args:
        size: points of the grid along each axis.
        sigma: initial width of the mask along each axis; centres start within 1.667 of it.
        channels: number of filters.
        shape: of the Gamma law of gamma (its rate is 1).
        frequency: see `MAGNet`.
    """

    def __init__(
        self, size: tuple[int, ...], sigma: tuple[float, ...], channels: int, shape: float, frequency: float
    ) -> None:
        super().__init__()
        reach = torch.tensor([min(1.0, 1.667 * s) for s in sigma])
        nyquist = torch.tensor([(n - 1) / 4 for n in size])
        gamma = torch.distributions.Gamma(shape, 1.0).sample((channels, len(size)))
        self.mu = nn.Parameter((2 * torch.rand(channels, len(size)) - 1) * reach)
        self.gamma = nn.Parameter(gamma)
        # mean |U(-1, 1)| is 1/2 and mean gamma of the first filter is 6: hence the 3
        scale = frequency * nyquist * 2 * math.pi / 3
        self.weight = nn.Parameter((2 * torch.rand(channels, len(size)) - 1) * gamma * scale)
        self.bias = nn.Parameter((2 * torch.rand(channels) - 1) * math.pi)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, channels) at `points` (K, D)."""
        distance = self.gamma * (points[:, None] - self.mu)  # (K, channels, D)
        envelope = torch.exp(-0.5 * distance.square().sum(-1))
        return envelope * torch.sin(nn.functional.linear(points, self.weight, self.bias))


class MAGNet(nn.Module):
    """Multiplicative anisotropic Gabor network: points of [-1, 1]^D -> kernel values.

    `h_0 = g_0(x); h_l = g_l(x) * (W_l h_{l-1} + b_l), l = 1..layers; out = W_o h + b_o`. Gamma of filter l
    is drawn from Gamma(6 / (l + 1), 1), linear weights from U(-1/sqrt(hidden), 1/sqrt(hidden)), their
    biases are 0.

    The published `input_scale` is a number to tune per task; here the frequencies follow the grid:
    `w_d ~ U(-1, 1) gamma_d s_d` with s_d such that the mean frequency |w_d| / (2 pi) of the first filter is
    `frequency` times the Nyquist frequency of the axis, (N_d - 1) / 4 cycles per unit. Filter l has
    1 / (l + 1) of it. Products add frequencies: with 4 filters the means sum to 2.1 `frequency` Nyquist.

    Args:
        size: points of the grid along each axis.
        sigma: initial width of the mask along each axis, in units of the [-1, 1] coordinate.
        out_features: kernel values per point.
        hidden: channels of the filters.
        layers: products after the first filter.
        frequency: mean frequency of the first filter, as a share of Nyquist.
    """

    def __init__(
        self,
        size: tuple[int, ...],
        sigma: tuple[float, ...],
        out_features: int,
        *,
        hidden: int = 32,
        layers: int = 3,
        frequency: float = 0.5,
    ) -> None:
        super().__init__()
        self.filters = nn.ModuleList(
            GaborFilter(size, sigma, hidden, 6 / (depth + 1), frequency) for depth in range(layers + 1)
        )
        self.linears = nn.ModuleList(_linear(hidden, hidden) for _ in range(layers))
        self.output = _linear(hidden, out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, out_features) at `points` (K, D)."""
        value: Tensor = self.filters[0](points)
        for linear, gabor in zip(self.linears, self.filters[1:], strict=True):
            value = gabor(points) * linear(value)
        out: Tensor = self.output(value)
        return out


def _linear(inputs: int, outputs: int) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)  # torch's own weights are U(-1/sqrt(inputs), 1/sqrt(inputs))
    nn.init.zeros_(linear.bias)
    return linear
