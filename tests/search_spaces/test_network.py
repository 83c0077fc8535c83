"""Networks and their cost: what the contract over all spaces does not reach."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import search_spaces
from search_spaces import Architecture, TaskShape, build, complexity, freeze
from search_spaces.layers.convolution import PlainConv
from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.grid import ROOT, odd_cover, step
from search_spaces.layers.irregular import PointFlexConv
from search_spaces.network import kernel_sizes, parameter_groups

SHAPE = TaskShape(extent=(28, 5), channels=3, classes=4)
SETTINGS = {"width": 6, "factors": (1.0, 1.5), "kernels": (3, 7, "flex", 5, 29)}


def flexnet(**changes):
    return Architecture.of("flexnet", **{**SETTINGS, **changes})


def test_kernels_are_cut_to_each_axis_and_listed_in_order():
    network = build(flexnet(), SHAPE)
    assert kernel_sizes(network) == ((3, 3), (7, 5), (5, 5), (5, 5), (29, 5))
    assert next(m for m in network.modules() if isinstance(m, FlexConv)).size == (29, 5)


def test_a_block_that_widens_has_a_counted_shortcut():
    network = build(flexnet(), SHAPE)
    assert complexity(flexnet(), SHAPE).parameters == sum(p.numel() for p in network.parameters())
    assert network(torch.randn(2, 3, 28, 5)).shape == (2, 4)


def test_generator_settings_reach_every_layer_and_the_cost():
    design = flexnet(hidden=8, layers=2, sigma=0.3)
    network = build(design, SHAPE)
    layer = next(m for m in network.modules() if isinstance(m, FlexConv))
    assert layer.mask.sigma.tolist() == pytest.approx([0.3, 0.3])
    assert complexity(design, SHAPE, kernel_sizes(network)) == complexity(design, SHAPE)
    assert complexity(design, SHAPE).parameters == sum(p.numel() for p in network.parameters())


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build(flexnet(), SHAPE).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_network_adapts_to_another_extent_without_new_parameters():
    network = build(flexnet(), SHAPE).eval()
    assert network(torch.randn(1, 3, 40, 9)).shape == (1, 4)


@pytest.mark.parametrize("extent", [(1,), (2, 3), (1, 4, 2)])
def test_the_smallest_inputs(extent):
    shape = TaskShape(extent=extent, channels=2, classes=2)
    network = build(flexnet(kernels=("flex",) * 5), shape)
    x = torch.randn(4, 2, *extent)
    network(x).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert all(taps <= odd_cover(n) for taps, n in zip(kernel_sizes(network)[0], extent))
    torch.testing.assert_close(freeze(network)(x), network.eval()(x), rtol=0, atol=1e-6)


def test_a_bare_layer_freezes_too():
    layer = FlexConv(2, 2, (9, 9)).eval()
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(freeze(layer)(x), layer(x), rtol=0, atol=1e-6)


def test_what_is_decayed():
    network = build(flexnet(), SHAPE)
    groups = parameter_groups(network)
    # four discrete convolutions, one shortcut, the head's matrix
    assert len(groups["weights"]) == 4 + 1 + 1
    assert len(groups["masks"]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width must be"),
        ({"factors": (1.0,)}, "1 blocks need 3 kernels"),
        ({"factors": (1.0, 0.0)}, "must be positive"),
        ({"kernels": (3, 4, 3, 3, 3)}, "positive odd number or 'flex', got 4"),
        ({"kernels": (3, -1, 3, 3, 3)}, "positive odd number or 'flex', got -1"),
        ({"kernels": (3, "big", 3, 3, 3)}, "positive odd number or 'flex', got 'big'"),
        ({"kernels": 3}, "must be a list"),
        ({"sigma": -1.0}, "sigma must be positive"),
        ({"layers": 0}, "must be positive"),
        ({"frequency": 0.0}, "must be positive"),
        ({"colour": "red"}, r"has the settings width, factors.*colour"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_built(changes, message):
    for ask in (build, complexity):
        with pytest.raises(ValueError, match=message):
            ask(flexnet(**changes), SHAPE)


def test_an_unknown_family_and_a_missing_setting_are_refused():
    for ask in (build, complexity):
        with pytest.raises(ValueError, match="unknown family 'net'; there are: flexnet"):
            ask(Architecture.of("net"), SHAPE)
        with pytest.raises(ValueError, match=r"missing.*factors"):
            ask(Architecture.of("flexnet", width=3, kernels=(3,)), SHAPE)


@pytest.mark.parametrize("sizes", [(), ((3, 3),) * 4, ((3,),) * 5])
def test_cost_needs_a_size_per_convolution_and_axis(sizes):
    with pytest.raises(ValueError, match="5 convolutions need a kernel size each, of 2 axes"):
        complexity(flexnet(), SHAPE, sizes)


def test_public_names_and_no_torch_before_it_is_needed():
    assert all(hasattr(search_spaces, name) for name in search_spaces.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        search_spaces.nothing  # noqa: B018
    modules = ("space", "architecture", "lookup", "complexity", "families.flexnet", "flexconv", "discrete")
    code = (
        f"import sys, {', '.join(f'search_spaces.{m}' for m in modules)}; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_generating_kernels_is_counted_and_discrete_kernels_cost_nothing():
    plain = flexnet(kernels=(3, 3, 3, 3, 3))
    assert complexity(plain, SHAPE).generation == 0
    design = flexnet(kernels=("flex", 3, 3, 3, 3), hidden=8, layers=2)
    layer = next(m for m in build(design, SHAPE).modules() if isinstance(m, FlexConv))
    taps = layer.kernel_size[0] * layer.kernel_size[1]
    with FlopCounterMode(display=False) as counter:
        layer.kernel()
    products = counter.get_total_flops() // 2  # matrix products only
    elementwise = taps * (3 * 8 * (2 * 2 + 1) + 3 * 6)  # filters' envelopes and products, the mask
    assert complexity(design, SHAPE).generation == products + elementwise


def test_freezing_a_network_leaves_the_kernels_of_points_alone():
    network = nn.ModuleList([PointFlexConv(FlexConv(2, 2, (9,)), 1.0), FlexConv(2, 2, (9,))])
    frozen = freeze(network)
    assert isinstance(frozen[0].regular, FlexConv) and isinstance(frozen[1], PlainConv)
    x, positions = torch.randn(1, 2, 20), torch.rand(1, 20, 1)
    torch.testing.assert_close(frozen[0](x, positions), network[0](x, positions))


def test_executed_is_canonical_where_spatial_convolution_runs_and_less_where_fft_does():
    short = flexnet(factors=(1.0, 1.0), kernels=(3, 3, 3, 3, 3))
    assert complexity(short, SHAPE, batch=8).executed == 8 * complexity(short, SHAPE).multiply_adds
    series = TaskShape(extent=(1024,), channels=1, classes=4)
    long = Architecture.of("flexnet", width=16, factors=(), kernels=(1023,))
    cost = complexity(long, series, batch=64)
    points = 1024 + 511 + 1  # 1535 samples and the zeros before them, made divisible by 4
    transforms = (64 * 17 + 16) * 2.5 * points * math.log2(points)
    products = 4 * 64 * 16 * (points // 2 + 1)
    assert cost.executed == pytest.approx(transforms + products + 64 * 16 * 4)
    assert cost.executed < 64 * cost.multiply_adds


@pytest.mark.parametrize("portable", [False, True])
def test_a_layer_used_twice_is_frozen_once(portable):
    layer = FlexConv(2, 2, (9,))
    frozen = freeze(nn.Sequential(layer, nn.ReLU(), layer), portable=portable)
    assert frozen[0] is frozen[2] and not isinstance(frozen[0], FlexConv)


def test_a_frozen_network_compiles_whole_with_backends_chosen_by_the_rule():
    torch.manual_seed(0)
    frozen = freeze(build(flexnet(), SHAPE))
    x = torch.randn(2, SHAPE.channels, *SHAPE.extent)
    with torch.no_grad():
        compiled = torch.compile(frozen, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), frozen(x), rtol=1e-5, atol=1e-5)


def test_a_sigma_on_the_threshold_costs_what_the_network_does():
    shape = TaskShape(extent=(9, 10), channels=3, classes=4)
    design = flexnet(factors=(1.0, 1.0), kernels=("flex",) * 5, sigma=5 / 2 * step(11) / ROOT)
    assert complexity(design, shape) == complexity(design, shape, kernel_sizes(build(design, shape)))
