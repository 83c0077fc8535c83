"""The settings of a design as the dataclass of its family."""

from __future__ import annotations

import inspect
from typing import TypeVar

from search_spaces.architecture import Architecture

Family = TypeVar("Family")


def read_settings(family: type[Family], architecture: Architecture) -> Family:
    """The design's settings, checked by the family's own constructor.

    Raises:
        ValueError: a setting is missing, unknown or out of range.
    """
    try:
        return family(**dict(architecture.settings))
    except TypeError as error:
        known = ", ".join(inspect.signature(family).parameters)
        raise ValueError(f"family {architecture.family!r} has the settings {known}: {error}") from error
