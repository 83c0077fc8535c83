"""Where runs are kept that were given no place: ``runs/NAME``, ``runs/NAME-2``, ..."""

from __future__ import annotations

from pathlib import Path

RUNS = Path("runs")


def new_run_path(name: str) -> Path:
    """The next free of ``runs/NAME``, ``runs/NAME-2``, ..."""
    return _numbered(name, taken=False)


def latest_run_path(name: str) -> Path:
    """The last used of ``runs/NAME``, ``runs/NAME-2``, ..., or ``runs/NAME``."""
    return _numbered(name, taken=True)


def _numbered(name: str, taken: bool) -> Path:
    numbers = {1} if (RUNS / name).exists() else set()
    for path in RUNS.glob(f"{name}-*"):
        if (suffix := path.name.removeprefix(f"{name}-")).isdecimal():
            numbers.add(int(suffix))
    number = max(numbers, default=0 if not taken else 1) + (0 if taken else 1)
    return RUNS / (name if number == 1 else f"{name}-{number}")
