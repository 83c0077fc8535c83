"""How one design is scored: tasks, recipes, training, records. Knows no cluster and no tracker.

Importing the package costs no torch: what needs it is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trials.finding import TASKS
    from trials.recipe import RECIPES, Recipe
    from trials.record import Trial, TrialRecord
    from trials.reference import Task
    from trials.task import TaskData, open_task
    from trials.training import run_trial

__all__ = ["RECIPES", "TASKS", "Recipe", "Task", "TaskData", "Trial", "TrialRecord", "open_task", "run_trial"]

_HOMES = {
    "RECIPES": "trials.recipe",
    "Recipe": "trials.recipe",
    "TASKS": "trials.finding",
    "Task": "trials.reference",
    "TaskData": "trials.task",
    "open_task": "trials.task",
    "Trial": "trials.record",
    "TrialRecord": "trials.record",
    "run_trial": "trials.training",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
