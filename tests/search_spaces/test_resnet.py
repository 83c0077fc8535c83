"""Residual networks: the published one, and what strides and dilations do."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import SPACES, Architecture, TaskShape, build, complexity, freeze
from search_spaces.complexity import parts
from search_spaces.families.resnet import ResNet
from search_spaces.layers.convolution import PlainConv

CIFAR = TaskShape(extent=(32, 32), channels=3, classes=10)
SERIES = TaskShape(extent=(64,), channels=1, classes=2)


def resnet(**changes):
    settings = {"blocks": (1,), "widths": (8,), "kernels": (1, 3), "strides": (1,), "dilations": (1,)}
    return Architecture.of("resnet", **(settings | changes))


@pytest.mark.parametrize(("blocks", "published"), [(3, 269_722), (9, 853_018), (18, 1_727_962)])
def test_parameters_are_the_published_ones_plus_the_shortcuts(blocks, published):
    """ResNet-20, -56 and -110 with shortcuts of zero channels; ours are two 1x1 convolutions with norms."""
    design = SPACES["resnet_20"](CIFAR).decode({"design": "resnet_20"})
    deep = Architecture.of("resnet", **(dict(design.settings) | {"blocks": (blocks,) * 3}))
    shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    assert complexity(deep, CIFAR).parameters == published + shortcuts
    assert complexity(design, CIFAR).parameters == 272_474


def test_the_space_contains_resnet_20():
    values = {"strides": "1-2-2", "block": "plain", "kernel_stem": 3}
    for stage, (width, factor) in enumerate(zip((16, 32, 64), (1, 2, 4), strict=True), start=1):
        values |= {f"blocks_{stage}": 3, f"width_{stage}": width}
        values |= {f"kernel_{stage}_by_{factor}": 3, f"dilation_{stage}_by_{factor}": 1}
    found = SPACES["resnet"](CIFAR).decode(values)
    default = SPACES["resnet_20"](CIFAR).decode({"design": "resnet_20"})
    assert found["reference"] == 32
    assert parts(found, CIFAR) == parts(default, CIFAR)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize(
    ("strides", "left"), [((1, 1), (19, 30)), ((1, 2), (10, 15)), ((2, 1), (10, 15)), ((2, 2), (5, 8))]
)
def test_strides_halve_the_resolution_at_a_stages_first_block(bottleneck, strides, left):
    shape = TaskShape(extent=(19, 30), channels=2, classes=2)
    design = resnet(
        blocks=(2, 1),
        widths=(8, 12),
        kernels=(3, 3, 3),
        strides=strides,
        dilations=(1, 1),
        bottleneck=bottleneck,
    )
    network = build(design, shape)
    assert network.blocks(network.stem(torch.randn(2, 2, 19, 30))).shape == (2, 12, *left)
    assert [r.stride for r in ResNet.read(design).residuals(shape)] == [strides[0], 1, strides[1]]


def reached(network, positions=64):
    """Input positions that the middle of the features depends on, every tap being positive."""
    network.eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, PlainConv | nn.Conv1d):
                module.weight.fill_(0.01)
    x = torch.ones(1, 1, positions, requires_grad=True)
    network.blocks(network.stem(x))[0, 0, positions // 2].backward()
    return (x.grad[0, 0].nonzero().flatten() - positions // 2).tolist()


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_dilation_spreads_the_taps_of_both_convolutions(dilation):
    network = build(resnet(dilations=(dilation,)), SERIES)
    assert reached(network) == [dilation * i for i in (-2, -1, 0, 1, 2)]
    wide = build(resnet(dilations=(dilation,), bottleneck=True), SERIES)
    assert reached(wide) == [dilation * i for i in (-1, 0, 1)]


@pytest.mark.parametrize("shape", [SERIES, CIFAR], ids=str)
def test_taps_apart_cost_no_more(shape):
    """Counted by torch on the portable form, whose convolutions do not fill dilated kernels with zeros."""
    space, rng, dilated = SPACES["resnet"](shape), np.random.default_rng(0), 0
    while dilated < 5:
        design = space.decode(space.sample(rng))
        if max(design["dilations"]) == 1:
            continue
        dilated += 1
        with torch.device("meta"):
            network = freeze(build(design, shape), portable=True)
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, shape.channels, *shape.extent, device="meta"))
        assert complexity(design, shape).multiply_adds == counter.get_total_flops() // 2


def test_a_bottleneck_has_a_quarter_of_the_width_inside():
    sizes = [
        p.weight.shape[:2]
        for p in build(resnet(widths=(32,), bottleneck=True), SERIES).blocks.modules()
        if isinstance(p, PlainConv)
    ]
    assert sizes == [(8, 8)]


def test_a_shortcut_stands_only_where_the_shape_changes():
    design = resnet(
        blocks=(2, 1, 1), widths=(8, 8, 16), kernels=(3, 3, 3, 3), strides=(1, 2, 1), dilations=(1, 1, 1)
    )
    blocks = build(design, SERIES).blocks
    assert [isinstance(block.shortcut, nn.Identity) for block in blocks] == [True, True, False, False]
    assert complexity(design, SERIES).parameters == sum(p.numel() for p in build(design, SERIES).parameters())
