"""Controls differ from FlexConv in the one thing they are to differ in."""

import numpy as np
import pytest
import torch

from search_spaces import SPACES, Architecture, TaskShape, build, complexity
from search_spaces.controls import (
    AFTER_ALL,
    AFTER_EACH,
    Learned,
    matched,
    sigma_for,
    twin_learned,
    twin_matched,
    unlearned,
)
from search_spaces.families.flexnet import FlexNet
from search_spaces.layers.grid import kernel_size
from search_spaces.network import kernel_sizes
from tests.search_spaces.test_contract import SHAPES

SHAPE = TaskShape(extent=(28, 28), channels=1, classes=10)
FLEXIBLE = SPACES["flexconv"](SHAPE).decode({f"kernel_{i}": "flex" for i in range(1, 6)})


def designs(space, count=30):
    rng = np.random.default_rng(0)
    return [space.decode(space.sample(rng)) for _ in range(count)]


@pytest.mark.parametrize("measure", ["multiply_adds", "parameters"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matched_twins_cost_what_flexconv_does(shape, measure):
    target = getattr(complexity(FLEXIBLE, shape), measure)
    near = []
    for design in designs(twin_matched(shape, measure=measure)):
        off = abs(getattr(complexity(design, shape), measure) / target - 1)
        widths = FlexNet.read(design).widths
        assert max(widths) - min(widths) <= 3
        assert off <= 0.05 or max(widths) < 16  # with so many channels there is always a width
        near.append(off <= 0.05)
    assert sum(near) >= 0.7 * len(near)


@pytest.mark.parametrize(("target", "measure"), [(0, "parameters"), (-5, "multiply_adds"), (9, "flops")])
def test_what_nothing_can_be_matched_to_is_refused(target, measure):
    with pytest.raises(ValueError, match=r"matched to a positive value of \w+ or \w+, got"):
        matched(FLEXIBLE, SHAPE, target, measure)


def test_a_twin_is_matched_to_what_a_trained_network_costs_too():
    learned = complexity(FLEXIBLE, SHAPE, ((29, 29),) * 5).multiply_adds
    small = Architecture.of("flexnet", width=16, factors=(1.0, 1.0), kernels=(3,) * 5)
    found = matched(small, SHAPE, learned, "multiply_adds")
    assert found["width"] == pytest.approx(16 * 29 / 3, abs=2)
    assert complexity(found, SHAPE).multiply_adds == pytest.approx(learned, rel=0.05)
    assert matched(small, SHAPE, 1, "parameters")["width"] == 1
    for design in designs(twin_matched(SHAPE, target=learned), 10):
        assert complexity(design, SHAPE).multiply_adds == pytest.approx(learned, rel=0.05)


def test_fixed_sizes_differ_from_flexconv_in_learning_them_alone():
    learned = build(FLEXIBLE, SHAPE)
    fixed = build(designs(SPACES["flexconv_fixed"](SHAPE), 1)[0], SHAPE)
    state, other = learned.state_dict(), fixed.state_dict()
    assert {name: each.shape for name, each in state.items()} == {n: e.shape for n, e in other.items()}
    parameters = {name for name, _ in learned.named_parameters()}
    missing = parameters - {name for name, _ in fixed.named_parameters()}
    assert missing == {name for name in parameters if name.endswith("mask.sigma")} != set()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fixed_sizes_are_the_twins_on_the_longest_axis(shape):
    twin, fixed = SPACES["twin"](shape), SPACES["flexconv_fixed"](shape)
    assert twin.choices == fixed.choices
    torch.manual_seed(0)
    for seed in range(3):
        values = twin.sample(np.random.default_rng(seed))
        sizes = kernel_sizes(build(fixed.decode(values), shape))
        assert [max(size) for size in sizes] == list(values.values())
        if len(set(shape.extent)) == 1:
            assert sizes == kernel_sizes(build(twin.decode(values), shape))


@pytest.mark.parametrize("points", [1, 3, 9, 33, 785])
def test_the_sigma_for_a_size_is_well_inside_those_that_give_it(points):
    for taps in range(1 if points == 1 else 3, points + 1, 2):
        sigma = sigma_for(taps, points)
        for near in (sigma * (1 - 0.2 / taps), sigma, sigma * (1 + 0.2 / taps)):
            assert kernel_size((points,), near) == (taps,)


def test_learned_sizes_become_discrete_kernels_axis_by_axis():
    sizes = ((5, 7), (29, 3), (3, 3), (9, 11), (13, 5))
    space = twin_learned(SHAPE, sizes)
    assert space.single
    design = space.decode(space.sample(np.random.default_rng(0)))
    assert kernel_sizes(build(design, SHAPE)) == sizes
    assert design["reference"] == 28
    trained = complexity(FLEXIBLE, SHAPE, sizes).multiply_adds
    assert complexity(design, SHAPE).multiply_adds == trained
    assert Architecture.from_json(design.to_json()) == design
    deeper = twin_learned(SHAPE, sizes[:3], width=8, factors=(2.0,))
    assert complexity(deeper.decode(deeper.sample(np.random.default_rng(0))), SHAPE).parameters > 0


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (((5, 5),) * 4, "2 blocks need 5 kernels"),
        (((5,),) * 5, "a kernel of 1 axes on an input of 2"),
        (((5, 4),) * 5, "positive odd number"),
    ],
)
def test_sizes_that_no_network_of_the_task_learned_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        twin_learned(SHAPE, sizes)


