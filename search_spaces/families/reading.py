"""The settings of a design as the dataclass of its family."""

from __future__ import annotations

import inspect
from typing import TypeVar

from search_spaces.architecture import Architecture

Family = TypeVar("Family")


def check_reference(reference: object) -> None:
    """Refuse a reference that is no number of samples, with a ValueError."""
    whole = isinstance(reference, int) and not isinstance(reference, bool) and reference > 0
    if reference is not None and not whole:
        raise ValueError(
            f"reference must be the longest axis of a task, in samples, or null, got {reference!r}"
        )


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
