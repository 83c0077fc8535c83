"""Trials as users name them: by the whole name or its end."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def found(name: str, trials: Iterable[str], where: Path | str) -> str:
    """The trial of a run that a name stands for: the one of this name, or the only one that ends so.

    Args:
        name: such as ``search.0.0003``.
        trials: of the run.
        where: the run directory, for messages.

    Raises:
        ValueError: the run has no such trial, or several; the message names the nearest.
    """
    every = sorted(set(trials))
    if name in every:
        return name
    ending = [known for known in every if known.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    near = ending or get_close_matches(name, every, n=3, cutoff=0.3)
    hint = f"the nearest are {', '.join(sorted(near)[:5])}" if near else f"it has {len(every)} trials"
    raise ValueError(f"{where} has {'more than one trial' if ending else 'no trial'} {name!r}; {hint}")
