"""Rows that are in memory, at another size: `Task.resolution` and `Task.rate` of what is no file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trials import resampling
from trials.dataset import Dataset, Decoded, Floats, Inputs, Ints, Part, moments
from trials.reference import Task


def resized(dataset: Dataset, task: Task) -> Dataset:
    """The dataset with rows of the task's size, resampled when they are read.

    Raises:
        ValueError: a resolution for series, a rate for images or volumes (when rows are read).
    """
    if task.resolution is None and task.rate is None:
        return dataset
    train, validation, test = (
        None if part is None else _Resized(part, task)
        for part in (dataset.train, dataset.validation, dataset.test)
    )
    assert train is not None
    return replace(dataset, train=train, validation=validation, test=test)


@dataclass(frozen=True, eq=False, slots=True)
class _Resized:
    part: Part
    task: Task

    @property
    def size(self) -> int:
        return self.part.size

    def labels(self) -> Ints:
        return self.part.labels()

    def groups(self) -> NDArray[np.generic] | None:
        return self.part.groups()

    def decoded(self, rows: Ints) -> Decoded:
        before = self.part.decoded(rows)
        inputs = before.inputs
        if inputs.ndim == 3:
            floats = inputs.astype(np.float32)
            if inputs.dtype == np.uint8:
                floats /= np.float32(255)
            inputs = _at_rate(floats, before.moments, self.task)
        else:
            inputs = _at_resolution(inputs, self.task)
        return Decoded(inputs, before.fingerprints, moments(inputs))


def refuse_misplaced(series: bool, task: Task) -> None:
    """A size that the kind of data does not have.

    Raises:
        ValueError: a resolution for series (or audio), a rate for images or volumes.
    """
    if series and task.resolution is not None:
        raise ValueError(
            f"resolution is of images and volumes, got {task.resolution} for the series of {task.dataset}; "
            "give rate"
        )
    if not series and task.rate is not None:
        raise ValueError(
            f"rate is of series and audio, got {task.rate:g} for the images or volumes of {task.dataset}; "
            "give resolution"
        )


def _at_rate(series: Floats, row_moments: NDArray[np.float64], task: Task) -> Inputs:
    refuse_misplaced(True, task)
    assert task.rate is not None
    ratio = resampling.rate_ratio(task.rate)
    lengths = row_moments[:, 0, 0].astype(int)
    longest = resampling.resampled_length(int(lengths.max()), ratio)
    found = np.full((*series.shape[:2], longest), np.nan, dtype=np.float32)
    for row, length in enumerate(lengths):
        found[row, :, : resampling.resampled_length(length, ratio)] = resampling.resample(
            series[row, :, :length], ratio
        )
    return found


def _at_resolution(inputs: Inputs, task: Task) -> Inputs:
    refuse_misplaced(False, task)
    assert task.resolution is not None
    rows = [np.stack([resampling.resize(channel, task.resolution) for channel in row]) for row in inputs]
    return np.stack(rows)
