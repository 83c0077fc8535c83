"""A space by its name in the configuration, made for a task; what a user's own code gets wrong is said."""

from __future__ import annotations

from search_spaces import SPACES
from search_spaces.lookup import absolute, lookup
from search_spaces.space import Space, TaskShape


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
    """The space that a name stands for, on inputs of this shape.

    Raises:
        ValueError: there is no such space, or the function behind the name fails or returns something else.
    """
    make = lookup("space", absolute(reference), SPACES)
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
