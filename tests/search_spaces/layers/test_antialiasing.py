"""The regulariser of FlexNet-A against hand numbers."""

import math

import pytest
import torch
from torch import nn

from search_spaces.layers.antialiasing import aliasing_penalty
from search_spaces.layers.flexconv import FlexConv

TURN = 2 * math.pi


def layer_of(size, cycles, gamma, **settings):
    """A layer whose filters all have these frequencies (cycles per unit) and envelopes, per axis."""
    layer = FlexConv(1, 1, size, hidden=2, layers=1, **settings)
    with torch.no_grad():
        filters = layer.generator.filters
        filters.weight.copy_(TURN * torch.tensor(cycles).expand(2, 2, -1))
        filters.weight[:, 1] /= -2  # the first channel has the highest
        if filters.gamma is not None:
            filters.gamma.copy_(torch.tensor(gamma).expand(2, 2, -1))
    return layer


@pytest.mark.parametrize(
    ("size", "cycles", "gamma", "expected"),
    [
        # Nyquist 8, two filters: 4 each
        ((33,), (3.0,), (1.0,), 0.0),
        ((33,), (5.0,), (0.0,), 2 * 1.0**2),
        ((33,), (5.0,), (math.pi,), 2 * 2.0**2),  # 2 gamma / 2 pi = 1
        ((33, 33), (1.0, 6.0), (0.0, 0.0), 2 * 2.0**2),
        # the second axis has Nyquist 2, 1 each
        ((33, 9), (3.5, 2.5), (0.0, 0.0), 2 * 1.5**2),
    ],
)
def test_filters_above_their_share_of_nyquist_pay_the_square(size, cycles, gamma, expected):
    assert aliasing_penalty(layer_of(size, cycles, gamma)).item() == pytest.approx(expected, abs=1e-4)


def test_the_mask_counts_in_equal_parts_if_asked():
    layer = layer_of((33, 33), (3.0, 3.0), (0.0, 0.0), sigma=0.25)
    with torch.no_grad():
        layer.mask.sigma[1] = 1 / (3 * math.pi)  # 2 / (2 pi sigma) = 3, 1.5 a filter; narrower than 0.25
    assert aliasing_penalty(layer).item() == 0
    penalty = aliasing_penalty(layer, "gabor+mask")
    assert penalty.item() == pytest.approx(2 * 0.5**2, abs=1e-4)
    penalty.backward()
    assert layer.mask.sigma.grad[1] < 0  # a wider mask aliases less
    assert layer.mask.sigma.grad[0] == 0


def test_generators_without_envelope_or_mask():
    layer = layer_of((33,), (5.0,), (0.0,), generator="fourier", mask=None)
    assert aliasing_penalty(layer, "gabor+mask").item() == pytest.approx(2 * 1.0**2, abs=1e-4)


def test_layers_of_a_network_add_up_and_plain_networks_pay_nothing():
    layers = [layer_of((33,), (cycles,), (0.0,)) for cycles in (5.0, 6.0)]
    network = nn.Sequential(*layers, nn.ReLU())
    assert aliasing_penalty(network).item() == pytest.approx(2 * 1 + 2 * 4, abs=1e-3)
    assert aliasing_penalty(nn.Linear(1, 1)).item() == 0


def test_descending_the_penalty_removes_it():
    torch.manual_seed(0)
    layer = FlexConv(2, 2, (17, 17))
    optimiser = torch.optim.SGD(layer.parameters(), lr=5.0)
    start = aliasing_penalty(layer).item()
    for _ in range(400):
        optimiser.zero_grad()
        aliasing_penalty(layer).backward()
        optimiser.step()
    assert aliasing_penalty(layer).item() < 0.01 * start


def test_what_it_cannot_bound_is_refused():
    with pytest.raises(ValueError, match="needs a generator of filters, got SIREN"):
        aliasing_penalty(FlexConv(1, 1, (9,), generator="siren"))
    with pytest.raises(ValueError, match="target must be"):
        aliasing_penalty(FlexConv(1, 1, (9,)), "summed")


def test_an_axis_of_one_point_has_nothing_to_pay():
    layer = FlexConv(1, 1, (33, 1))
    with torch.no_grad():
        layer.generator.filters.weight.zero_()
        layer.generator.filters.gamma.fill_(0.1)
        layer.generator.filters.gamma[..., 1] = 50.0
    assert aliasing_penalty(layer) == 0
    assert aliasing_penalty(FlexConv(1, 1, (1,))) == 0
