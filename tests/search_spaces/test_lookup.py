"""Names from a user, and what they are told when a name is wrong."""

import math

import pytest

from search_spaces import SPACES, Space, TaskShape
from search_spaces.discrete import twin
from search_spaces.lookup import lookup

SHAPE = TaskShape(extent=(8, 8), channels=1, classes=10)


def test_a_registered_name():
    assert lookup("space", "twin", SPACES) is SPACES["twin"] is twin


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"unknown space 'twinn'; did you mean 'twin'\?") as error:
        lookup("space", "twinn", SPACES)
    assert all(name in str(error.value) for name in SPACES)


def test_module_and_attribute():
    assert lookup("space", "search_spaces.discrete:twin", SPACES) is twin
    assert lookup("number", "math:pi", {}) == math.pi


def test_a_space_in_a_file_of_the_users_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from search_spaces import Architecture, Choice, Space\n"
        "@dataclass(frozen=True)\n"
        "class Wide:\n"
        "    width: int\n"
        "def wide(shape):\n"
        "    def assemble(values):\n"
        "        return Architecture.of('flexnet', width=Wide(values['width']).width,\n"
        "                               factors=(1.0,), kernels=(3, 3, 3))\n"
        "    choices = (Choice(name='width', options=(8, 16)),)\n"
        "    return Space(name='wide', choices=choices, assemble=assemble)\n"
    )
    found = lookup("space", f"{file}:wide", SPACES)
    assert found is lookup("space", f"{file}:wide", SPACES)
    space = found(SHAPE)
    assert isinstance(space, Space)
    assert space.size == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("search_spaces.discrete:triplet", "has no 'triplet'; it has .*twin"),
        ("no.such.module:x", "cannot be imported"),
        ("nowhere/mine.py:x", "there is no file nowhere/mine.py"),
    ],
)
def test_what_is_missing_is_named(name, message):
    with pytest.raises(ValueError, match=message):
        lookup("space", name, SPACES)


def test_a_file_that_fails_shows_its_own_error_each_time(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("1 / 0\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="fails when it is imported: ZeroDivisionError"):
            lookup("space", f"{file}:x", SPACES)
