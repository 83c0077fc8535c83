"""Kernel generators: small networks from a position to the values of a kernel there.

All are made by `Generator(size, sigma, out_features, *, hidden, layers, frequency, causal)` and map points
(K, D) of [-1, 1]^D to values (K, out_features):

    size: points of the grid along each axis.
    sigma: initial width of the mask along each axis, in units of the [-1, 1] coordinate; infinite: no mask.
    out_features: kernel values per point.
    hidden: channels of every layer.
    layers: layers after the first.
    frequency: initial bandwidth, as a share of the grid's Nyquist frequency per axis, (N_d - 1) / 4 cycles
        per unit. It replaces the published numbers to tune per task (`omega_0`, `input_scale`).
    causal: whether the mask sits at 1 (1-D). Sigma and causal place the centres of MAGNet and Gabor.

One rule: the first layer of a network that composes (SIREN, RFF) has `frequency` as its mean frequency;
products add frequencies, so in a network that multiplies the means of all filters sum to
`frequency * (1 + 1/2 + ... + 1/(layers + 1))`: 2.1 `frequency` Nyquist with 4 filters. Composition adds
harmonics to the first layer's frequencies, which the rule does not count.

Linear weights are U(-1/sqrt(inputs), 1/sqrt(inputs)) and their biases 0 where nothing else is said: the
scale of the whole is set by the convolution.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from search_spaces.layers.composed_generators import RFF, SIREN
from search_spaces.layers.filters import GaborFilter, WaveFilter, linear_map


class MAGNet(nn.Module):
    """Multiplicative anisotropic Gabor network (FlexConv, arXiv 2110.08059).

    `h_0 = g_0(x); h_l = g_l(x) * (W_l h_{l-1} + b_l), l = 1..layers; out = W_o h + b_o`. Gamma of filter l
    is drawn from Gamma(6 / (l + 1), 1) per channel and axis.

    Frequency: `w_d ~ U(-1, 1) gamma_d s_d` with s_d such that the mean frequency |w_d| / (2 pi) of the first
    filter is `frequency` Nyquist_d. Filter l has 1 / (l + 1) of it. Arguments: see the module.
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
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.filters = nn.ModuleList(
            GaborFilter(size, sigma, hidden, 6 / (depth + 1), frequency, causal=causal)
            for depth in range(layers + 1)
        )
        self.linears = nn.ModuleList(linear_map(hidden, hidden) for _ in range(layers))
        self.output = linear_map(hidden, out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, out_features) at `points` (K, D)."""
        return _product(self.filters, self.linears, self.output, points)


class SteerableMAGNet(nn.Module):
    """MAGNet whose envelopes are turned by learned angles 2 pi theta, theta ~ U(0, 1); 2-D only.

    Frequency: as MAGNet's; waves are not turned. Arguments: see the module.

    Raises:
        ValueError: not 2 axes.
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
        causal: bool = False,
    ) -> None:
        super().__init__()
        if len(size) != 2:
            raise ValueError(f"generator 'steerable_magnet' needs 2 axes, got {len(size)}; use 'magnet'")
        self.filters = nn.ModuleList(
            GaborFilter(size, sigma, hidden, 6 / (depth + 1), frequency, causal=causal, steerable=True)
            for depth in range(layers + 1)
        )
        self.linears = nn.ModuleList(linear_map(hidden, hidden) for _ in range(layers))
        self.output = linear_map(hidden, out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, out_features) at `points` (K, 2)."""
        return _product(self.filters, self.linears, self.output, points)


class Gabor(nn.Module):
    """Multiplicative Gabor network (Fathony et al., ICLR 2021): MAGNet with one gamma per channel.

    Gamma is drawn from Gamma(6 / (layers + 1), 1) in every filter.

    Frequency: `w_d ~ U(-1, 1) gamma s_d`, the mean of every filter an equal part of MAGNet's sum, see the
    module. Arguments: see the module.
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
        causal: bool = False,
    ) -> None:
        super().__init__()
        shape, total = 6 / (layers + 1), frequency * _harmonic(layers + 1)
        self.filters = nn.ModuleList(
            GaborFilter(size, sigma, hidden, shape, total, causal=causal, isotropic=True)
            for _ in range(layers + 1)
        )
        self.linears = nn.ModuleList(linear_map(hidden, hidden) for _ in range(layers))
        self.output = linear_map(hidden, out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, out_features) at `points` (K, D)."""
        return _product(self.filters, self.linears, self.output, points)


class Fourier(nn.Module):
    """Multiplicative Fourier network (Fathony et al., ICLR 2021): filters `sin(w . x + b)`.

    Frequency: `w_d ~ U(-1, 1) s_d`, the mean of every filter an equal part of MAGNet's sum, see the module.
    Arguments: see the module; `sigma` and `causal` change nothing.
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
        causal: bool = False,
    ) -> None:
        super().__init__()
        part = frequency * _harmonic(layers + 1) / (layers + 1)
        self.filters = nn.ModuleList(WaveFilter(size, hidden, part) for _ in range(layers + 1))
        self.linears = nn.ModuleList(linear_map(hidden, hidden) for _ in range(layers))
        self.output = linear_map(hidden, out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (K, out_features) at `points` (K, D)."""
        return _product(self.filters, self.linears, self.output, points)


GENERATORS: dict[str, type[nn.Module]] = {
    "magnet": MAGNet,
    "steerable_magnet": SteerableMAGNet,
    "gabor": Gabor,
    "fourier": Fourier,
    "siren": SIREN,
    "rff": RFF,
}
"""Generators by the name that a layer takes."""


def generator_class(name: str) -> type[nn.Module]:
    """The generator of that name; a ValueError lists the names if there is none."""
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; there are: {', '.join(GENERATORS)}")
    return GENERATORS[name]


def _product(
    filters: nn.ModuleList, linears: Iterable[nn.Module], output: nn.Module, points: Tensor
) -> Tensor:
    """The recurrence that multiplicative filter networks share, see `MAGNet`."""
    value: Tensor = filters[0](points)
    for linear, each in zip(linears, filters[1:], strict=True):
        value = each(points) * linear(value)
    out: Tensor = output(value)
    return out


def _harmonic(terms: int) -> float:
    return sum(1 / n for n in range(1, terms + 1))
