"""A design is a value: equal designs are equal, hash equal and have one name."""

import dataclasses
import json

import pytest

from search_spaces import Architecture

NET = Architecture.of("net", width=16, kernels=(3, "flex"), factors=(1.0, 2.0), sigma=None)


def test_order_of_settings_does_not_matter():
    other = Architecture.of("net", sigma=None, factors=(1.0, 2.0), kernels=(3, "flex"), width=16)
    assert other == NET
    assert hash(other) == hash(NET)
    assert other.id == NET.id
    assert len({NET, other}) == 1


@pytest.mark.parametrize("change", [{"width": 17}, {"kernels": ("flex", 3)}, {"sigma": 0.1}])
def test_another_setting_is_another_design(change):
    other = Architecture.of("net", **{**dict(NET.settings), **change})
    assert other != NET
    assert other.id != NET.id


def test_json_there_and_back():
    assert Architecture.from_json(NET.to_json()) == NET
    assert Architecture.from_dict(json.loads(json.dumps(NET.to_dict()))) == NET
    assert hash(Architecture.from_json(NET.to_json())) == hash(NET)


def test_the_name_does_not_change_with_the_version():
    assert Architecture.of("net", width=16).id == "a5c539fb3a09"


def test_it_is_frozen_and_reads_by_name():
    assert NET["kernels"] == (3, "flex")
    with pytest.raises(KeyError, match="no setting 'depth'; it has"):
        NET["depth"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        NET.family = "other"


@pytest.mark.parametrize(
    "data",
    [None, [], {"family": "net"}, {"family": 1, "settings": {}}],
)
def test_what_is_no_architecture_is_refused(data):
    with pytest.raises(ValueError, match="an architecture must be"):
        Architecture.from_dict(data)


def test_settings_must_be_scalars_or_lists_of_them():
    with pytest.raises(ValueError, match="JSON scalar"):
        Architecture.from_dict({"family": "net", "settings": {"a": {"b": 1}}})
