"""What kernel generators are made of: their settings, linear maps, and waves under Gaussian envelopes.

Inside a generator a value is a column: (channels, K) for K points. Then the last map writes a kernel as
convolutions read it, (out_features, K), without a transpose.

MFN: Fathony et al., Multiplicative filter networks (ICLR 2021). Anisotropic and steerable envelopes:
FlexConv (arXiv 2110.08059). Frequencies are in cycles per unit of the [-1, 1] coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Envelope = Literal["anisotropic", "steerable", "isotropic", "none"]
"""One gamma per channel and axis; those, turned by a learned angle; one gamma per channel; no envelope."""

FAR = 1e6
"""Points are held within +-FAR, in units of the [-1, 1] coordinate: a phase that overflows has no sine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSettings:
    """What every kernel generator is made from.

    Attributes:
        size: points of the grid along each axis.
        sigma: initial width of the mask along each axis, in units of the [-1, 1] coordinate; infinite: no
            mask. With `causal` it places the centres of envelopes.
        out_features: kernel values per point.
        hidden: channels of every layer.
        layers: layers after the first.
        frequency: initial bandwidth, as a share of the grid's Nyquist frequency per axis, (N_d - 1) / 4
            cycles per unit. It replaces the published numbers to tune per task (`omega_0`, `input_scale`).
        causal: whether the mask sits at 1 (1-D).

    Raises:
        ValueError: not one sigma per axis, out_features, hidden or layers below 1, or a frequency that is
            not positive and finite.
    """

    size: tuple[int, ...]
    sigma: tuple[float, ...]
    out_features: int
    hidden: int = 32
    layers: int = 3
    frequency: float = 0.5
    causal: bool = False

    def __post_init__(self) -> None:
        if len(self.sigma) != len(self.size):
            raise ValueError(f"sigma needs a width per axis of {self.size}, got {self.sigma}")
        for name in ("out_features", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"a generator's {name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.frequency < math.inf:
            raise ValueError(
                f"a generator's frequency must be positive and finite, got {self.frequency}; it is a share "
                "of the grid's Nyquist frequency, 0.5 by default"
            )


class Filters(nn.Module):
    """All filters of a multiplicative network: `exp(-1/2 |gamma * R (x - mu)|^2) sin(w . x + b)` per channel.

    R turns by 2 pi theta if the envelope is steerable. Laws of filter l = 0..layers: gamma ~
    Gamma(6 / (l + 1), 1), but Gamma(6 / (layers + 1), 1) if isotropic; mu uniform within 1.667 sigma, where
    the mask is: around 0, or before 1 if causal; theta ~ U(0, 1); b ~ U(-pi, pi); w_d ~ U(-1, 1) gamma_d s_d,
    without gamma if there is no envelope, with s_d such that the mean of |w_d| / (2 pi) is `frequency`
    Nyquist_d / (l + 1). Isotropic envelopes and none have the sum of that over filters in equal parts.

    Attributes:
        weight, bias: w (layers + 1, hidden, D) and b (layers + 1, hidden), radians.
        mu: (layers + 1, hidden, D); None without envelope.
        gamma: (layers + 1, hidden, D), 1 instead of D if isotropic; None without envelope.
        theta: (layers + 1, hidden), turns; None unless steerable.

    Raises:
        ValueError: a steerable envelope on other than 2 axes.
    """

    def __init__(self, settings: GeneratorSettings, envelope: Envelope) -> None:
        super().__init__()
        axes, count = len(settings.size), settings.layers + 1
        if envelope == "steerable" and axes != 2:
            raise ValueError(f"generator 'steerable_magnet' needs 2 axes, got {axes}; use 'magnet'")
        shape = (count, settings.hidden, axes)
        depth = torch.arange(1.0, count + 1)[:, None, None]
        share, expected = 1 / depth, 6 / depth  # of Nyquist; mean of gamma
        if envelope in ("isotropic", "none"):
            share, expected = share.mean().expand_as(depth), torch.full_like(depth, 6 / count)
        self.mu = self.gamma = self.theta = None
        waves = (2 * torch.rand(shape) - 1) * 2  # mean 1 without sign
        if envelope != "none":
            each = expected.expand(count, settings.hidden, 1 if envelope == "isotropic" else axes)
            gamma = torch.distributions.Gamma(each, 1.0).sample()
            waves = waves * gamma / expected
            reach = torch.tensor([min(1.0, 1.667 * s) for s in settings.sigma])
            away = torch.rand(shape) * reach
            self.mu = nn.Parameter(1 - away if settings.causal else 2 * away - reach)
            self.gamma = nn.Parameter(gamma)
        if envelope == "steerable":
            self.theta = nn.Parameter(torch.rand(count, settings.hidden))
        highest = settings.frequency * nyquist(settings.size) * 2 * math.pi
        self.weight = nn.Parameter(waves * share * highest)
        self.bias = nn.Parameter((2 * torch.rand(count, settings.hidden) - 1) * math.pi)

    def forward(self, points: Tensor) -> Tensor:
        """Values (layers + 1, hidden, K) at `points` (D, K), finite as long as no parameter exceeds 1e15."""
        if self.mu is None or self.gamma is None:
            phase = mapped(self.weight.flatten(0, 1), self.bias.flatten(), points)
            return torch.sin(phase).view(*self.bias.shape, -1)
        gamma = self.gamma.expand_as(self.mu)
        return _gabor(points, self.mu, gamma, self.theta, self.weight, self.bias)


class _Gabor(torch.autograd.Function):
    """`Filters` with an envelope, differentiable once.

    By hand, since it takes 0.7 of the time: the passes over (layers + 1, hidden, K) are what generation costs
    beside the last map, and gradients of mu and gamma need only sums of distances. Distances are not expanded
    into powers of x and mu: those cancel where an envelope is narrow.
    """

    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        mu: Tensor,
        gamma: Tensor,
        theta: Tensor | None,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        distances = [x - centre for x, centre in zip(points, mu.unsqueeze(-2).unbind(-1), strict=True)]
        if theta is not None:
            distances = _turned(distances, theta.unsqueeze(-1))
        scaled = (scale * d for scale, d in zip(gamma.unsqueeze(-2).unbind(-1), distances, strict=True))
        exponent = next(scaled).square_()
        for each in scaled:
            exponent.addcmul_(each, each)
        envelope = exponent.mul_(-0.5).exp_()
        phase = mapped(weight.flatten(0, 1), bias.flatten(), points).view_as(envelope)
        values = torch.sin(phase).mul_(envelope)
        slope = envelope.mul_(phase.cos_())
        ctx.save_for_backward(points, gamma, theta, weight, values, slope, *distances)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        points, gamma, theta, weight, values, slope, *distances = ctx.saved_tensors
        inner = gradient * values
        moments = [inner * d for d in distances]
        d_phase = gradient * slope
        d_points = None
        if ctx.needs_input_grad[0]:
            pulls = [
                scale * m for scale, m in zip(gamma.square().unsqueeze(-2).unbind(-1), moments, strict=True)
            ]
            pulls = pulls if theta is None else _turned(pulls, -theta.unsqueeze(-1))
            d_points = torch.einsum("lhk,lhd->dk", d_phase, weight) - torch.stack(pulls).sum((1, 2))
        d_mu = gamma * (gamma * torch.stack([each.sum(-1) for each in moments], -1))
        d_theta = None
        if theta is not None:
            first, second = gamma.square().unbind(-1)
            d_theta = 2 * math.pi * (first - second) * (moments[0] * distances[1]).sum(-1)
            d_mu = torch.stack(_turned(list(d_mu.unbind(-1)), -theta), -1)
        squares = [each.mul_(d).sum(-1) for each, d in zip(moments, distances, strict=True)]
        d_weight, d_bias = d_phase @ points.T, d_phase.sum(-1)
        return d_points, d_mu, -gamma * torch.stack(squares, -1), d_theta, d_weight, d_bias


_gabor: Callable[..., Tensor] = _Gabor.apply


def nyquist(size: tuple[int, ...]) -> Tensor:
    """Highest frequency that a grid of `size` points can hold, per axis: (N - 1) / 4 cycles per unit."""
    return torch.tensor([(n - 1) / 4 for n in size])


def columns(points: Tensor) -> Tensor:
    """`points` (K, D) as columns (D, K), within +-FAR."""
    return points.T.clamp(-FAR, FAR).contiguous()


class LinearMap(nn.Linear):
    """A linear map of columns: (inputs, K) -> (outputs, K). Biases start at 0."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)  # torch's own weights are U(-1/sqrt(inputs), 1/sqrt(inputs))
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return mapped(self.weight, self.bias, input)


def mapped(weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    """`weight` (outputs, inputs) and `bias` (outputs,) applied to columns: (inputs, K) -> (outputs, K)."""
    return torch.addmm(bias[:, None], weight, value)


def _turned(vector: list[Tensor], turns: Tensor) -> list[Tensor]:
    """(y, x) turned counter-clockwise by 2 pi `turns`."""
    y, x = vector
    cosine, sine = torch.cos(2 * math.pi * turns), torch.sin(2 * math.pi * turns)
    return [cosine * y - sine * x, sine * y + cosine * x]