def test_controls_of_a_run_follow_what_its_trainings_learned():
    small, large = (
        Learned(architecture=FLEXIBLE, kernel_sizes=((taps, taps),) * 5, multiply_adds=cost)
        for taps, cost in ((3, 1_000_000), (7, 5_000_000))
    )
    mean = twin_matched(SHAPE, target=3_000_000)
    assert designs(AFTER_ALL["twin_matched"](SHAPE, (small, large)), 10) == designs(mean, 10)
    wide = Architecture.of("flexnet", **{**dict(FLEXIBLE.settings), "width": 8, "factors": (2.0, 1.0)})
    learned = Learned(architecture=wide, kernel_sizes=((3, 5),) * 5, multiply_adds=1)
    (design,) = designs(AFTER_EACH["twin_learned"](SHAPE, learned), 1)
    assert (design["width"], design["factors"], design["kernels"]) == (8, (2.0, 1.0), ((3, 5),) * 5)
    other = unlearned(designs(SPACES["ccnn"](SHAPE), 1)[0], SHAPE)
    with pytest.raises(ValueError, match="sizes from a flexnet design, got one of ccnn"):
        AFTER_EACH["twin_learned"](SHAPE, other)


def test_before_training_a_network_holds_the_sizes_and_the_cost_it_is_built_with():
    found = unlearned(FLEXIBLE, SHAPE)
    assert found.kernel_sizes == kernel_sizes(build(FLEXIBLE, SHAPE))
    assert found.multiply_adds == complexity(FLEXIBLE, SHAPE).multiply_adds


def test_the_first_option_everywhere_but_width_and_depth_is_flexconv_itself():
    space = SPACES["flexconv_tuned"](SHAPE)
    assert all(len(choice.options) >= 3 for choice in space.choices)
    own = {"width": 16, "blocks": 2, "sigma": None, "frequency": 0.5, "mask_factor": None}
    assert space.decode(own) == FLEXIBLE
    tuned = space.decode({**own, "blocks": 3, "sigma": 0.3, "mask_factor": 1.0})
    assert tuned["kernels"] == ("flex",) * 7 and tuned["mask_factor"] == 1.0
    assert kernel_sizes(build(tuned, SHAPE)) == (kernel_size((29, 29), 0.3),) * 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_factor": -0.1}, "mask_factor must be 0 or more, or null"),
        ({"reference": 0}, "reference must be the longest axis of a task, in samples, or null, got 0"),
        ({"reference": 28.0}, "reference must be the longest axis of a task, in samples, or null, got 28.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(Architecture.of("flexnet", **{**dict(FLEXIBLE.settings), **changes}), SHAPE)
