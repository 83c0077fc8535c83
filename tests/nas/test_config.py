"""Configurations: what --set takes, what is refused and how it is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas.config import SearchConfig, first_difference, override
from nas.presets import PRESETS, load
from trials.plain import dumps, from_plain
from trials.recipe import Recipe


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_and_name_things_that_exist(name: str) -> None:
    import json

    config = load(name)
    assert from_plain(SearchConfig, json.loads(dumps(config))) == config
    assert isinstance(config.the_recipe(), Recipe)
    assert config.name == name


def test_any_field_can_be_set() -> None:
    config = override(
        load("smoke"),
        ["population=7", "tasks=a, b", "epochs=none", "sampler=random", "margin_share=0.2", "rows=100"],
    )
    limits = ("parameters <= 1e6", "multiply_adds >= 2e5")
    assert override(config, [f"constraints={','.join(limits)}"]).constraints == limits
    assert (config.population, config.tasks, config.epochs) == (7, ("a", "b"), None)
    assert (config.sampler, config.margin_share, config.rows) == ("random", 0.2, 100)


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("digits@rows=200,resolution=4,mnist5k", ("digits@rows=200,resolution=4", "mnist5k")),
        ("digits@rows=200, resolution=4, mnist5k", ("digits@rows=200,resolution=4", "mnist5k")),
        ("a,b@augment=crop+flip,split=2,c@rows=9", ("a", "b@augment=crop+flip,split=2", "c@rows=9")),
        ("s3://me@b/x@rows=5,/data/lang=en,my.py:f", ("s3://me@b/x@rows=5", "/data/lang=en", "my.py:f")),
        ("digits,rows=200", ("digits", "rows=200")),  # no sizes to continue: the second is looked up
    ],
)
def test_commas_within_the_sizes_of_a_task_belong_to_it(text: str, tasks: tuple[str, ...]) -> None:
    assert override(load("smoke"), [f"tasks={text}"]).tasks == tasks


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("population", "field=value"),
        ("popluation=3", "no field 'popluation'; it has name, tasks"),
        ("population=many", "expected int, got 'many'"),
        ("population=0", "population must be at least 1, got 0"),
        ("sampler=grid", "expected tpe or random, got 'grid'"),
        ("tasks=", "at least one task"),
        ("tasks=digits,digits", "tasks must differ"),
        ("defaults=twin", "must differ"),
        ("rows=3", "rows must be at least 20"),
        ("constraints=size <= 3", "a constraint is parameters or multiply_adds"),
    ],
)
def test_wrong_settings_say_the_rule_and_the_value(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        override(load("smoke"), [assignment])


def test_a_configuration_of_ones_own(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "from nas import SearchConfig\n"
        "def small():\n    return SearchConfig(name='mine', tasks=('digits',))\n"
        "def wrong():\n    return 3\n"
    )
    assert load(f"{source}:small").name == "mine"
    with pytest.raises(ValueError, match=r"must return a nas\.SearchConfig, got a int"):
        load(f"{source}:wrong")
    with pytest.raises(ValueError, match=r"has no 'large'; it has .*small"):
        load(f"{source}:large")


def test_the_first_difference_is_named() -> None:
    config = load("smoke")
    assert first_difference(config, config) is None
    assert first_difference(override(config, ["seeds=9"]), config) == "seeds is 5 there and 9 here"
