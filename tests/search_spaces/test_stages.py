"""The spaces of networks with several stages: what they ask, and that what they offer fits the input."""

import itertools

import numpy as np
import pytest
import torch

from search_spaces import SPACES, Architecture, TaskShape, build
from search_spaces.complexity import parts
from search_spaces.families import stages
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Convolution

SERIES = TaskShape(extent=(64,), channels=3, classes=10)
IMAGES = TaskShape(extent=(20, 28), channels=1, classes=10)
both = pytest.mark.parametrize("name", ["resnet", "convnext"])
defaults = pytest.mark.parametrize("name", ["resnet_20", "convnext_standard"])
anywhere = pytest.mark.parametrize("shape", [SERIES, IMAGES], ids=str)


def samples(space, n=200):
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


@both
@anywhere
def test_only_stages_that_exist_are_asked_about(name, shape):
    space = SPACES[name](shape)
    counts = set()
    for values in samples(space):
        n = len(stages.strides(values["strides"]))
        counts.add(n)
        for asked in ("blocks", "width", "kernel"):
            found = [key for key in values if key.startswith(f"{asked}_") and key != "kernel_stem"]
            assert [int(key.split("_")[1]) for key in found] == list(range(1, n + 1))
        design = space.decode(values)
        assert {len(design[setting]) for setting in ("blocks", "widths", "strides")} == {n}
        assert design["reference"] == max(shape.extent)
    assert len(counts) > 2


@both
@pytest.mark.parametrize("extent", [(64,), (20, 28), (28, 3), (7,), (3,), (2, 2), (1, 9), (1,), (5, 6, 7)])
def test_no_stride_leaves_one_position_and_no_kernel_is_cut_on_the_longest_axis(name, extent):
    shape = TaskShape(extent=extent, channels=2, classes=3)
    space = SPACES[name](shape)
    for values in samples(space, 50):
        design = space.decode(values)
        assert stages.acting(extent, design["strides"]) == design["strides"]
        for part in parts(design, shape):
            if isinstance(part, Convolution):
                assert all(
                    part.dilation * (taps - 1) + 1 <= odd_cover(n)
                    for taps, n in zip(part.size, part.extent, strict=True)
                )
        listed = [max(part.size) for part in parts(design, shape) if isinstance(part, Convolution)]
        assert set(design["kernels"]) <= set(listed)


@both
@anywhere
def test_neighbours_are_designs_and_different_values_have_different_ids(name, shape):
    space = SPACES[name](shape)
    every = samples(space)
    for values in every[:5]:
        near = space.neighbours(values)
        assert near
        every += near
    different = {tuple(sorted(values.items(), key=str)) for values in every}
    assert len({space.decode(values).id for values in every}) == len(different)


@both
@anywhere
def test_spaces_are_large(name, shape):
    assert SPACES[name](shape).bits > 20


@pytest.mark.parametrize(
    ("extent", "strides", "act"),
    [
        ((64,), (2, 2, 2), (2, 2, 2)),
        ((3,), (2, 2), (2, 1)),
        ((2,), (2, 2), (1, 1)),
        ((64, 5), (2, 2, 2), (2, 2, 1)),
        ((64, 1), (2, 2), (2, 2)),
        ((3,), (3,), (1,)),
        ((28, 28), (3, 2, 2, 2), (3, 2, 2, 2)),
    ],
)
def test_a_stride_that_would_leave_one_position_is_one(extent, strides, act):
    assert stages.acting(extent, strides) == act


@pytest.mark.parametrize(
    ("kernel", "extent", "dilation", "taps"),
    [
        (9, (64, 5), 1, (9, 5)),
        (65, (32,), 1, (33,)),
        (9, (32,), 4, (9,)),
        (9, (16,), 4, (5,)),
        (3, (4,), 4, (1,)),
        (3, (4,), 2, (3,)),
    ],
)
def test_kernels_are_cut_to_what_they_span(kernel, extent, dilation, taps):
    assert stages.cut(kernel, extent, dilation) == taps


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    "shape", [SERIES, IMAGES, TaskShape(extent=(8, 8, 8), channels=1, classes=3)], ids=str
)
def test_fifty_designs_train_a_step_on_two_rows(name, shape):
    torch.manual_seed(0)
    space = SPACES[name](shape)
    for values in samples(space, 50):
        network = build(space.decode(values), shape)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        x, y = torch.randn(2, shape.channels, *shape.extent), torch.tensor([0, 1])
        for _ in range(2):
            loss = torch.nn.functional.cross_entropy(network(x), y)
            assert loss.isfinite(), values
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert all(parameter.isfinite().all() for parameter in network.parameters()), values


@defaults
def test_defaults_are_single_designs_the_same_on_every_task(name):
    shapes = SERIES, IMAGES, TaskShape(extent=(1, 2, 3), channels=1, classes=2)
    spaces = [SPACES[name](shape) for shape in shapes]
    assert all(space.single for space in spaces)
    designs = {space.decode({"design": name}) for space in spaces}
    assert len(designs) == 1
    assert "reference" not in dict(designs.pop().settings)


@pytest.mark.parametrize("extent", [(1,), (2,), (3, 40), (1, 1), (2, 3, 4)], ids=str)
@defaults
def test_defaults_serve_tiny_inputs(name, extent):
    shape = TaskShape(extent=extent, channels=1, classes=2)
    network = build(SPACES[name](shape).decode({"design": name}), shape)
    assert network(torch.randn(2, 1, *extent)).isfinite().all()


def changes():
    wrong = {
        "resnet": {
            "blocks": [(1,), (1, 0), (), 3, (1, True)],
            "kernels": [(3, 3), (3, 4, 3), (3, -3, 3)],
            "strides": [(1, 2, 2), (0, 1)],
            "dilations": [(1,), (1, 1.0)],
            "bottleneck": [1],
            "reference": [0, "64"],
        },
        "convnext": {
            "blocks": [(1,), (1, 0)],
            "widths": [(1, 8)],
            "kernels": [(3, 3, 3), (3, 4)],
            "expansion": [0, 1.5],
            "reference": [-1],
        },
    }
    for family, settings in wrong.items():
        yield from ((family, name, value) for name, values in settings.items() for value in values)


@pytest.mark.parametrize(("family", "name", "value"), changes())
def test_wrong_settings_are_refused_by_name_and_value(family, name, value):
    settings = {"blocks": (1, 1), "widths": (8, 8), "strides": (1, 2)}
    settings |= {"kernels": (3, 3, 3), "dilations": (1, 1)} if family == "resnet" else {"kernels": (3, 3)}
    parts(Architecture.of(family, **settings), SERIES)
    with pytest.raises(ValueError, match=rf"{name}|stages need") as refused:
        parts(Architecture.of(family, **(settings | {name: value})), SERIES)
    shown = itertools.chain([value], value if isinstance(value, tuple) else ())
    assert any(repr(each) in str(refused.value) for each in shown)
