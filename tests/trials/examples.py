"""Small trials for tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from search_spaces import SPACES
from trials import recipe, record, task


def trial(
    of: task.TaskData,
    space: str = "twin_3x3",
    *,
    kind: record.Kind = "population",
    seed: int = 0,
    **recipe_fields: Any,
) -> record.Trial:
    """The first design of a space on a task, with fields of the standard recipe replaced."""
    drawn = SPACES[space](of.shape)
    values = drawn.sample(np.random.default_rng(0))
    return record.Trial(
        study=record.Study(task=of.name, space=space, kind=kind),
        number=0,
        task=of.task,
        architecture=drawn.decode(values),
        values=values,
        recipe=dataclasses.replace(recipe.STANDARD, **recipe_fields),
        seed=seed,
    )


def untimed(curve: tuple[record.EpochMetrics, ...]) -> list[record.EpochMetrics]:
    """A learning curve without what differs between two runs: the clock."""
    clock = dict.fromkeys(("seconds_data", "seconds_training", "seconds_evaluation"), 0.0)
    return [dataclasses.replace(each, **clock) for each in curve]
