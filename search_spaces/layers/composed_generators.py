"""Generators that compose: sines of linear maps (SIREN), and linear maps of random Fourier features (RFF).

The rule of frequencies: see `kernel_generators`. `sigma` and `causal` change nothing here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.layers.filters import GeneratorSettings, LinearMap, columns, mapped, nyquist


class SIREN(nn.Module):
    """Sines of linear maps (Sitzmann et al., arXiv 2006.09661): `h <- sin(omega (W h + b))`, last map linear.

    The first W is U(-1/D, 1/D), on a shorter axis less by the ratio of Nyquist frequencies; hidden W are
    U(-sqrt(6/hidden), sqrt(6/hidden)) / omega with the published omega = 30. Phases of the first layer are
    uniform: with zero biases the kernel would be an odd function.

    Frequency: the omega of the first layer is `frequency max_d(Nyquist_d) 4 pi D`, so that the mean of
    omega |W_d| / (2 pi) is `frequency` Nyquist_d.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        axes, hidden, limits = len(settings.size), settings.hidden, nyquist(settings.size)
        highest = max(float(limits.max()), 0.25)  # an axis of one point has none
        omega = settings.frequency * highest * 4 * math.pi * axes
        inner = math.sqrt(6 / hidden) / HIDDEN_OMEGA
        first = _Sine(axes, hidden, omega, 1 / axes)
        with torch.no_grad():
            first.weight.mul_(limits / highest)
            first.bias.uniform_(-math.pi / omega, math.pi / omega)
        self.sines = nn.ModuleList([first])
        self.sines.extend(_Sine(hidden, hidden, HIDDEN_OMEGA, inner) for _ in range(settings.layers))
        self.output = LinearMap(hidden, settings.out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (out_features, K) at `points` (K, D)."""
        value = columns(points)
        for sine in self.sines:
            value = sine(value)
        out: Tensor = self.output(value)
        return out


HIDDEN_OMEGA = 30.0
"""Of SIREN's layers after the first: it sets how fast they learn, not their frequencies."""


class RFF(nn.Module):
    """Random Fourier features (Tancik et al., arXiv 2006.10739), then linear maps with ReLU.

    `h_0 = [cos(B x + b), sin(B x + b)]`, B and b learned, b starting at 0; hidden W are Kaiming-uniform.

    Frequency: B_d ~ N(0, s_d^2) with `s_d = frequency Nyquist_d 2 pi sqrt(pi / 2)`, so that the mean of
    |B_d| / (2 pi) is `frequency` Nyquist_d.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        waves = (settings.hidden + 1) // 2
        scale = settings.frequency * nyquist(settings.size) * 2 * math.pi * math.sqrt(math.pi / 2)
        self.weight = nn.Parameter(torch.randn(waves, len(settings.size)) * scale)
        self.bias = nn.Parameter(torch.zeros(waves))
        inputs = [2 * waves] + [settings.hidden] * settings.layers
        linears = [LinearMap(n, settings.hidden) for n in inputs[:-1]]
        for linear in linears:
            nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
        self.linears = nn.ModuleList(linears)
        self.output = LinearMap(inputs[-1], settings.out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (out_features, K) at `points` (K, D)."""
        phase = mapped(self.weight, self.bias, columns(points))
        value = torch.cat((torch.cos(phase), torch.sin(phase)))
        for linear in self.linears:
            value = linear(value).relu_()
        out: Tensor = self.output(value)
        return out


class _Sine(nn.Module):
    """`sin(omega (W x + b))` of columns, W ~ U(-bound, bound), b = 0; omega is saved with the weights."""

    omega: Tensor

    def __init__(self, inputs: int, outputs: int, omega: float, bound: float) -> None:
        super().__init__()
        self.weight = nn.Parameter((2 * torch.rand(outputs, inputs) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("omega", torch.tensor(omega))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * mapped(self.weight, self.bias, x))
