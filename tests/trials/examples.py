"""Small trials for tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from search_spaces import SPACES
from trials import recipe, record, task
from trials.dataset import ArrayPart, Dataset


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


def ringing() -> Dataset:
    """Series of 20 to 40 samples, NaN after their ends, whose class is the period of a sine: 4, 6 or 9."""

    def part(rows: int, seed: int) -> ArrayPart:
        rng = np.random.default_rng(seed)
        labels = np.arange(rows) % 3
        phase, time = rng.random((rows, 1)) * 6.3, np.arange(40)
        values = np.sin(phase + 6.3 * time / np.array((4, 6, 9))[labels][:, None])
        values[time >= rng.integers(20, 41, (rows, 1))] = np.nan
        return ArrayPart(values[:, None].astype(np.float32), labels)

    return Dataset(train=part(256, 0), validation=part(80, 1), test=part(20, 2), class_names=("4", "6", "9"))


def untimed(curve: tuple[record.EpochMetrics, ...]) -> list[record.EpochMetrics]:
    """A learning curve without what differs between two runs: the clock."""
    clock = dict.fromkeys(("seconds_data", "seconds_training", "seconds_evaluation"), 0.0)
    return [dataclasses.replace(each, **clock) for each in curve]
