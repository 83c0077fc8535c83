"""Kernel generators: small networks from a position to the values of a kernel there.

All are made by `Generator(settings)` and map points (K, D) of [-1, 1]^D to values (out_features, K),
contiguous: a kernel as convolutions read it is a view of them.

One rule of frequencies: the first layer of a network that composes (SIREN, RFF) has `frequency` as its mean
frequency; products add frequencies, so in a network that multiplies the means of all filters sum to
`frequency * (1 + 1/2 + ... + 1/(layers + 1))`: 2.1 `frequency` Nyquist with 4 filters. Composition adds
harmonics to the first layer's frequencies, which the rule does not count.

Linear weights are U(-1/sqrt(inputs), 1/sqrt(inputs)) and their biases 0 where nothing else is said: the
scale of the whole is set by the convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.layers.composed_generators import RFF, SIREN
from search_spaces.layers.filters import Envelope, Filters, GeneratorSettings, LinearMap, columns, mapped


class FilterNetwork(nn.Module):
    """Multiplicative filter network: `h_0 = g_0(x); h_l = g_l(x) * (W_l h_{l-1} + b_l); out = W_o h + b_o`.

    The filters g_0 .. g_layers are waves under an envelope, see `Filters` for their laws:

    ``"anisotropic"``: MAGNet (FlexConv, arXiv 2110.08059), one gamma per channel and axis.
    ``"steerable"``: MAGNet whose envelopes, not waves, are turned by learned angles; 2 axes.
    ``"isotropic"``: Gabor (Fathony et al., ICLR 2021), one gamma per channel.
    ``"none"``: Fourier (same), waves alone; `sigma` and `causal` change nothing.

    Attributes:
        filters: `Filters`.
        weights, biases: W (layers, hidden, hidden) and b (layers, hidden).
        output: W_o and b_o.

    Raises:
        ValueError: a steerable envelope on other than 2 axes.
    """

    def __init__(self, settings: GeneratorSettings, envelope: Envelope) -> None:
        super().__init__()
        hidden, bound = settings.hidden, 1 / math.sqrt(settings.hidden)
        self.filters = Filters(settings, envelope)
        self.weights = nn.Parameter(torch.empty(settings.layers, hidden, hidden).uniform_(-bound, bound))
        self.biases = nn.Parameter(torch.zeros(settings.layers, hidden))
        self.output = LinearMap(hidden, settings.out_features)

    def forward(self, points: Tensor) -> Tensor:
        """Values (out_features, K) at `points` (K, D)."""
        value, *filters = self.filters(columns(points)).unbind(0)
        for each, weight, bias in zip(filters, self.weights.unbind(0), self.biases.unbind(0), strict=True):
            value = each * mapped(weight, bias, value)
        out: Tensor = self.output(value)
        return out


GENERATORS: dict[str, Callable[[GeneratorSettings], nn.Module]] = {
    "magnet": partial(FilterNetwork, envelope="anisotropic"),
    "steerable_magnet": partial(FilterNetwork, envelope="steerable"),
    "gabor": partial(FilterNetwork, envelope="isotropic"),
    "fourier": partial(FilterNetwork, envelope="none"),
    "siren": SIREN,
    "rff": RFF,
}
"""What makes a generator, by the name that a layer takes."""


def make_generator(name: str, settings: GeneratorSettings) -> nn.Module:
    """The generator of that name.

    Raises:
        ValueError: an unknown name, or ``"steerable_magnet"`` on other than 2 axes.
    """
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; there are: {', '.join(GENERATORS)}")
    return GENERATORS[name](settings)
