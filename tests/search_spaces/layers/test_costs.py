"""The rule that picks a backend: by shape, kind of device and whether gradients are wanted."""

import pytest
import torch

from search_spaces.layers.convolution import PlainConv, convolve
from search_spaces.layers.costs import COSTS, cheaper

DENSE, DEPTHWISE = {"groups": 1}, {"groups": 32}


def kernel(taps, axes, groups=1, channels=32):
    return (channels, channels // groups, *[taps] * axes)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("training", [True, False])
def test_long_kernels_go_by_fft_and_short_ones_do_not(device, training):
    where = {"device": device, "training": training}
    assert cheaper((16, 32, 1024), kernel(1023, 1), **where) == "fft"
    assert cheaper((16, 32, 32, 32), kernel(33, 2), **where) == "fft"
    assert cheaper((16, 32, 32, 32), kernel(3, 2), **where) == "spatial"
    assert cheaper((16, 32, 16, 16, 16), kernel(3, 3), **where) == "spatial"


def test_depthwise_kernels_of_a_few_taps_go_by_fft_in_training_only():
    x, taps = (16, 32, 32, 32), kernel(9, 2, groups=32)
    assert cheaper(x, taps, groups=32) == "fft"
    assert cheaper(x, taps, groups=32, training=False) == "spatial"


def test_a_stride_spares_the_spatial_backend_work_and_the_other_none():
    x, taps = (16, 32, 32, 32), kernel(9, 2)
    assert cheaper(x, taps) == "fft"
    assert cheaper(x, taps, stride=4) == "spatial"


def test_the_table_has_both_kinds_of_device_and_a_strange_one_is_taken_for_cuda():
    assert set(COSTS) == {(device, training) for device in ("cpu", "cuda") for training in (True, False)}
    for taps in (5, 9, 17):
        shapes = (16, 32, 32, 32), kernel(taps, 2)
        assert cheaper(*shapes, device="mps") == cheaper(*shapes, device="cuda")


@pytest.mark.parametrize("groups", [1, 32])
def test_auto_computes_exactly_what_the_backend_of_the_rule_computes(groups):
    torch.manual_seed(0)
    for taps in (3, 31):
        layer = PlainConv(torch.randn(kernel(taps, 1, groups)), groups=groups)
        x = torch.randn(2, 32, 64)
        for training in (True, False):
            with torch.set_grad_enabled(training):
                choice = cheaper(tuple(x.shape), tuple(layer.weight.shape), groups=groups, training=training)
                expected = convolve(x, layer.weight, None, choice, groups=groups)
                assert torch.equal(layer(x), expected)
