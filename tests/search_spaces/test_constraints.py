"""Limits on what a design may cost."""

import numpy as np
import pytest

from search_spaces import SPACES, TaskShape, complexity
from search_spaces.constraints import Constraint, admits, reach

SHAPE = TaskShape(extent=(28, 28), channels=1, classes=10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters <= 1e6", Constraint(measure="parameters", most=1e6)),
        (" multiply_adds>=250000 ", Constraint(measure="multiply_adds", least=250000)),
    ],
)
def test_a_constraint_is_read(text, expected):
    assert Constraint.parse(text) == expected


@pytest.mark.parametrize("text", ["parameters < 3", "size <= 3", "parameters <= many", "parameters <= -1"])
def test_what_is_no_constraint_is_refused(text):
    with pytest.raises(ValueError, match="for instance 'parameters <= 1e6'"):
        Constraint.parse(text)


@pytest.mark.parametrize("name", ["flexconv", "twin"])
@pytest.mark.parametrize("measure", ["parameters", "multiply_adds"])
def test_reach_is_the_range_of_the_space(name, measure):
    space = SPACES[name](SHAPE)
    least, most = reach(space, SHAPE, measure)
    rng = np.random.default_rng(0)
    designs = [space.decode(space.sample(rng)) for _ in range(50)]
    found = [getattr(complexity(design, SHAPE), measure) for design in designs]
    assert least <= min(found) and max(found) <= most
    tight = Constraint(measure=measure, least=least, most=least)
    assert sum(admits([tight], design, SHAPE) for design in designs) == found.count(least)
    if name == "twin":
        ends = [space.decode({f"kernel_{i}": taps for i in range(1, 6)}) for taps in (3, 29)]
        assert [getattr(complexity(end, SHAPE), measure) for end in ends] == [least, most]
