"""The generator's initialisation follows the grid; its values and derivatives are those of the formula."""

import math

import pytest
import torch

from search_spaces.layers.filters import GeneratorSettings
from search_spaces.layers.kernel_generators import GENERATORS, make_generator


def generator(name, size, sigma=0.1, out_features=1, **settings):
    torch.manual_seed(0)
    sigmas = sigma if isinstance(sigma, tuple) else (sigma,) * len(size)
    return make_generator(
        name, GeneratorSettings(size=size, sigma=sigmas, out_features=out_features, **settings)
    )


def nyquist_of(size):
    return torch.tensor([(n - 1) / 4 for n in size])


def mean_cycles(weight):
    return weight.detach().abs().mean(-2) / (2 * math.pi)


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57)])
@pytest.mark.parametrize("name", ["magnet", "steerable_magnet"])
def test_first_filter_has_the_stated_share_of_nyquist(name, size):
    if name == "steerable_magnet" and len(size) != 2:
        return
    net = generator(name, size, hidden=8_000, layers=1, frequency=0.5)
    for depth, cycles in enumerate(mean_cycles(net.filters.weight)):
        torch.testing.assert_close(cycles, 0.5 * nyquist_of(size) / (depth + 1), rtol=0.05, atol=0)


def test_laws_of_the_other_parameters():
    net = generator("magnet", (33, 33), (0.1, 0.9), 64, hidden=4_000, layers=1)
    filters = net.filters
    assert filters.gamma.mean((1, 2)).tolist() == pytest.approx([6, 3], rel=0.05)
    assert filters.gamma.var((1, 2)).tolist() == pytest.approx([6, 3], rel=0.1)  # as of any Gamma(k, 1)
    for mu in filters.mu:
        assert mu.amax(0).tolist() == pytest.approx([0.1667, 1.0], rel=0.01)
        assert mu.amin(0).tolist() == pytest.approx([-0.1667, -1.0], rel=0.01)
    assert filters.bias.abs().max().item() == pytest.approx(math.pi, rel=0.01)
    for weights in (net.output.weight, net.weights):
        assert weights.abs().max().item() == pytest.approx(1 / math.sqrt(4_000), rel=0.01)
    assert not net.output.bias.any() and not net.biases.any()


@pytest.mark.parametrize("name", ["magnet", "steerable_magnet", "gabor", "fourier"])
def test_values_are_the_recurrence_written_out(name):
    net = generator(name, (9, 5), 0.3, 2, hidden=3, layers=2).double()
    x = torch.tensor([0.37, -0.2], dtype=torch.float64)

    def value(index):
        f = net.filters
        wave = torch.sin(f.weight[index] @ x + f.bias[index])
        if name == "fourier":
            return wave
        y, x_ = (x - f.mu[index]).T
        turn = 2 * math.pi * f.theta[index] if name == "steerable_magnet" else torch.zeros(3).double()
        turned = torch.stack((turn.cos() * y - turn.sin() * x_, turn.sin() * y + turn.cos() * x_), -1)
        return wave * torch.exp(-0.5 * (f.gamma[index] * turned).square().sum(-1))

    h = value(0)
    for i in (1, 2):
        h = value(i) * (net.weights[i - 1] @ h + net.biases[i - 1])
    expected = net.output.weight @ h + net.output.bias
    torch.testing.assert_close(net(x[None])[:, 0], expected)


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57), (9, 17, 5)])
@pytest.mark.parametrize("name", ["gabor", "fourier"])
def test_filters_share_the_bandwidth_of_magnet_equally(name, size):
    net = generator(name, size, hidden=8_000, layers=3, frequency=0.5)
    every = mean_cycles(net.filters.weight)
    for cycles in every:
        torch.testing.assert_close(cycles, every[0], rtol=0.1, atol=0)
    whole = 0.5 * nyquist_of(size) * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    torch.testing.assert_close(every.sum(0), whole, rtol=0.05, atol=0)


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57), (9, 17, 5)])
def test_first_layers_of_siren_and_rff_have_the_stated_share_of_nyquist(size):
    for name in ("siren", "rff"):
        net = generator(name, size, hidden=4_000, layers=1, frequency=0.3)
        weight = net.sines[0].omega * net.sines[0].weight if name == "siren" else net.weight
        torch.testing.assert_close(mean_cycles(weight), 0.3 * nyquist_of(size), rtol=0.05, atol=0)


