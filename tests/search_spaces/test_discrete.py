"""The options of the twin follow the extent of the input."""

import pytest

from search_spaces import SPACES, TaskShape
from search_spaces.discrete import kernel_options


@pytest.mark.parametrize(
    ("extent", "options"),
    [
        ((8, 8), (3, 5, 9)),
        ((28, 28), (3, 5, 9, 17, 29)),
        ((16, 16, 16), (3, 5, 9, 17)),
        ((32, 48), (3, 5, 9, 17, 33, 49)),
        ((784,), (3, 5, 9, 17, 33, 65, 129, 257, 513, 785)),
        ((2,), (3,)),
        ((1,), (1,)),
    ],
)
def test_options_are_odd_geometric_and_end_with_the_whole_input(extent, options):
    assert kernel_options(extent) == options


def test_twin_and_flexconv_ask_the_same_questions_of_the_same_skeleton():
    shape = TaskShape(extent=(28, 28), channels=1, classes=10)
    twin, flexconv = SPACES["twin"](shape), SPACES["flexconv"](shape)
    assert [c.name for c in twin.choices] == [c.name for c in flexconv.choices]
    designs = [space.decode({c.name: c.options[0] for c in space.choices}) for space in (twin, flexconv)]
    settings = [{k: v for k, v in design.settings if k != "kernels"} for design in designs]
    assert settings[0].items() <= settings[1].items()
    assert settings[1].keys() - settings[0].keys() == {"hidden", "layers", "frequency", "sigma"}
