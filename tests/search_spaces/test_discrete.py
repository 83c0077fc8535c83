"""The options of the twin follow the extent of the input."""

import numpy as np
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
    assert designs[0]["reference"] == 28
    own = ("kernels", "reference")
    settings = [{k: v for k, v in design.settings if k not in own} for design in designs]
    assert settings[0].items() <= settings[1].items()
    assert settings[1].keys() - settings[0].keys() == {"hidden", "layers", "frequency", "sigma"}


def test_sampled_twins_know_the_axis_they_were_chosen_on_and_defaults_do_not():
    shape = TaskShape(extent=(32, 48), channels=3, classes=5)
    for name in ("twin", "twin_shared", "twin_wide", "twin_matched"):
        space = SPACES[name](shape)
        assert space.decode(space.sample(np.random.default_rng(0)))["reference"] == 48
    for name in ("twin_3x3", "twin_7x7"):
        space = SPACES[name](shape)
        assert "reference" not in dict(space.decode(space.sample(np.random.default_rng(0))).settings)


def test_a_shared_kernel_and_a_width_of_16_are_designs_of_the_twin():
    shape = TaskShape(extent=(28, 28), channels=1, classes=10)
    twin, shared, wide = (SPACES[name](shape) for name in ("twin", "twin_shared", "twin_wide"))
    assert shared.size == 5
    for taps in (3, 5, 9, 17, 29):
        same = {f"kernel_{i}": taps for i in range(1, 6)}
        assert shared.decode({"kernel": taps}) == twin.decode(same) == wide.decode({"width": 16, **same})


def test_a_search_begins_with_three_taps_or_the_untuned_flexconv() -> None:
    shape = TaskShape(extent=(28, 28), channels=1, classes=10)
    spaces = {name: SPACES[name](shape) for name in ("twin", "twin_shared", "twin_wide", "flexconv_tuned")}
    designs = {name: space.decode(space.default or {}) for name, space in spaces.items()}
    assert designs["twin"] == designs["twin_shared"] == designs["twin_wide"]
    assert set(designs["twin"]["kernels"]) == {3}
    assert (
        designs["flexconv_tuned"].id
        == SPACES["flexconv"](shape).decode({f"kernel_{i}": "flex" for i in range(1, 6)}).id
    )
