"""A run can grow: what its plan becomes when the command is repeated with a larger one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from nas.config import SearchConfig
from nas.run_directory import Growth, RunInfo
from search_spaces.controls import AFTER_ALL
from trials.reference import as_task

UNITED = ("tasks", "spaces", "defaults", "controls", "described", "development", "references")
LARGER = (
    "population",
    "described_designs",
    "repeats",
    "seeds",
    "long",
    "transfer",
    "search_trials",
    "search_seeds",
    "finalist_seeds",
    "max_trials",
    "max_device_hours",
    "max_hours",
)
"""Amounts; those of the budgets may be None, which is the largest."""


def merged(theirs: SearchConfig, ours: SearchConfig) -> SearchConfig:
    """The plan of a run that shall also cover another configuration.

    Args:
        theirs: what the run directory holds.
        ours: what is asked for; what it lacks, or has less of, stays as it is.

    Raises:
        ValueError: they differ in what cannot grow.
    """
    changes: dict[str, Any] = {}
    for field in fields(SearchConfig):
        there, here = getattr(theirs, field.name), getattr(ours, field.name)
        if there == here:
            continue
        if field.name == "described_designs" and not theirs.described:
            changes[field.name] = here  # what was there was of no space
        elif field.name in UNITED:
            changes[field.name] = _united(field.name, there, here)
        elif field.name in LARGER:
            changes[field.name] = None if None in (there, here) else max(there, here)
        else:
            raise ValueError(
                f"{difference(field.name, there, here)}; a run grows by {', '.join(UNITED)} and by larger "
                f"{', '.join(LARGER)}: take another --run-dir, or --set {field.name} as it is there"
            )
    _refuse_moved(theirs, ours)
    plan = replace(theirs, **changes)
    resting = [name for name in theirs.controls if name in AFTER_ALL]
    if plan.seeds != theirs.seeds and resting:
        raise ValueError(
            f"{difference('seeds', theirs.seeds, ours.seeds)}, and the designs of {resting[0]} there were "
            "made from all trainings of the single design, so their number must stay: take another "
            f"--run-dir, or --set seeds={theirs.seeds}"
        )
    return plan


def with_growth(info: RunInfo, there: SearchConfig, plan: SearchConfig, ended: int) -> RunInfo:
    """What run.json should hold where `plan` takes the place of `there` when `ended` trials have ended."""
    changes = []
    for name in (field.name for field in fields(SearchConfig)):
        before, now = getattr(there, name), getattr(plan, name)
        if before != now and name in UNITED:
            known = set(_keys(name, before))
            new = (each for each, key in zip(now, _keys(name, now)) if key not in known)
            changes.append(f"{name} with {', '.join(map(_in_words, new))}")
        elif before != now:
            changes.append(f"{name} from {before} to {now}")
    if not changes:
        return info
    growth = Growth(ended=ended, changes=tuple(changes))
    before_it = info.grown[:-1] if info.grown and info.grown[-1].changes == growth.changes else info.grown
    return replace(info, grown=(*before_it, growth))  # killed between run.json and config.json: once


def _in_words(value: object) -> str:
    return ": ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def lacking(theirs: SearchConfig, ours: SearchConfig) -> list[str]:
    """What the run's plan holds beyond a configuration, a text each: its plan stands."""
    plan = merged(theirs, ours)
    found = []
    for name in (field.name for field in fields(SearchConfig)):
        there, here = getattr(plan, name), getattr(ours, name)
        same = set(_keys(name, there)) == set(_keys(name, here)) if name in UNITED else there == here
        if not same:
            found.append(difference(name, there, here))
    return found


def difference(name: str, there: object, here: object) -> str:
    """A field that two configurations have different values in."""
    return f"{name} is {there!r} there and {here!r} here"


def _united(name: str, there: tuple[Any, ...], here: tuple[Any, ...]) -> tuple[Any, ...]:
    known = set(_keys(name, there))
    both = there + tuple(each for each, key in zip(here, _keys(name, here)) if key not in known)
    if name == "references" and len(dict(both)) < len(both):
        raise ValueError(
            f"{difference(name, there, here)}; a task has one reference error: take another --run-dir, or "
            "give it the same one"
        )
    return both


def _keys(name: str, values: tuple[Any, ...]) -> list[Any]:
    """What tells the values apart: a task may be written in several ways."""
    return [as_task(each) for each in values] if name in ("tasks", "development") else list(values)


def _refuse_moved(theirs: SearchConfig, ours: SearchConfig) -> None:
    """A space must stay what it is."""
    roles = ("spaces", "defaults", "controls", "described")
    for name in roles:
        for other in set(roles) - {name}:
            if moved := sorted(set(getattr(ours, name)) & set(getattr(theirs, other))):
                raise ValueError(
                    f"{moved[0]} is one of {other} there and of {name} here: take another --run-dir, or "
                    f"leave it among {other}"
                )
