"""Dilated residual networks for series."""

import numpy as np
import pytest
import torch

from search_spaces import SPACES, Architecture, TaskShape, build, complexity
from search_spaces.complexity import parts
from search_spaces.families.tcn import TCN
from tests.search_spaces.steps import one_step


def series(length, channels=1, classes=10):
    return TaskShape(extent=(length,), channels=channels, classes=classes)


@pytest.mark.parametrize(
    ("causal", "kernel", "seen"),
    [(True, 3, range(38, 51)), (False, 3, range(44, 57)), (True, 2, range(44, 51))],
)
def test_an_output_sees_its_receptive_field_and_nothing_later_if_causal(causal, kernel, seen):
    net = TCN(width=4, kernels=(kernel,) * 2, growth=2, causal=causal)
    convolutions = [part for block in net.blocks(series(101)) for part in block[:2]]
    assert len(seen) == 1 + sum((part.size[0] - 1) * part.dilation for part in convolutions)
    torch.manual_seed(0)
    design = Architecture.of("tcn", width=4, kernels=net.kernels, growth=2, causal=causal)
    network = build(design, series(101)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # no ReLU closes
    x = torch.rand(1, 1, 101, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.blocks(x)[0, :, 50].sum(), x)
    assert (gradient[0, 0].abs() > 1e-9).nonzero().flatten().tolist() == list(seen)


@pytest.mark.parametrize(
    ("length", "taps", "dilations"),
    [
        (784, 7, [1, 2, 4, 8, 16, 32, 64, 128]),
        (64, 7, [1, 2, 4, 8, 10, 10, 10, 10]),
        (4, 5, [1] * 8),
    ],
)
def test_windows_stay_within_the_series(length, taps, dilations):
    blocks = TCN(width=25, kernels=(7,) * 8).blocks(series(length))
    assert [first.dilation for first, _, _ in blocks] == dilations
    for first, second, _ in blocks:
        assert first.size == second.size == (taps,)
        assert (taps - 1) * first.dilation + 1 <= length + 1 - length % 2


def test_the_standard_network_has_the_published_parameters():
    shape = series(784)
    design = SPACES["tcn_standard"](shape).decode({"blocks": 8})
    # a scale and a bias per output, of weight norm in the paper and of batch norm here; "70K" in its table
    first = (1 * 7 * 25 + 50) + (25 * 7 * 25 + 50) + (25 + 25)
    assert complexity(design, shape).parameters == first + 7 * 2 * (25 * 7 * 25 + 50) + 260 == 66_910


@pytest.mark.parametrize("name", ["tcn", "tcn_standard"])
@pytest.mark.parametrize("extent", [(32, 32), (8, 8, 8)])
def test_images_and_volumes_are_refused_with_what_serves_them(name, extent):
    shape = TaskShape(extent=extent, channels=3, classes=10)
    with pytest.raises(ValueError, match=f"space '{name}' is for series, of 1 axis, got 3x.*use resnet"):
        SPACES[name](shape)
    design = Architecture.of("tcn", width=8, kernels=(3,))
    for of in (build, complexity):
        with pytest.raises(ValueError, match="family 'tcn' is for series"):
            of(design, shape)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be a positive"),
        ({"growth": 1.5}, "growth must be a positive"),
        ({"kernels": ()}, "one per block"),
        ({"kernels": (4,), "causal": False}, "positive and odd, or causal true; got .4"),
        ({"depth": 3}, "has the settings width, kernels"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    design = Architecture.of("tcn", **{"width": 8, "kernels": (3,), **settings})
    with pytest.raises(ValueError, match=message):
        complexity(design, series(64))


def test_a_design_says_what_its_kernels_were_chosen_for():
    space = SPACES["tcn"](series(100))
    values = {"blocks": 4, "width": 8, "growth": 3, "causal": True}
    values |= {"causal_kernel_early": 2, "causal_kernel_late": 15}
    design = space.decode(values)
    assert design["kernels"] == (2, 2, 15, 15)
    assert design["reference"] == 100
    with pytest.raises(ValueError, match=r"no active choice.*centred_kernel_early"):
        space.decode({**values, "centred_kernel_early": 3})


@pytest.mark.parametrize(("length", "most"), [(8, 9), (4, 5), (2, 3), (1, 1)])
def test_no_kernel_is_offered_that_would_be_cut(length, most):
    options = [c.options for c in SPACES["tcn"](series(length)).choices if "kernel" in c.name]
    assert max(max(each) for each in options) <= most


@pytest.mark.parametrize(("length", "networks"), [(16, 1_785), (64, 2_400)])
def test_designs_are_different_networks_but_on_short_series(length, networks):
    space = SPACES["tcn"](series(length))
    designs = [space.decode(values) for values in space.enumerate()]
    assert len(designs) == 2_400
    assert len({parts(design, series(length)) for design in designs}) == networks


@pytest.mark.parametrize("shape", [series(48), series(3, channels=2, classes=2)], ids=str)
def test_fifty_designs_train(shape):
    torch.manual_seed(0)
    space, rng = SPACES["tcn"](shape), np.random.default_rng(0)
    for _ in range(50):
        one_step(space.decode(space.sample(rng)), shape)
