"""FlexConv: its size, its gradient, its sampling, its frozen form."""

import math

import pytest
import torch
from torch import nn

from search_spaces.layers.flexconv import FlexConv, SeparableFlexConv
from search_spaces.layers.kernel_generators import GENERATORS
from search_spaces.network import freeze, kernel_sizes, parameter_groups

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


OPERATORS = {
    "flexconv_1d": lambda **more: FlexConv(2, 3, (9,), sigma=0.5, **more),
    "flexconv_2d": lambda **more: FlexConv(2, 3, (7, 5), sigma=0.5, **more),
    "flexconv_3d": lambda **more: FlexConv(2, 2, (5, 3, 5), sigma=0.5, **more),
    "causal": lambda **more: FlexConv(2, 3, (8,), sigma=0.5, causal=True, **more),
    "fixed_mean": lambda **more: FlexConv(2, 3, (9,), sigma=0.5, learn_mean=False, **more),
    "ckconv": lambda **more: FlexConv(2, 3, (7, 5), mask=None, **more),
    "causal_ckconv": lambda **more: FlexConv(2, 3, (6,), mask=None, causal=True, **more),
    "depthwise": lambda **more: FlexConv(3, 3, (7, 5), sigma=0.5, depthwise=True, **more),
    "separable": lambda **more: SeparableFlexConv(2, 3, (7, 5), sigma=0.5, **more),
    "causal_separable": lambda **more: SeparableFlexConv(2, 3, (8,), sigma=0.5, causal=True, **more),
    "strided": lambda **more: FlexConv(2, 3, (7, 5), sigma=0.5, stride=2, **more),
}
of_every_operator = pytest.mark.parametrize("name", OPERATORS)


def flexible_part(layer):
    return layer.depthwise if isinstance(layer, SeparableFlexConv) else layer


def some_input(layer, batch=1, longer=0):
    flexible = flexible_part(layer)
    return torch.randn(batch, flexible.in_channels, *(n + longer for n in flexible.size))


@of_every_operator
def test_gradients_of_every_operator_at_a_fixed_crop(name):
    layer = OPERATORS[name](hidden=2, layers=1).double()
    flexible = flexible_part(layer)
    flexible.crop = flexible.kernel_size
    x = some_input(layer).double().requires_grad_()
    names, parameters = zip(*layer.named_parameters())

    def output(x, *replaced):
        return torch.func.functional_call(layer, dict(zip(names, replaced)), (x,))

    for backend in ("spatial", "fft"):
        flexible.backend = backend
        assert torch.autograd.gradcheck(output, (x, *parameters), fast_mode=True)


