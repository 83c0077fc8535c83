"""FlexConv: its size, its gradient, its sampling, its frozen form."""

import math

import pytest
import torch

from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.kernel_generators import GENERATORS
from search_spaces.network import parameter_groups

LAYERS = [((33,), 0.2), ((17, 9), 0.3), ((9, 5, 7), None)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("size", "count"), [((33, 33), 37_892), ((1025,), 37_506)])
def test_parameters_of_the_published_layer(size, count):
    """32 -> 32 channels, hidden 32, 3 layers; with the mask (2 per axis) and the convolution's bias (32)."""
    assert sum(p.numel() for p in FlexConv(32, 32, size).parameters()) == count


@pytest.mark.parametrize(("sigma", "taps"), [(0.075, 5), (0.125, 9), (0.25, 17), (2.0, 33)])
def test_taps_of_the_published_sigmas(sigma, taps):
    layer = FlexConv(2, 3, (33, 33), sigma=sigma)
    assert layer.kernel_size == (taps, taps)
    assert layer.kernel().shape == (3, 2, taps, taps)


@pytest.mark.parametrize(("size", "sigma"), LAYERS)
def test_gradient_of_the_mask_is_that_of_finite_differences(size, sigma):
    layer = FlexConv(2, 2, size, sigma=sigma).double()
    weights = torch.randn_like(layer.kernel())

    def value():
        return (layer.kernel() * weights).sum()

    value().backward()
    for parameter in (layer.mask.sigma, layer.mask.mean):
        for axis in range(len(size)):
            ends = []
            for move in (1e-6, -1e-6):
                kept = parameter.data[axis].item()
                parameter.data[axis] += move
                ends.append(value().item())
                parameter.data[axis] = kept
            slope = (ends[0] - ends[1]) / 2e-6
            assert parameter.grad[axis].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("size", [(17,), (9, 17), (5, 9, 5)])
def test_the_same_function_on_a_grid_twice_as_fine(size):
    coarse = FlexConv(2, 2, size, sigma=2.0)
    fine = FlexConv(2, 2, tuple(2 * (n - 1) + 1 for n in size), sigma=2.0)
    fine.load_state_dict(coarse.state_dict())
    every_other = (..., *[slice(None, None, 2)] * len(size))
    torch.testing.assert_close(fine.kernel()[every_other], coarse.kernel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", [1e-3, 0.1, 0.8])
def test_the_mask_finds_the_size_of_a_target_from_below_and_from_above(start):
    target, layer = FlexConv(1, 1, (33,), sigma=0.3), FlexConv(1, 1, (33,), sigma=start)
    with torch.no_grad():
        for each in (target, layer):  # a flat generator: nothing but the mask can fit
            each.gain.fill_(1.0)
            each.generator.output.weight.zero_()
            each.generator.output.bias.fill_(1.0)
    x = torch.randn(8, 1, 64)
    wanted = target(x).detach()
    optimiser = torch.optim.Adam([layer.mask.sigma], lr=0.02)
    for _ in range(100):
        optimiser.zero_grad()
        (layer(x) - wanted).square().mean().backward()
        optimiser.step()
    assert layer.mask.sigma.item() == pytest.approx(0.3, abs=0.02)
    assert abs(layer.kernel_size[0] - target.kernel_size[0]) <= 2


def test_at_the_smallest_size_every_parameter_still_learns():
    layer = FlexConv(3, 3, (17, 17), sigma=1e-6)
    layer(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert layer.kernel_size == (3, 3)
    for name, parameter in layer.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("sigma", [0.0, -0.5, 1e12, math.inf])
def test_no_sigma_gives_nan(sigma):
    layer = FlexConv(2, 2, (9, 9))
    with torch.no_grad():
        layer.mask.sigma.fill_(sigma)
    for training in (False, True):
        y = layer.train(training)(torch.randn(1, 2, 9, 9))
        y.sum().backward()
        assert y.isfinite().all()
        assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_a_nan_reaches_the_output_instead_of_raising():
    layer = FlexConv(2, 2, (9,))
    with torch.no_grad():
        layer.mask.sigma.fill_(math.nan)
    assert layer(torch.randn(1, 2, 9)).isnan().all()


@pytest.mark.parametrize(("size", "sigma"), LAYERS)
def test_frozen_is_the_same_function(size, sigma):
    layer = FlexConv(2, 3, size, sigma=sigma)
    with torch.no_grad():
        layer.bias.normal_()
    x = torch.randn(2, 2, *(n + 2 for n in size))
    frozen = layer.freeze()
    torch.testing.assert_close(frozen(x), layer(x), rtol=0, atol=1e-6)
    assert frozen.kernel_size == layer.kernel_size
    assert not any(p.data_ptr() == q.data_ptr() for p in frozen.parameters() for q in layer.parameters())


@pytest.mark.parametrize("sigma", [None, 0.01, 1.0])
@pytest.mark.parametrize("size", [(9,), (785,), (9, 9), (33, 17), (17, 17, 17)])
def test_noise_keeps_its_scale_through_a_new_layer_of_any_size(size, sigma):
    layer = FlexConv(16, 16, size, sigma=sigma)
    variance = layer.kernel().square().sum((1, *range(2, 2 + len(size))))  # of each output, for white noise
    assert variance.mean().item() == pytest.approx(1, rel=1e-4)


def test_the_scale_is_set_once_and_travels_with_the_weights():
    layer, other = FlexConv(4, 4, (33,)), FlexConv(4, 4, (33,))
    other.load_state_dict(layer.state_dict())
    x = torch.randn(1, 4, 40)
    other.eval()(x)
    assert all(torch.equal(value, layer.state_dict()[name]) for name, value in other.state_dict().items())
    torch.testing.assert_close(other(x), layer(x))


@pytest.mark.parametrize("size", [(4,), (5, 6), (0,), (-3, 3), (), (3, 3, 3, 3)])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="kernel"):
        FlexConv(1, 1, size)


@pytest.mark.parametrize("sigma", [0.0, -0.1, math.nan, math.inf])
def test_a_wrong_sigma_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be positive"):
        FlexConv(1, 1, (5,), sigma=sigma)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(785,), (29, 29)])
def test_every_generator_starts_at_unit_gain_and_learns_as_a_generator(name, size):
    if name == "steerable_magnet" and len(size) != 2:
        return
    layer = FlexConv(4, 4, size, generator=name)
    assert layer.kernel().square().sum().item() == pytest.approx(4, rel=1e-3)
    groups = parameter_groups(layer)
    assert not groups["weights"]
    assert len(groups["undecayed"]) == len(list(layer.generator.parameters())) + 1
