"""The generator's initialisation follows the grid."""

import math

import pytest
import torch

from search_spaces.layers.kernel_generators import GENERATORS, MAGNet, generator_class


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57)])
def test_first_filter_has_the_stated_share_of_nyquist(size):
    torch.manual_seed(0)
    net = MAGNet(size, (0.1,) * len(size), 1, hidden=8_000, layers=1, frequency=0.5)
    for depth, gabor in enumerate(net.filters):
        cycles = gabor.weight.abs().mean(0) / (2 * math.pi)
        nyquist = torch.tensor([(n - 1) / 4 for n in size])
        torch.testing.assert_close(cycles, 0.5 * nyquist / (depth + 1), rtol=0.05, atol=0)


def test_laws_of_the_other_parameters():
    torch.manual_seed(0)
    net = MAGNet((33, 33), (0.1, 0.9), 64, hidden=4_000, layers=1)
    first, second = net.filters
    assert first.gamma.mean().item() == pytest.approx(6, rel=0.05)
    assert second.gamma.mean().item() == pytest.approx(3, rel=0.05)
    assert first.mu.abs().max(0).values.tolist() == pytest.approx([0.1667, 1.0], rel=0.01)
    assert first.bias.abs().max().item() == pytest.approx(math.pi, rel=0.01)
    assert net.output.weight.abs().max().item() == pytest.approx(1 / math.sqrt(4_000), rel=0.01)
    assert not any(linear.bias.any() for linear in (net.output, *net.linears))


def test_values_are_the_recurrence_written_out():
    torch.manual_seed(0)
    net = MAGNet((9,), (0.3,), 2, hidden=3, layers=2).double()
    x = 0.37

    def gabor(index):
        g = net.filters[index]
        wave = torch.sin(g.weight[:, 0] * x + g.bias)
        return wave * torch.exp(-0.5 * (g.gamma[:, 0] * (x - g.mu[:, 0])) ** 2)

    h = gabor(0)
    for i in (1, 2):
        h = gabor(i) * (net.linears[i - 1].weight @ h + net.linears[i - 1].bias)
    expected = net.output.weight @ h + net.output.bias
    torch.testing.assert_close(net(torch.tensor([[x]], dtype=torch.float64))[0], expected)


def mean_cycles(weight):
    return weight.detach().abs().mean(0) / (2 * math.pi)


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57), (9, 17, 5)])
@pytest.mark.parametrize("name", ["gabor", "fourier"])
def test_filters_share_the_bandwidth_of_magnet_equally(name, size):
    torch.manual_seed(0)
    net = GENERATORS[name](size, (0.1,) * len(size), 1, hidden=8_000, layers=3, frequency=0.5)
    nyquist = torch.tensor([(n - 1) / 4 for n in size])
    every = [mean_cycles(filter.weight) for filter in net.filters]
    for cycles in every:
        torch.testing.assert_close(cycles, every[0], rtol=0.1, atol=0)
    torch.testing.assert_close(sum(every), 0.5 * nyquist * (1 + 1 / 2 + 1 / 3 + 1 / 4), rtol=0.05, atol=0)


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57), (9, 17, 5)])
def test_first_layers_of_siren_and_rff_have_the_stated_share_of_nyquist(size):
    torch.manual_seed(0)
    nyquist = torch.tensor([(n - 1) / 4 for n in size])
    for name in ("siren", "rff"):
        net = GENERATORS[name](size, (0.1,) * len(size), 1, hidden=8_000, layers=0, frequency=0.3)
        weight = net.sines[0].omega * net.sines[0].weight if name == "siren" else net.weight
        torch.testing.assert_close(mean_cycles(weight), 0.3 * nyquist, rtol=0.05, atol=0)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_keeps_its_derivatives_and_its_dtype(name):
    torch.manual_seed(0)
    net = GENERATORS[name]((9, 7), (0.4, 0.5), 2, hidden=4, layers=2).double()
    points = torch.rand(3, 2, dtype=torch.float64) * 2 - 1
    parameters = tuple(net.parameters())

    def values(*replaced):
        named = dict(zip((name for name, _ in net.named_parameters()), replaced))
        return torch.func.functional_call(net, named, (points,))

    assert values(*parameters).shape == (3, 2)
    assert torch.autograd.gradcheck(values, parameters)


def test_turning_a_steerable_filter_by_a_quarter_exchanges_the_axes_of_its_envelope():
    net = GENERATORS["steerable_magnet"]((9, 9), (0.4, 0.4), 1, hidden=2, layers=1)
    filter = net.filters[0]
    with torch.no_grad():
        filter.mu.zero_()
        filter.weight.zero_()
        filter.bias.fill_(math.pi / 2)
        filter.gamma.copy_(torch.tensor([[1.0, 3.0], [1.0, 3.0]]))
        filter.theta.copy_(torch.tensor([0.0, 0.25]))
    straight, turned = filter(torch.tensor([[0.3, 0.5]]))[0]
    assert straight.item() == pytest.approx(math.exp(-0.5 * (0.3**2 + 1.5**2)), rel=1e-5)
    assert turned.item() == pytest.approx(math.exp(-0.5 * (0.5**2 + 0.9**2)), rel=1e-5)


def test_one_gamma_a_channel_in_gabor_and_one_per_axis_in_magnet():
    gabor, magnet = (GENERATORS[name]((9, 9), (0.1, 0.1), 1, hidden=5) for name in ("gabor", "magnet"))
    assert gabor.filters[0].gamma.shape == (5, 1)
    assert magnet.filters[0].gamma.shape == (5, 2)


@pytest.mark.parametrize("name", ["magnet", "gabor"])
def test_causal_centres_lie_where_the_mask_is(name):
    torch.manual_seed(0)
    net = GENERATORS[name]((101,), (0.1,), 1, hidden=4_000, layers=0, causal=True)
    mu = net.filters[0].mu
    assert (mu.min().item(), mu.max().item()) == pytest.approx((1 - 0.1667, 1.0), abs=1e-3)


def test_an_unknown_name_and_a_steerable_series_are_refused():
    with pytest.raises(ValueError, match=r"unknown generator 'mlp'; there are: magnet, .*rff"):
        generator_class("mlp")
    with pytest.raises(ValueError, match="needs 2 axes, got 1; use 'magnet'"):
        GENERATORS["steerable_magnet"]((9,), (0.1,), 1)