@pytest.mark.parametrize("size", [(9,), (9, 7), (5, 3, 7)])
@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_keeps_its_derivatives_and_its_dtype(name, size):
    if name == "steerable_magnet" and len(size) != 2:
        return
    net = generator(name, size, 0.4, 2, hidden=4, layers=2).double()
    points = (torch.rand(3, len(size), dtype=torch.float64) * 2 - 1).requires_grad_()
    with torch.no_grad():
        for parameter in net.parameters():  # biases of 0 may put a ReLU on its kink
            parameter += 0.1 * torch.randn_like(parameter)
    parameters = tuple(net.parameters())

    def values(points, *replaced):
        named = dict(zip((name for name, _ in net.named_parameters()), replaced))
        return torch.func.functional_call(net, named, (points,))

    assert values(points, *parameters).shape == (2, 3)
    assert values(points, *parameters).is_contiguous()
    assert torch.autograd.gradcheck(values, (points, *parameters))


@pytest.mark.parametrize("name", GENERATORS)
def test_no_finite_point_or_filter_gives_nan(name):
    net = generator(name, (9, 9), 0.4, 2, hidden=6, layers=2)
    points = torch.tensor([[0.0, 0.0], [3.0, -1e3], [1e12, 1.0], [-3e38, 3e38], [-1e30, -1e30]])
    if hasattr(net, "filters"):
        with torch.no_grad():
            for parameter in net.filters.parameters():
                parameter[:, :3] = torch.tensor([0.0, -1e15, 1e15]).view(1, 3, *[1] * (parameter.ndim - 2))
    y = net(points)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_a_nan_in_a_filter_is_not_hidden():
    net = generator("magnet", (9,), 0.4)
    with torch.no_grad():
        net.filters.weight.fill_(math.nan)
    assert net(torch.zeros(1, 1)).isnan().all()


def test_a_second_derivative_is_refused_rather_than_wrong():
    net = generator("magnet", (9,), 0.4)
    (slope,) = torch.autograd.grad(net(torch.rand(3, 1)).sum(), net.filters.gamma, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_turning_a_steerable_filter_by_a_quarter_exchanges_the_axes_of_its_envelope():
    filters = generator("steerable_magnet", (9, 9), 0.4, hidden=2, layers=1).filters
    with torch.no_grad():
        filters.mu.zero_()
        filters.weight.zero_()
        filters.bias.fill_(math.pi / 2)
        filters.gamma.copy_(torch.tensor([1.0, 3.0]).expand(2, 2, 2))
        filters.theta.copy_(torch.tensor([0.0, 0.25]).expand(2, 2))
    for straight, turned in filters(torch.tensor([[0.3], [0.5]]))[..., 0]:
        assert straight.item() == pytest.approx(math.exp(-0.5 * (0.3**2 + 1.5**2)), rel=1e-5)
        assert turned.item() == pytest.approx(math.exp(-0.5 * (0.5**2 + 0.9**2)), rel=1e-5)


def test_one_gamma_a_channel_in_gabor_and_one_per_axis_in_magnet():
    gabor, magnet = (generator(name, (9, 9), hidden=5, layers=2) for name in ("gabor", "magnet"))
    assert gabor.filters.gamma.shape == (3, 5, 1)
    assert magnet.filters.gamma.shape == (3, 5, 2)
    many = generator("gabor", (9, 9), hidden=4_000, layers=2).filters.gamma
    assert many.mean((1, 2)).tolist() == pytest.approx([2, 2, 2], rel=0.05)


@pytest.mark.parametrize("name", ["magnet", "gabor"])
def test_causal_centres_lie_where_the_mask_is(name):
    mu = generator(name, (101,), hidden=4_000, layers=1, causal=True).filters.mu
    assert (mu.min().item(), mu.max().item()) == pytest.approx((1 - 0.1667, 1.0), abs=1e-3)


def test_an_unknown_name_and_a_steerable_series_are_refused():
    with pytest.raises(ValueError, match=r"unknown generator 'mlp'; there are: magnet, .*rff"):
        generator("mlp", (9,))
    with pytest.raises(ValueError, match="needs 2 axes, got 1; use 'magnet'"):
        generator("steerable_magnet", (9,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"out_features": -2}, "out_features must be at least 1, got -2"),
        ({"frequency": 0.0}, "frequency must be positive and finite, got 0.0; .* 0.5 by default"),
        ({"frequency": math.inf}, "frequency must be positive and finite, got inf"),
        ({"frequency": math.nan}, "frequency must be positive and finite, got nan"),
        ({"sigma": (0.1, 0.1)}, r"a width per axis of \(9,\), got \(0.1, 0.1\)"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GeneratorSettings(**({"size": (9,), "sigma": (0.1,), "out_features": 1} | settings))
