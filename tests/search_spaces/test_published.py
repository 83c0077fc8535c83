"""Published networks have the parameters of the released code, or fewer by what ours leave out on purpose."""

import pytest

from search_spaces import PUBLISHED, Architecture, TaskShape, build, complexity
from search_spaces.families.flexnet import FlexNet
from search_spaces.layers.flexconv import FlexConv

CIFAR10 = TaskShape(extent=(32, 32), channels=3, classes=10)
CIFAR100 = TaskShape(extent=(32, 32), channels=3, classes=100)
SERIES = TaskShape(extent=(784,), channels=1, classes=10)

RELEASED = [
    ("FlexNet-7", CIFAR10, 671_650),
    ("FlexNet-7 3x3", CIFAR10, 169_990),
    ("FlexNet-7 33x33", CIFAR10, 19_998_790),
    ("FlexNet-5", CIFAR10, 454_046),
    ("CCNN-4,140", CIFAR10, 201_042),
    ("CCNN-4,140", CIFAR100, 213_732),
    ("CCNN-4,140", SERIES, 198_769),
    ("CCNN-6,380", CIFAR10, 1_999_366),
    ("CCNN-6,380", SERIES, 1_993_091),
]
"""Counted on the released code."""


def left_out(design, shape):
    """Parameters of the released network that ours lacks: biases that change no function."""
    if design.family == "ccnn":
        return {}
    net = FlexNet.read(design)
    widened = [b for a, b in zip(net.widths, net.widths[1:]) if a != b]
    return {
        # a norm subtracts them again
        "biases of convolutions": sum(part.outputs for part in net.convolutions(shape)),
        # the shift of a block's last norm is added to the same sum
        "biases of shortcuts": sum(widened),
    }


@pytest.mark.parametrize(("name", "shape", "released"), RELEASED, ids=[f"{n}-{s}" for n, s, _ in RELEASED])
def test_parameters_are_the_released_ones_but_for_biases_named(name, shape, released):
    design = PUBLISHED[name]
    ours = sum(p.numel() for p in build(design, shape).parameters())
    assert ours == complexity(design, shape).parameters
    assert ours + sum(left_out(design, shape).values()) == released


def test_every_published_network_is_counted_and_survives_json():
    assert {name for name, *_ in RELEASED} == set(PUBLISHED)
    for design in PUBLISHED.values():
        assert Architecture.from_json(design.to_json()) == design


@pytest.mark.parametrize(("name", "learned"), [("FlexNet-7", True), ("CCNN-4,140", False)])
def test_means_of_masks_are_learned_where_they_were(name, learned):
    layers = [m for m in build(PUBLISHED[name], CIFAR10).modules() if isinstance(m, FlexConv)]
    assert layers
    assert all(("mean" in dict(layer.mask.named_parameters())) == learned for layer in layers)


def test_published_kernels_reach_33_taps_and_start_at_5():
    for name in ("FlexNet-7", "CCNN-4,140"):
        layer = next(m for m in build(PUBLISHED[name], CIFAR10).modules() if isinstance(m, FlexConv))
        assert layer.size == (33, 33)
        assert layer.kernel_size == (5, 5)
