"""One object for all equal ones, so that thousands of trials read from files share what is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from trials.record import Trial

T = TypeVar("T")


class Sharing:
    """Values that were seen so far."""

    def __init__(self) -> None:
        self._seen: dict[Any, Any] = {}

    def one(self, value: T) -> T:
        """The first of all equal values."""
        found: T = self._seen.setdefault(value, value)
        return found

    def trial(self, trial: Trial) -> Trial:
        """The trial, made of shared parts."""
        return replace(
            trial,
            study=self.one(trial.study),
            task=self.one(trial.task),
            recipe=self.one(trial.recipe),
            architecture=self.one(trial.architecture),
        )
