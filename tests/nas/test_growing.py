"""What a run can become, what stays as it is, and what is refused with the way out."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from nas.config import SearchConfig
from nas.growing import LARGER, UNITED, lacking, merged
from tests.nas.runs import SMALL, WHOLE
from trials.reference import Task


def test_the_same_configuration_adds_nothing() -> None:
    assert merged(WHOLE, WHOLE) == WHOLE
    assert lacking(WHOLE, WHOLE) == []


def test_every_amount_takes_the_larger_whichever_side_has_it() -> None:
    there = {field.name for field in fields(SearchConfig)}
    for name in there.intersection(LARGER) - {"seeds"}:
        if name.startswith("max_"):
            continue
        less = replace(WHOLE, described=("tcn",), population=40)
        more = replace(less, **({name: 30} if name != "population" else {}))
        assert merged(less, more) == more
        assert merged(more, less) == more


def test_tuples_are_united_in_their_order() -> None:
    more = replace(
        SMALL,
        tasks=("digits_sequence", "digits"),
        spaces=("twin", "ccnn", "flexconv"),
        defaults=("twin_7x7",),
    )
    plan = merged(SMALL, more)
    assert plan.tasks == ("digits", "digits_sequence")
    assert plan.spaces == ("flexconv", "twin", "ccnn")
    assert plan.defaults == SMALL.defaults
    assert lacking(SMALL, more) == [
        f"defaults is {SMALL.defaults!r} there and ('twin_7x7',) here",
    ]


def test_a_task_is_known_however_it_is_written() -> None:
    there = replace(SMALL, tasks=("digits@rows=200,resolution=4",))
    same = replace(SMALL, tasks=(Task(source="digits", rows=200, resolution=4),))
    assert merged(there, same) == there
    assert lacking(there, same) == []


def test_what_the_run_has_beyond_the_command_stands_and_is_said() -> None:
    grown = replace(SMALL, population=8)
    assert merged(grown, SMALL) == grown
    assert lacking(grown, SMALL) == ["population is 8 there and 4 here"]


@pytest.mark.parametrize("name", [f.name for f in fields(SearchConfig) if f.name not in UNITED + LARGER])
def test_any_other_difference_is_refused_by_its_name(name: str) -> None:
    other = {
        "name": "other",
        "single": "twin_3x3",
        "recipe": "quick",
        "rates": (0.5,),
        "constraints": ("parameters <= 1e6",),
        "margin_points": 2.0,
        "margin_share": 0.2,
        "budget": 1,
        "rows": None,
        "sampler": "random",
        "second": "latency",
        "stopping": "none",
    }
    value = other.get(name, (getattr(SMALL, name) or 0) + 1 if name not in other else None)
    changed = replace(SMALL, **{name: value})
    with pytest.raises(ValueError) as error:
        merged(SMALL, changed)
    said = str(error.value)
    assert said.startswith(
        f"{name} is {getattr(SMALL, name)!r} there and {value!r} here; a run grows by tasks"
    )
    assert f"take another --run-dir, or --set {name} as it is there" in said


def test_the_seeds_that_a_control_rests_on_cannot_change() -> None:
    with pytest.raises(
        ValueError, match="seeds is 2 there and 3 here, and the designs of twin_matched there"
    ):
        merged(WHOLE, replace(WHOLE, seeds=3))
    assert merged(WHOLE, replace(WHOLE, seeds=1)) == WHOLE
    without = replace(WHOLE, controls=("twin_learned",))
    assert merged(without, replace(without, seeds=3)).seeds == 3
    assert merged(without, replace(WHOLE, seeds=3)).controls == (
        "twin_learned",
        "twin_matched",
        "flexconv_fixed",
    )


def test_a_space_stays_what_it_is() -> None:
    moved = replace(SMALL, spaces=("flexconv", "twin", "twin_3x3"), defaults=("twin_7x7",))
    with pytest.raises(ValueError, match="twin_3x3 is one of defaults there and of spaces here"):
        merged(SMALL, moved)


def test_a_reference_error_stays_what_it_is() -> None:
    there = replace(SMALL, references=(("digits@rows=200", 0.1),))
    with pytest.raises(ValueError, match="a task has one reference error"):
        merged(there, replace(SMALL, references=(("digits@rows=200", 0.2),)))
    assert merged(there, SMALL) == there
    assert merged(SMALL, there) == there
