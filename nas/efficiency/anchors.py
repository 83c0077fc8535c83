"""What a task takes without a network: rows that stand below those of the spaces, for the absolute scale."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """One method without a network, at its usual settings: `trials.baselines`.

    Attributes:
        name: in words.
        error: on the report half of validation, in [0, 1]; None where it could not be tried.
        seconds: of fitting and answering.
        note: rows that it was limited to, or why it could not be tried.
    """

    name: str
    error: float | None
    seconds: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        if self.error is not None and not 0 <= self.error <= 1:
            raise ValueError(f"the error of {self.name} must be in [0, 1], got {self.error}")
