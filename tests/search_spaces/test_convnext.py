"""ConvNeXts: the published one, its norm, and what stem and stages do."""

import itertools

import pytest
import torch
from torch import nn

from search_spaces import SPACES, Architecture, TaskShape, build, complexity
from search_spaces.complexity import parts
from search_spaces.network import kernel_sizes, parameter_groups
from search_spaces.networks.convnext import _ChannelNorm

SERIES = TaskShape(extent=(64,), channels=3, classes=10)
SETTINGS = {"blocks": (1, 2), "widths": (8, 12), "kernels": (7, 5), "strides": (1, 2)}


def convnext(**changes):
    return Architecture.of("convnext", **(SETTINGS | changes))


def test_parameters_are_the_published_ones_plus_the_odd_sizes():
    """ConvNeXt-T on ImageNet; ours has 5 taps for patches of 4 and 3 for halvings, not 4 and 2."""
    widths = (96, 192, 384, 768)
    tiny = convnext(blocks=(3, 3, 9, 3), widths=widths, kernels=(7,) * 4, strides=(4, 2, 2, 2))
    stem = 3 * 96 * (5**2 - 4**2)
    halvings = sum(a * b for a, b in itertools.pairwise(widths)) * (3**2 - 2**2)
    shape = TaskShape(extent=(224, 224), channels=3, classes=1000)
    assert complexity(tiny, shape).parameters == 28_589_128 + stem + halvings


def test_the_space_contains_the_default():
    values = {"strides": "1-2-2-2", "expansion": 4}
    for stage, (blocks, width) in enumerate(zip((1, 1, 3, 1), (16, 32, 64, 128), strict=True), start=1):
        values |= {
            f"blocks_{stage}": blocks,
            f"width_{stage}": width,
            f"kernel_{stage}_by_{2 ** (stage - 1)}": 7,
        }
    found = SPACES["convnext"](SERIES).decode(values)
    default = SPACES["convnext_standard"](SERIES).decode({"design": "convnext_standard"})
    assert parts(found, SERIES) == parts(default, SERIES)


@pytest.mark.parametrize("extent", [(5,), (4, 3), (2, 3, 4)])
def test_the_norm_is_over_channels_at_every_position(extent):
    norm, x = _ChannelNorm(6), torch.randn(2, 6, *extent)
    y = norm(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean(1), torch.zeros(2, *extent))
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, *extent), rtol=1e-2, atol=1e-2)
    index = (0, slice(None), *(0 for _ in extent))
    torch.testing.assert_close(y[index], nn.functional.layer_norm(x[index], (6,)))


@pytest.mark.parametrize(("strides", "left"), [((1, 2), (15, 10)), ((3, 2), (5, 4)), ((1, 1), (30, 19))])
def test_stem_and_stages_reduce_the_resolution(strides, left):
    shape = TaskShape(extent=(30, 19), channels=2, classes=2)
    network = build(convnext(strides=strides), shape)
    assert network.features(torch.randn(2, 2, 30, 19)).shape == (2, 12, *left)


def test_patches_do_not_overlap():
    network = build(convnext(blocks=(1,), widths=(8,), kernels=(1,), strides=(3,)), SERIES)
    x = torch.randn(1, 3, 64, requires_grad=True)
    network.features(x)[0, :, 5].sum().backward()
    assert x.grad[0].any(0).nonzero().flatten().tolist() == [14, 15, 16]


def test_kernels_are_depthwise_and_listed_with_those_of_stem_and_halvings():
    network = build(convnext(), SERIES)
    assert kernel_sizes(network) == ((3,), (7,), (3,), (5,), (5,))
    assert [tuple(layer.body[0].weight.shape) for layer in network.features if hasattr(layer, "body")] == [
        (8, 1, 7),
        (12, 1, 5),
        (12, 1, 5),
    ]


def test_expansion_and_scale_are_counted_and_scales_are_not_decayed():
    for expansion in (1, 2, 4):
        network = build(convnext(expansion=expansion), SERIES)
        cost = complexity(convnext(expansion=expansion), SERIES)
        assert cost.parameters == sum(p.numel() for p in network.parameters())
    undecayed = {id(p) for p in parameter_groups(network)["undecayed"]}
    scales = [p for name, p in network.named_parameters() if name.endswith("scale")]
    assert len(scales) == 3
    assert all(id(scale) in undecayed for scale in scales)