@of_every_operator
def test_every_operator_freezes_to_the_same_function_and_is_shaped_as_said(name):
    layer = OPERATORS[name]().eval()
    x = some_input(layer, batch=2, longer=3)
    frozen = freeze(layer)
    assert not any(isinstance(module, FlexConv) for module in frozen.modules())
    y = frozen(x)
    torch.testing.assert_close(y, layer(x), rtol=0, atol=1e-6)
    direct = freeze(layer, portable=True)
    kinds = {type(module) for module in direct.modules()} - {nn.Sequential, nn.ConstantPad1d}
    assert kinds <= {SeparableFlexConv, nn.Conv1d, nn.Conv2d, nn.Conv3d}
    torch.testing.assert_close(direct(x), y, rtol=0, atol=1e-5)
    stride = flexible_part(layer).stride
    assert y.shape[2:] == tuple(-(-n // stride) for n in x.shape[2:])


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize("name", ["flexconv_2d", "causal_separable", "strided"])
def test_frozen_operators_compile_in_one_graph_and_export(name, portable):
    layer = OPERATORS[name]()
    flexible_part(layer).backend = "fft"
    frozen = freeze(layer, portable=portable)
    x = some_input(layer, batch=2)
    with torch.no_grad():
        expected = frozen(x)
        compiled = torch.compile(frozen, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), expected, rtol=0, atol=1e-6)
        program = torch.export.export(frozen, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        wider = torch.cat((x, x, x))
        torch.testing.assert_close(program.module()(wider), frozen(wider), rtol=0, atol=1e-6)


def test_a_portable_form_says_how_much_slower_it_is():
    layer = FlexConv(16, 16, (1023,), sigma=1.0)
    x = torch.randn(4, 16, 1023)
    with pytest.warns(UserWarning, match=r"takes \d+\.\d times as long"):
        freeze(layer, portable=True, example=x)


@of_every_operator
def test_a_shift_of_the_input_shifts_the_output(name):
    layer = OPERATORS[name]().double()
    flexible = flexible_part(layer)
    axes = len(flexible.size)
    x = torch.zeros(1, flexible.in_channels, *[40] * axes, dtype=torch.float64)
    x[(..., *[slice(16, 22)] * axes)] = torch.randn(1, flexible.in_channels, *[6] * axes)
    shift = 2 * flexible.stride
    moved = layer(x.roll([shift] * axes, list(range(2, 2 + axes))))
    expected = layer(x).roll([2] * axes, list(range(2, 2 + axes)))
    torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize("backend", ["spatial", "fft"])
@pytest.mark.parametrize("name", ["causal", "causal_ckconv", "causal_separable"])
def test_no_output_of_a_causal_layer_knows_what_comes_later(name, backend):
    layer = OPERATORS[name]().double()
    flexible_part(layer).backend = backend
    x = torch.randn(1, 2, 30, dtype=torch.float64)
    later = x.clone()
    later[..., 17:] += 1
    before, after = layer(x), layer(later)
    torch.testing.assert_close(after[..., :17], before[..., :17], rtol=0, atol=1e-12)
    assert ((after - before)[..., 17:].abs().amax((0, 1)) > 1e-9).all()


@pytest.mark.parametrize(("points", "sigma", "kept"), [(1024, 0.075, 83), (1024, 0.25, 275), (9, 9.0, 9)])
def test_taps_of_a_causal_mask(points, sigma, kept):
    layer = FlexConv(1, 1, (points,), sigma=sigma, causal=True)
    assert layer.kernel_size == (kept,)
    mask = layer.mask(1 - torch.arange(kept)[:, None] * 2 / (points - 1))
    assert mask[0] == 1
    assert (mask > 0.1).all()


@pytest.mark.parametrize("points", [3, 4, 9, 28, 785, 4001])
def test_a_causal_layer_starts_with_five_taps_and_never_has_fewer_than_three(points):
    layer = FlexConv(1, 1, (points,), causal=True)
    assert layer.kernel_size[0] >= min(5, points)
    with torch.no_grad():
        layer.mask.sigma.zero_()
    assert layer.kernel_size == (3,)
    y = layer(torch.randn(1, 1, 10))
    y.square().sum().backward()
    assert y.isfinite().all()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())


def test_without_a_mask_the_kernel_is_the_generator_on_the_whole_grid():
    layer = FlexConv(2, 3, (7, 5), mask=None)
    points = torch.cartesian_prod(torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 5))
    expected = layer.gain * layer.generator(points).reshape(3, 2, 7, 5)
    torch.testing.assert_close(layer.kernel(), expected)
    assert not parameter_groups(layer)["masks"]


def test_a_mean_that_is_not_learned_is_saved_all_the_same():
    layer = FlexConv(1, 1, (9,), causal=True, learn_mean=False)
    assert "mask.mean" not in dict(layer.named_parameters())
    assert layer.state_dict()["mask.mean"].tolist() == [1.0]


def test_a_separable_layer_keeps_the_scale_of_noise_and_counts_one_kernel():
    layer = SeparableFlexConv(256, 256, (33,))
    y = layer(torch.randn(4, 256, 200))
    assert y.std().item() == pytest.approx(1, abs=0.1)
    assert layer.depthwise.kernel().shape == (1, 256, 5)
    assert kernel_sizes(layer) == ((5,),) == kernel_sizes(freeze(layer))


def test_kernels_are_generated_in_full_precision_under_autocast():
    layer = FlexConv(2, 2, (785,))
    expected = layer.kernel()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.kernel(), expected)
        assert layer(torch.randn(1, 2, 30)).isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": "mlp"}, "unknown generator 'mlp'"),
        ({"mask": "hann"}, "unknown mask 'hann'"),
        ({"mask": None, "sigma": 0.1}, "leave it None"),
        ({"depthwise": True}, "use SeparableFlexConv"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"causal": True}, "a causal kernel has 1 axis"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FlexConv(2, 3, (9, 9), **settings)


def test_an_input_of_other_axes_or_channels_is_refused():
    layer = FlexConv(2, 3, (9,))
    for shape in ((1, 2, 5, 5), (1, 3, 5)):
        with pytest.raises(ValueError, match=r"takes \(batch|3 channels"):
            layer(torch.zeros(shape))
