"""Another sampling rate: the same function, and what aliasing does to it."""

import math

import numpy as np
import pytest
import torch

from search_spaces import SPACES, TaskShape, build
from search_spaces.layers.flexconv import FlexConv, SeparableFlexConv
from search_spaces.layers.grid import ROOT
from search_spaces.layers.resolution import at_rate, nested


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", ["gaussian", None])
def test_every_old_tap_is_among_the_new_ones_at_the_ratio_of_steps(causal, mask):
    layer = FlexConv(2, 2, (9,), mask=mask, causal=causal)
    if mask:
        with torch.no_grad():
            layer.mask.sigma.fill_(2.0)
    fine = at_rate(layer, 4)
    assert fine.size == (33,)
    torch.testing.assert_close(4 * fine.kernel()[..., ::4], layer.kernel(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(at_rate(fine, 0.25).kernel(), layer.kernel(), rtol=1e-5, atol=1e-6)


def test_each_axis_has_its_rate():
    layer = FlexConv(2, 2, (9, 5), sigma=2.0)
    fine = at_rate(layer, (2, 3))
    assert fine.size == (17, 13)
    torch.testing.assert_close(6 * fine.kernel()[..., ::2, ::3], layer.kernel(), rtol=1e-4, atol=1e-5)
    assert layer.size == (9, 5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rate", [1, 2, 4])
def test_a_sine_comes_out_a_sine_of_the_analytic_amplitude_at_every_rate(rate, causal):
    """A Gaussian kernel, its tail cut at 2.146 sigma: the response is its Fourier integral over the step."""
    sigma, omega, points = 0.3, 6.0, 257
    layer = FlexConv(1, 1, (points,), sigma=sigma, causal=causal)
    step = 2 / (points - 1)
    with torch.no_grad():
        layer.gain.fill_(step)
        layer.generator.output.weight.zero_()
        layer.generator.output.bias.fill_(1.0)
    layer = at_rate(layer, rate).eval()
    times = torch.arange(-2, 2, step / rate, dtype=torch.float64)
    with torch.no_grad():
        y = layer(torch.sin(omega * times).float().view(1, 1, -1)).flatten().double()
    inside = (times.abs() < 1.0).numpy()
    lags = np.linspace(-ROOT * sigma, 0.0 if causal else ROOT * sigma, 100_001)
    response = np.trapezoid(np.exp(-0.5 * (lags / sigma) ** 2 + 1j * omega * lags), lags)
    expected = np.imag(response * np.exp(1j * omega * times.numpy()))
    assert np.abs(y.numpy() - expected)[inside].max() < 0.02 * abs(response)
    assert np.abs(expected).max() > 0.1


def test_a_network_of_smooth_kernels_answers_alike_at_twice_the_rate():
    shape = TaskShape(extent=(64,), channels=1, classes=3)
    network = build(SPACES["flexconv"](shape).decode({f"kernel_{i}": "flex" for i in range(1, 6)}), shape)
    for module in network.modules():
        if isinstance(module, FlexConv):
            with torch.no_grad():
                module.mask.sigma.fill_(0.4)
                module.generator.filters.weight *= 0.1
                module.generator.filters.gamma.clamp_(max=3)
    network.eval()
    times = torch.linspace(0, 1, 65)[:64]
    x, fine = (torch.sin(20 * t).view(1, 1, -1) for t in (times, torch.linspace(0, 1, 129)[:128]))
    with torch.no_grad():
        y, naive, better = network(x), network(fine), at_rate(network, 2)(fine)
    assert (better - y).abs().max() < 0.1 * (naive - y).abs().max()


def test_separable_layers_change_their_depthwise_part():
    layer = SeparableFlexConv(2, 3, (9,), sigma=0.5)
    assert at_rate(layer, 2).depthwise.size == (17,)


def test_a_change_in_training_takes_effect_at_once():
    layer = FlexConv(1, 1, (33,), sigma=0.3)
    x = torch.randn(1, 1, 60)
    layer(x)
    fine = at_rate(layer, 2)
    torch.testing.assert_close(fine(x), fine.eval()(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("points", "rate", "causal", "expected"),
    [(29, 2, False, 57), (33, 0.5, False, 17), (785, 0.5, False, 393), (5, 1.5, False, 7), (4, 2, True, 7)],
)
def test_grids_nest(points, rate, causal, expected):
    assert nested(points, rate, causal) == expected
    assert math.isclose(2 / (expected - 1) * rate, 2 / (points - 1))


@pytest.mark.parametrize(
    ("rate", "message"),
    [(0, "must be positive"), (-1, "must be positive"), (0.3, "grids nest if"), ((2, 2), "one per axis")],
)
def test_a_rate_that_does_not_fit_is_refused(rate, message):
    with pytest.raises(ValueError, match=message):
        at_rate(FlexConv(1, 1, (9,)), rate)


def test_an_axis_of_one_point_has_no_rate():
    layer = FlexConv(2, 2, (9, 1), sigma=0.5)
    finer = at_rate(layer, 2)
    assert finer.size == (17, 1)
    assert finer.gain.item() == pytest.approx(layer.gain.item() / 2)
