"""Validation rows that an export is checked and shown on; test rows stay closed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.run_directory import RunTask
from trials.other_rates import resampled
from trials.task import ReportRows, TaskData, open_task

FEWEST, MOST = 32, 2000
"""Rows that are looked at, as long as there are as many."""
WORK, BYTES = 30 * 10**9, 2**28
"""Multiply-adds of one pass over the rows, and bytes of the rows, that more than `FEWEST` may take."""


@dataclass(frozen=True, eq=False, slots=True)
class RawRows:
    """Rows as a network is given them where it is used: not normalised.

    Attributes:
        inputs: float32 (rows, channels, *extent), NaN after the end of a shorter series.
        labels: int64 (rows,).
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def opened(task: RunTask) -> TaskData:
    """The task's data, the same as in the run.

    Raises:
        ValueError: they cannot be opened here, or have changed.
    """
    try:
        data = open_task(task.task)
    except OSError as error:
        raise ValueError(
            f"the data of {task.name} cannot be read, so nothing can be checked: {error}"
        ) from error
    if data.digest != task.digest:
        raise ValueError(
            f"the rows of {task.name} are not those of the run: digest {data.digest[:12]}, in run.json "
            f"{task.digest[:12]}; nothing was written"
        )
    return data


def report_rows(data: TaskData, multiply_adds: int, rate: float | None = None) -> RawRows:
    """Rows of the report half, as many as a pass can afford, spread evenly over it.

    Args:
        data: of the task.
        multiply_adds: of the network on one row, at the rate of the data.
        rate: sampling rate that they are resampled to, over that of the data; None: as they are.

    Raises:
        ValueError: a rate that does not fit, see `trials.other_rates.resampled`.
    """
    axes = 0 if rate is None else data.shape.dimensions
    finer = (rate or 1.0) ** axes  # positions, and taps
    afford = int(min(WORK / max(1, multiply_adds * finer**2), BYTES / (_bytes(data) * finer)))
    chosen = _spread(data.report, max(FEWEST, min(MOST, afford)))
    rows = chosen if rate is None else resampled(chosen, rate)
    return RawRows(rows.inputs, rows.labels)


def training_rows(data: TaskData, count: int, rate: float | None = None) -> NDArray[np.float32]:
    """Raw training rows, spread evenly over all of them: what is calibrated on."""
    every = ReportRows(data.train.store, data.train.index, data.train.labels, data.shape.extent)
    most = int(BYTES / (_bytes(data) * (rate or 1.0) ** data.shape.dimensions))
    rows = _spread(every, min(count, max(FEWEST, most)))
    return (rows if rate is None else resampled(rows, rate)).inputs


def _bytes(data: TaskData) -> int:
    """Of one raw row."""
    return 4 * data.shape.channels * int(np.prod(data.shape.extent))


def _spread(rows: ReportRows, count: int) -> ReportRows:
    """So many of them: data are often stored class by class, so not the first."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    return replace(rows, index=rows.index[places], labels=rows.labels[places])
