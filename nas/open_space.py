"""A space by its name in the configuration, made for a task; what a user's own code gets wrong is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.config import SearchConfig
from search_spaces import SPACES
from search_spaces.controls import AFTER_ALL, AFTER_EACH, unlearned
from search_spaces.lookup import absolute, lookup
from search_spaces.space import Space, TaskShape
from trials.exported import is_export, on_task, read_design
from trials.reference import Task


def serving(shape: TaskShape) -> list[str]:
    """Names of the shipped spaces that can be made for inputs of this shape."""
    names = []
    for name, make in SPACES.items():
        try:
            make(shape)
        except ValueError:
            continue
        names.append(name)
    return names


def open_space(reference: str, shape: TaskShape) -> Space:
    """The space that a name stands for, on inputs of this shape; an export folder's is its design alone.

    Raises:
        ValueError: there is no such space, the function behind the name fails or returns something else, or
            the folder is damaged.
    """
    make = _taken_back(reference) if _is_taken(reference) else lookup("space", absolute(reference), SPACES)
    try:
        space = make(shape)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        others = f"; spaces that can: {', '.join(serving(shape))}" if isinstance(error, ValueError) else ""
        raise ValueError(
            f"the space {reference} cannot be made for inputs of {shape}: {what}{others}"
        ) from error
    if not isinstance(space, Space):
        raise ValueError(
            f"{reference} must be a function from a TaskShape to a search_spaces.Space, "
            f"got a {type(space).__name__}"
        )
    return space


def everywhere(config: SearchConfig) -> SearchConfig:
    """The configuration with export folders by their absolute paths: a plan is resumed from any folder."""

    def placed(name: str) -> str:
        return str(Path(name).expanduser().resolve()) if _is_taken(name) else name

    return replace(
        config,
        single=placed(config.single),
        spaces=tuple(map(placed, config.spaces)),
        defaults=tuple(map(placed, config.defaults)),
        controls=tuple(map(placed, config.controls)),
        described=tuple(map(placed, config.described)),
    )


def _is_taken(reference: str) -> bool:
    return reference not in SPACES and is_export(reference)


def _taken_back(reference: str) -> Callable[[TaskShape], Space]:
    """The single-design space of an export folder; a name of its own for every design."""
    folder = Path(reference).expanduser().resolve()
    design = read_design(folder)
    called = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.name)

    def make(shape: TaskShape) -> Space:
        architecture = on_task(design, shape, str(folder))
        return Space(
            name=f"{called}-{design.architecture.id[:6]}",
            choices=(),
            assemble=lambda values: architecture,
            summary=f"one design: that of {design.trial}, trained on {design.task}",
            like=design.space,
        )

    return make


def open_spaces(config: SearchConfig, shape: TaskShape) -> dict[str, Space]:
    """Every space of a run on inputs of this shape, by its name; no described one that serves other shapes.

    Controls made from what the single design learned are given as if it had learned nothing: with the choices
    and as many designs as in the run.

    Raises:
        ValueError: as `open_space`; or the single design is none that a control can be made from.
    """
    missing = {name for name in config.described if name in SPACES} - set(serving(shape))
    asked = [name for name in config.all_spaces if name not in missing]
    spaces = {name: open_space(name, shape) for name in asked if name not in config.following}
    for name in config.following:
        single = open_space(config.single, shape)
        found = unlearned(single.decode(single.sample(np.random.default_rng(0))), shape)
        try:
            spaces[name] = (
                AFTER_EACH[name](shape, found) if name in AFTER_EACH else AFTER_ALL[name](shape, (found,))
            )
        except ValueError as error:
            raise ValueError(
                f"the control {name} cannot be made on inputs of {shape}: {error}; "
                "leave it out of --set controls="
            ) from error
    return {name: spaces[name] for name in asked}


def spaces_by_task(
    config: SearchConfig, tasks: tuple[Task, ...], shapes: Mapping[str, TaskShape]
) -> dict[tuple[str, str], Space]:
    """The spaces of a plan, by task and space name."""
    return {
        (task.name, name): space
        for task in tasks
        for name, space in open_spaces(config, shapes[task.name]).items()
    }
