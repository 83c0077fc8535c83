"""Spaces with conditional choices: the general case that the shipped spaces restrict."""

import math
from collections import Counter

import numpy as np
import pytest

from search_spaces import Architecture, Choice, Space, TaskShape
from search_spaces.space import Merging

SPACE = Space(
    name="trees",
    choices=(
        Choice(name="kind", options=("plain", "branched")),
        Choice(name="depth", options=(1, 2, 3), when=("kind", ("branched",))),
        Choice(name="twist", options=(True, False), when=("depth", (2, 3))),
        Choice(name="width", options=(8, 16)),
    ),
    assemble=lambda values: Architecture.of("trees", **values),
)
BRANCHED = {"kind": "branched", "depth": 2, "twist": True, "width": 8}


def test_size_counts_only_active_choices():
    assert SPACE.size == 2 * (1 + (1 + 2 + 2)) == len({SPACE.decode(v).id for v in SPACE.enumerate()})
    assert SPACE.bits == math.log2(12)
    assert not SPACE.single


def test_a_sample_is_uniform_from_the_top_down():
    rng = np.random.default_rng(0)
    n = 6000
    drawn = Counter(SPACE.decode(SPACE.sample(rng)).id for _ in range(n))
    assert len(drawn) == SPACE.size
    for values in SPACE.enumerate():
        chance = 1 / 2  # kind
        chance *= 1 / 3 if "depth" in values else 1
        chance *= 1 / 2 if "twist" in values else 1
        chance *= 1 / 2  # width
        sd = math.sqrt(chance * (1 - chance) / n)
        assert drawn[SPACE.decode(values).id] / n == pytest.approx(chance, abs=5 * sd)


def test_weights_turn_the_law_of_samples_into_the_uniform_law():
    rng = np.random.default_rng(1)
    n = 6000
    weight, squared = Counter(), Counter()
    for _ in range(n):
        values = SPACE.sample(rng)
        name = SPACE.decode(values).id
        weight[name] += SPACE.weight(values) / n
        squared[name] += (SPACE.weight(values) / n) ** 2
    # each weighted share against 1 / size, in units of its own sampling error
    chi_square = sum((weight[name] - 1 / 12) ** 2 / squared[name] for name in weight)
    assert len(weight) == 12 and chi_square < 31.3  # 0.1 % of a chi-square law of 11 degrees
    assert sum(weight.values()) == pytest.approx(1, abs=0.05)


def test_values_that_merge_share_the_weight_of_their_design():
    choices = (Choice(name="a", options=(1, 2)), Choice(name="b", options=(1, 2)))
    unordered = Space(
        name="unordered",
        choices=choices,
        assemble=lambda values: Architecture.of("unordered", both=tuple(sorted(values.values()))),
        merging=Merging(designs=3, alike=lambda values: 1 if values["a"] == values["b"] else 2),
    )
    assert unordered.size == 3 and unordered.bits == math.log2(3)
    chance = Counter()
    for values in unordered.enumerate():
        chance[unordered.decode(values).id] += unordered.weight(values) / 4
    assert list(chance.values()) == pytest.approx([1 / 3] * 3)


def test_neighbours_are_valid_and_differ_in_one_decision():
    near = SPACE.neighbours(BRANCHED)
    assert {"kind": "plain", "width": 8} in near
    assert {"kind": "branched", "depth": 1, "width": 8} in near
    assert {"kind": "branched", "depth": 3, "twist": True, "width": 8} in near
    assert len(near) == 1 + 2 + 1 + 1
    for values in near:
        SPACE.decode(values)
    assert {"kind": "branched", "depth": 1, "width": 16} in SPACE.neighbours({"kind": "plain", "width": 16})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "plain"}, "needs a value for 'width'"),
        ({"kind": "round", "width": 8}, "kind must be one of"),
        ({"kind": "plain", "width": 8, "depth": 2}, "no active choice.*depth"),
        ({**BRANCHED, "colour": 1}, "no active choice.*colour"),
    ],
)
def test_values_outside_the_space_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SPACE.decode(values)


@pytest.mark.parametrize("options", [(), (3, 3)])
def test_a_choice_needs_different_options(options):
    with pytest.raises(ValueError, match="needs different options"):
        Choice(name="kernel", options=options)


def test_a_condition_must_name_an_earlier_choice():
    late = Choice(name="a", options=(1,), when=("b", (1,)))
    with pytest.raises(ValueError, match="must stand before"):
        Space(name="s", choices=(late, Choice(name="b", options=(1,))), assemble=SPACE.assemble)
    with pytest.raises(ValueError, match="twice"):
        Space(name="s", choices=(Choice(name="b", options=(1,)),) * 2, assemble=SPACE.assemble)


@pytest.mark.parametrize(
    ("extent", "channels", "classes"),
    [((), 1, 2), ((1, 2, 3, 4), 1, 2), ((0,), 1, 2), ((4,), 0, 2), ((4,), 1, 1)],
)
def test_a_task_shape_must_make_sense(extent, channels, classes):
    with pytest.raises(ValueError, match=r"axes|channel"):
        TaskShape(extent=extent, channels=channels, classes=classes)
