"""What a task takes without a neural network: the scale of normalised errors, fixed before any run.

Made by benchmarks/reference_errors.py on 2026-11-22 at commit be5386b: the best of its baselines except the
majority class (logistic regression, extra trees, on series MiniRocket), on validation rows. It is a mark, not
a bound: a design may be below it, and its normalised error then is negative. It never moves with a run, as
the best error found would.
"""

from __future__ import annotations

from typing import NamedTuple


class Reference(NamedTuple):
    """An error on validation rows, in [0, 1), and how it was obtained."""

    error: float
    how: str


REFERENCES = {
    "digits": Reference(error=0.0174, how="extra trees"),
    "digits_sequence": Reference(error=0.0070, how="MiniRocket"),
    "mnist5k": Reference(error=0.0462, how="extra trees"),
    "mnist5k_sequence": Reference(error=0.0275, how="MiniRocket"),
    "mnist5k_permuted": Reference(error=0.0550, how="extra trees"),
    "order_sequence": Reference(error=0.0, how="by construction"),
    "order_sequence_near": Reference(error=0.0, how="by construction"),
    "order_image": Reference(error=0.0, how="by construction"),
    "pattern_sequence": Reference(error=0.0, how="by construction"),
    "pattern_image": Reference(error=0.0, how="by construction"),
    "adding": Reference(error=0.0, how="by construction"),
    "osuleaf": Reference(error=0.0488, how="MiniRocket"),
    "acsf1": Reference(error=0.3000, how="MiniRocket"),
    "japanese_vowels": Reference(error=0.0185, how="MiniRocket"),
}
"""By the task's name, at all its rows and the split it has unless told."""


def reference_of(task: str, own: tuple[tuple[str, float], ...]) -> Reference | None:
    """The reference of a task: the plan's own, else the committed one, else None.

    By the name in records; a task that is another split of one with a reference has that one's. Fewer rows or
    another resolution make another task, which needs its own.
    """
    for name in (task, without_split(task)):
        for known, error in own:
            if known == name:
                return Reference(error, "given in the configuration")
        if name in REFERENCES:
            return REFERENCES[name]
    return None


def without_split(task: str) -> str:
    """The name of a task in records without the seed of its split."""
    source, at, sizes = task.partition("@")
    kept = ",".join(size for size in sizes.split(",") if not size.startswith("split="))
    return f"{source}{at}{kept}" if kept else source
