"""FlexConv on points: the regular operator on a grid, and what holds off it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.irregular import PointFlexConv
from search_spaces.layers.kernel_generators import GENERATORS
from search_spaces.layers.neighbours import Neighbours, find_neighbours
from search_spaces.layers.resolution import at_rate
from search_spaces.network import parameter_groups
from tests.search_spaces.layers.points import Elements, series


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


GRIDS = {  # size, extent of the input, causal
    "1d": ((9,), (23,), False),
    "1d_longer_than_the_input": ((15,), (6,), False),
    "causal": ((8,), (23,), True),
    "2d": ((7, 5), (9, 6), False),
    "3d": ((5, 3, 7), (6, 5, 4), False),
    "one_point": ((1,), (5,), False),
    "causal_one_point": ((1,), (5,), True),
}
of_every_grid = pytest.mark.parametrize("grid", GRIDS)


def layer_and_grid(grid, channels=(2, 3), **more):
    """A layer in float64, and the positions (1, points, D) at which it is its regular layer."""
    size, extent, causal = GRIDS[grid]
    regular = FlexConv(*channels, size, causal=causal, hidden=8, **more).double()
    torch.nn.init.normal_(regular.bias)
    layer = PointFlexConv(regular, [0.7 + axis for axis in range(len(size))])
    axes = [torch.arange(n, dtype=torch.float64) * h for n, h in zip(extent, layer.spacing)]
    return layer, torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)[None]


def some_layer(axes=1, reach=1.0, channels=(2, 3), nearest=None, **more):
    regular = FlexConv(*channels, (9,) * axes, **{"sigma": 0.4, "hidden": 8, **more}).double()
    return PointFlexConv(regular, reach, nearest=nearest)


@of_every_grid
@pytest.mark.parametrize("sigma", [0.01, 0.3, 0.7, 3.0, None])
@pytest.mark.parametrize("depthwise", [False, True])
def test_on_a_grid_it_is_the_regular_layer(grid, sigma, depthwise):
    mask = {"mask": None} if sigma is None else {"sigma": sigma}
    layer, positions = layer_and_grid(grid, (3, 3), depthwise=depthwise, **mask)
    x = torch.randn(2, 3, *GRIDS[grid][1], dtype=torch.float64)
    expected = layer.regular(x).flatten(2)
    order = torch.randperm(positions.shape[1])
    y = layer(x.flatten(2)[..., order], positions[:, order] - 17.3)
    torch.testing.assert_close(y, expected[..., order], rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["1d", "causal", "2d"]), st.floats(0.01, 3), st.floats(-0.5, 1.0))
def test_on_a_grid_the_window_is_the_regular_crop_wherever_the_mask_lies(grid, sigma, mean):
    layer, positions = layer_and_grid(grid, sigma=sigma)
    with torch.no_grad():
        layer.regular.mask.mean.fill_(mean)
    x = torch.randn(1, 2, *GRIDS[grid][1], dtype=torch.float64)
    torch.testing.assert_close(
        layer(x.flatten(2), positions), layer.regular(x).flatten(2), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_is_linear_in_its_last_features(name):
    layer, positions = layer_and_grid("2d", sigma=0.5, generator=name)
    x = torch.randn(1, 2, *GRIDS["2d"][1], dtype=torch.float64)
    torch.testing.assert_close(layer(x.flatten(2), positions), layer.regular(x).flatten(2))


def test_missing_points_of_a_grid_are_zeros():
    layer, positions = layer_and_grid("1d", sigma=0.5)
    seen = torch.rand(23) < 0.6
    x = torch.randn(1, 2, 23, dtype=torch.float64) * seen
    y = layer(x[..., seen], positions[:, seen], queries=positions)
    torch.testing.assert_close(y, layer.regular(x))


@pytest.mark.parametrize("grid", ["1d", "causal", "2d"])
def test_at_another_rate_it_is_the_regular_layer_at_that_rate(grid):
    layer, _ = layer_and_grid(grid, sigma=0.5)
    fine, size = at_rate(layer, 2), GRIDS[grid][1]
    assert fine.reach == layer.reach
    axes = [torch.arange(n, dtype=torch.float64) * h / 2 for n, h in zip(size, layer.spacing)]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)[None]
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    torch.testing.assert_close(fine(x.flatten(2), positions), fine.regular(x).flatten(2))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_order_origin_and_unit_do_not_matter(axes):
    layer = some_layer(axes)
    x, positions = series(axes=axes)
    y = layer(x, positions)
    order = torch.randperm(20)
    torch.testing.assert_close(layer(x[..., order], positions[:, order]), y[..., order])
    torch.testing.assert_close(layer(x, positions + 1e3), y, rtol=1e-8, atol=1e-8)
    finer = PointFlexConv(layer.regular, 1000.0)
    torch.testing.assert_close(finer(x, positions * 1000), y)


def test_no_output_of_a_causal_layer_knows_what_comes_later():
    layer = some_layer(causal=True)
    x, positions = series()
    now = 2.0
    later = positions[:, None, :, 0] > now
    y, changed = layer(x, positions), layer(torch.where(later, x + 1, x), positions)
    moved = layer(x, torch.where(later.transpose(1, 2), positions + 9, positions))
    on_both_sides = find_neighbours(positions, radius=layer.radius())
    torch.testing.assert_close(layer(x, positions, neighbours=on_both_sides), y)
    for other in (changed, moved):
        torch.testing.assert_close(other.masked_fill(later, 0), y.masked_fill(later, 0))
    assert ((changed - y).abs().amax(1) > 1e-9).equal(later[:, 0])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("nearest", [None, 3])
def test_padding_neither_gives_nor_receives_whatever_it_holds(causal, nearest):
    layer = some_layer(causal=causal, nearest=nearest)
    torch.nn.init.ones_(layer.regular.bias)
    x, positions = series(batch=1)
    y = layer(x, positions)
    valid = torch.arange(26)[None] < 20
    for junk in (0.5, math.nan, math.inf):
        padded = torch.cat((x, torch.full((1, 2, 6), junk, dtype=x.dtype)), dim=-1).requires_grad_()
        places = torch.cat((positions, torch.full((1, 6, 1), junk, dtype=x.dtype)), dim=1).requires_grad_()
        weights = places[..., 0].detach().clone()
        weights[:, :20] = layer.spacing[0]
        out = layer(padded, places, valid=valid, weights=weights)
        torch.testing.assert_close(out[..., :20], y)
        assert (out[..., 20:] == 0).all()
        gradients = torch.autograd.grad(out.square().sum(), (padded, places, *layer.parameters()))
        assert all(g.isfinite().all() for g in gradients)
        assert not gradients[0][..., 20:].any() and not gradients[1][:, 20:].any()


def test_sequences_of_different_lengths_are_as_if_alone():
    layer = some_layer()
    x, positions = series(batch=3)
    lengths = (20, 7, 1)
    valid = torch.arange(20) < torch.tensor(lengths)[:, None]
    y = layer(x, positions, valid=valid)
    for n, length in enumerate(lengths):
        alone = layer(x[n : n + 1, :, :length], positions[n : n + 1, :length])
        torch.testing.assert_close(y[n : n + 1, :, :length], alone)


def test_positions_shared_by_the_batch_are_as_if_repeated():
    layer = some_layer(axes=2)
    x, positions = series(batch=3, axes=2)
    shared, repeated = positions[:1], positions[:1].expand(3, -1, -1)
    torch.testing.assert_close(layer(x, shared), layer(x, repeated))
    valid = torch.rand(3, 20) < 0.7
    torch.testing.assert_close(layer(x, shared, valid=valid), layer(x, repeated, valid=valid))
    torch.testing.assert_close(layer(x, repeated, valid=valid[:1]), layer(x, shared, valid=valid[:1]))


@pytest.mark.parametrize("axes", [1, 3])
def test_neighbours_found_once_serve_layers_of_every_size(axes):
    x, positions = series(axes=axes)
    queries = positions[:, :8] + 0.01
    wide = some_layer(axes, reach=1.5, sigma=2.0)
    once = find_neighbours(positions, queries, radius=wide.radius())
    for layer in (wide, some_layer(axes), some_layer(axes, depthwise=True, channels=(2, 2))):
        y = layer(x, positions, queries=queries, neighbours=once)
        torch.testing.assert_close(y, layer(x, positions, queries=queries))


def test_no_neighbours_leave_the_bias():
    layer = some_layer()
    torch.nn.init.normal_(layer.regular.bias)
    x, positions = series()
    y = layer(x, positions, queries=positions + 100)
    torch.testing.assert_close(y, layer.regular.bias[:, None].expand_as(y))
    assert torch.autograd.grad(y.sum(), layer.regular.generator.output.weight)[0].count_nonzero() == 0


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("axes", [1, 2])
def test_gradients_at_fixed_neighbours(axes, causal, depthwise):
    if causal and axes > 1:
        return
    layer = some_layer(axes, channels=(2, 2), causal=causal, depthwise=depthwise, layers=1)
    x, positions = series(points=8, axes=axes)
    weights = torch.rand(2, 8, dtype=torch.float64)
    valid = torch.arange(8) < torch.tensor([[8], [6]])
    once = find_neighbours(positions, radius=layer.radius(), causal=causal, valid=valid)
    assert not once.found.all()  # empty slots among them
    names, parameters = zip(*layer.named_parameters())

    def output(x, positions, weights, *replaced):
        more = {"weights": weights, "valid": valid, "neighbours": once}
        return torch.func.functional_call(layer, dict(zip(names, replaced)), (x, positions), more)

    inputs = [each.requires_grad_() for each in (x, positions, weights)]
    assert torch.autograd.gradcheck(output, (*inputs, *parameters), fast_mode=True)


def test_every_parameter_learns_and_falls_in_the_group_of_the_regular_layer():
    layer = some_layer(axes=3, reach=3.0)
    layer(*series(axes=3)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())
    assert {k: len(v) for k, v in parameter_groups(layer).items()} == {
        k: len(v) for k, v in parameter_groups(layer.regular).items()
    }


@pytest.mark.parametrize(("points", "tolerance"), [(100, 0.2), (400, 0.02), (1600, 0.004)])
def test_weighted_by_their_spacings_points_of_any_density_sum_to_the_integral(points, tolerance):
    """The kernel is a cut Gaussian: to sin(2 p) it answers `response` sin(2 q)."""
    layer = PointFlexConv(FlexConv(1, 1, (257,), sigma=0.3).double(), 2.0)
    with torch.no_grad():
        layer.regular.gain.fill_(layer.spacing[0])
        layer.regular.generator.output.weight.zero_()
        layer.regular.generator.output.bias.fill_(1.0)
    offsets = torch.linspace(-1, 1, 100_001, dtype=torch.float64) * layer.radius()[0]
    response = torch.trapezoid(torch.exp(-0.5 * (offsets / 0.6).square()) * torch.cos(2 * offsets), offsets)

    even = torch.arange(points) / points + torch.rand(points, dtype=torch.float64) / points
    times = 16 * even.sqrt() - 8  # far denser on the right than on the left
    gaps = times.diff()
    weights = (torch.cat((gaps[:1], gaps)) + torch.cat((gaps, gaps[-1:]))) / 2
    queries = torch.linspace(-4, 4, 50, dtype=torch.float64)
    expected = response * torch.sin(2 * queries)
    arguments = {"x": torch.sin(2 * times)[None, None], "positions": times[None, :, None]}
    y = layer(**arguments, queries=queries[None, :, None], weights=weights[None])
    assert (y[0, 0] - expected).abs().max() < tolerance * response
    unweighted = layer(**arguments, queries=queries[None, :, None])
    unweighted *= (expected @ unweighted[0, 0]) / unweighted.square().sum()  # at its best scale
    assert (unweighted[0, 0] - expected).abs().max() > 0.4 * response


@pytest.mark.parametrize(("causal", "count"), [(False, 10), (True, 9)])
def test_a_query_midway_between_points_of_a_grid_keeps_those_on_the_rim(causal, count):
    layer = PointFlexConv(FlexConv(1, 1, (9,), mask=None, causal=causal), 0.7)
    with torch.no_grad():
        layer.regular.gain.fill_(1.0)
        layer.regular.generator.output.weight.zero_()
        layer.regular.generator.output.bias.fill_(1.0)
    positions = torch.arange(200)[None, :, None] * layer.spacing[0] + 0.1  # rounded, each its own way
    queries = positions[:, 20:-20] + layer.spacing[0] / 2
    y = layer(torch.ones(1, 1, 200), positions, queries=queries)
    torch.testing.assert_close(y, torch.full_like(y, count))


def test_weights_of_a_grid_are_one():
    layer, positions = layer_and_grid("3d", sigma=0.5)
    x = torch.randn(1, 2, positions.shape[1], dtype=torch.float64)
    volume = torch.full((1, positions.shape[1]), math.prod(layer.spacing), dtype=torch.float64)
    torch.testing.assert_close(layer(x, positions, weights=volume), layer(x, positions))


def test_noise_keeps_its_scale_where_points_are_as_dense_as_the_grid():
    layer = PointFlexConv(FlexConv(16, 16, (33,), sigma=0.3), 16.0)  # spacing 1
    y = layer(torch.randn(4, 16, 1000), torch.rand(4, 1000, 1) * 1000)
    assert y.square().mean().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("depthwise", [False, True])
def test_products_and_memory_are_linear_in_points_and_hold_no_kernel_per_pair(depthwise):
    channels, k = 16, 12
    layer = some_layer(3, channels=(channels, channels), depthwise=depthwise)
    products, elements, largest = [], [], []
    for points in (200, 400, 800):
        x, positions = series(batch=1, points=points, channels=channels, axes=3)
        once = find_neighbours(positions, nearest=k)
        with FlopCounterMode(display=False) as flops, Elements() as seen:
            layer(x, positions, neighbours=once).sum().backward()
        products.append(flops.get_total_flops())
        elements.append(seen.total)
        largest.append(seen.largest)
    for counts in (products, elements, largest):
        assert counts[2] - counts[1] == pytest.approx(2 * (counts[1] - counts[0]), rel=0.01)
    assert largest[2] <= 800 * k * 8 * 4  # hidden features of every pair, of four filters
    assert depthwise or largest[2] < 800 * k * channels**2 / 4


def test_kernels_are_in_full_precision_for_inputs_in_half_and_large_time_stamps():
    layer = some_layer().float()
    x, positions = series()
    expected = layer(x.float(), positions)
    assert layer(x.bfloat16(), positions).dtype == torch.bfloat16
    torch.testing.assert_close(layer(x.float(), positions + 1.7e9), expected, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x.float(), positions), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("reach", [0.0, -1.0, math.inf, math.nan, (1.0,), (1.0, 2.0, 3.0)])
def test_a_wrong_reach_is_refused(reach):
    with pytest.raises(ValueError, match="reach must be a positive number or 2 of them"):
        PointFlexConv(FlexConv(1, 1, (5, 5)), reach)


def test_a_wrong_layer_is_refused():
    with pytest.raises(ValueError, match="give fewer `queries`"):
        PointFlexConv(FlexConv(1, 1, (5,), stride=2), 1.0)
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        PointFlexConv(FlexConv(1, 1, (5,)), 1.0, nearest=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": torch.zeros(2, 3, 20)}, r"x must be \(batch, 2, points\)"),
        ({"x": torch.zeros(2, 2, 4, 5)}, "x must be"),
        ({"positions": torch.zeros(2, 20, 2)}, "positions must be"),
        ({"positions": torch.zeros(2, 19, 1)}, "positions must be"),
        ({"positions": torch.zeros(2, 20, 1, dtype=torch.long)}, r"floating point type.*use \.double\(\)"),
        ({"positions": torch.full((2, 20, 1), math.nan)}, "mark padding in `valid`"),
        ({"queries": torch.zeros(20)}, "queries must be"),
        ({"queries": torch.zeros(2, 5, 2)}, "queries must be"),
        ({"queries": torch.zeros(2, 5, 1).double()}, "one floating point type"),
        ({"queries": torch.full((2, 5, 1), math.inf)}, "must be finite"),
        ({"valid": torch.zeros(2, 19, dtype=torch.bool)}, "valid must be"),
        ({"valid": torch.ones(2, 20)}, "valid must be bool"),
        ({"weights": torch.ones(2, 1, 20)}, "weights must be"),
        (
            {"neighbours": Neighbours(torch.zeros(2, 7, 3).long(), torch.ones(2, 7, 3).bool())},
            "neighbours must be of",
        ),
    ],
)
def test_a_wrong_input_is_refused(wrong, message):
    layer = some_layer().float()
    arguments = {"x": torch.zeros(2, 2, 20), "positions": torch.rand(2, 20, 1), **wrong}
    with pytest.raises(ValueError, match=message):
        layer(**arguments)
