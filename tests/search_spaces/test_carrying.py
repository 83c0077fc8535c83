"""Designs carried from task to task, by taps and by fraction of the input."""

import itertools

import numpy as np
import pytest

from search_spaces import SPACES, Architecture, TaskShape, complexity
from search_spaces.carrying import alike, carried
from tests.search_spaces.test_contract import SHAPES

IMAGE = TaskShape(extent=(28, 28), channels=1, classes=10)
SERIES = TaskShape(extent=(784,), channels=1, classes=10)


def of(*kernels, **settings):
    return Architecture.of("some", kernels=kernels, **settings)


def test_taps_stay_and_so_does_what_they_are_a_fraction_of():
    design = of(3, 29, (5, 7), "flex", reference=28)
    assert carried(design, TaskShape(extent=(8, 8), channels=1, classes=2), "taps") is design


def test_fractions_are_scaled_to_the_nearest_odd_size():
    design = of(1, 3, 5, 9, 29, "flex", None, reference=28, width=4)
    large = TaskShape(extent=(56, 40), channels=1, classes=2)
    assert carried(design, large, "fraction") == of(1, 7, 11, 19, 57, "flex", None, reference=56, width=4)
    small = TaskShape(extent=(8,), channels=1, classes=2)
    assert carried(design, small, "fraction")["kernels"] == (1, 3, 3, 3, 9, "flex", None)


def test_designs_that_differ_in_their_reference_alone_are_one_network():
    design = of(3, 9, reference=28)
    assert alike(carried(design, TaskShape(extent=(29, 28), channels=1, classes=2), "fraction"), design)
    assert not alike(design, of(3, 11, reference=28)) and not alike(design, of(3, 9, width=4))
    assert not alike(design, Architecture.of("other", kernels=(3, 9), reference=28))


def test_kernels_of_several_axes_are_scaled_axis_by_axis():
    design = of((5, 29), (3, 3), (1, 9), reference=28)
    large = TaskShape(extent=(28, 56), channels=1, classes=2)
    assert carried(design, large, "fraction") == of((11, 57), (7, 7), (1, 19), reference=56)
    assert carried(design, TaskShape(extent=(13, 56), channels=1, classes=2), "fraction")["kernels"][0] == (
        11,
        57,
    )
    assert carried(of((9, 9), reference=28), SERIES, "fraction") == of(253, reference=784)


@pytest.mark.parametrize(("there", "back"), itertools.permutations(SHAPES, 2), ids=str)
def test_there_and_back_by_fraction_is_the_same_design_where_the_way_was_up(there, back):
    space = SPACES["twin"](back)
    for seed in range(5):
        design = space.decode(space.sample(np.random.default_rng(seed)))
        moved = carried(design, there, "fraction")
        assert moved["reference"] == max(there.extent)
        assert complexity(moved, there).parameters > 0
        if max(there.extent) >= max(back.extent):
            assert carried(moved, back, "fraction") == design


def test_designs_of_words_go_everywhere():
    for name in ("flexconv", "flexconv_fixed", "flexconv_tuned"):
        space = SPACES[name](IMAGE)
        design = space.decode(space.sample(np.random.default_rng(0)))
        for by in ("taps", "fraction"):
            assert carried(design, SERIES, by, IMAGE) == design


@pytest.mark.parametrize(
    ("design", "shape", "by", "source", "message"),
    [
        (of(3, 7), SERIES, "fraction", None, "has no reference"),
        (of((3, 7), reference=28), SERIES, "taps", None, "kernels of 2 axes are not carried by taps"),
        (of(3, reference=28), SERIES, "taps", IMAGE, "carry them by fraction"),
        (of((3, 7), reference=28), SERIES, "fraction", None, "means nothing on 1 axes"),
        (of(3, reference=28), SERIES, "share", None, "by 'taps' or by 'fraction', got 'share'"),
        (Architecture.of("some", width=3), SERIES, "taps", None, "'some' has no list of kernel sizes"),
    ],
)
def test_what_cannot_be_carried_is_refused(design, shape, by, source, message):
    with pytest.raises(ValueError, match=message):
        carried(design, shape, by, source)


def test_a_default_is_carried_by_fraction_from_where_it_was_used_and_by_taps_anywhere():
    series, image = (TaskShape(extent=e, channels=1, classes=2) for e in ((64,), (33, 33)))
    default = SPACES["twin_7x7"](series).decode({f"kernel_{i}": 7 for i in range(1, 6)})
    assert carried(default, image, "taps", source=series) == default
    halved = carried(default, image, "fraction", source=series)
    assert halved["kernels"] == (3,) * 5 and halved["reference"] == 33


def test_to_an_equal_extent_nothing_changes_and_causal_kernels_may_be_even():
    causal = Architecture.of("tcn", causal=True, kernels=(7, 2, 4), reference=64)
    assert carried(causal, TaskShape(extent=(64,), channels=1, classes=2), "fraction") == causal
    longer = carried(causal, TaskShape(extent=(128,), channels=1, classes=2), "fraction")
    assert longer["kernels"] == (15, 4, 8)
