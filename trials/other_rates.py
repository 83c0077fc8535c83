"""A trained network at another sampling rate, without retraining: the same report rows, resampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from search_spaces.layers.resolution import at_rate
from trials import resampling
from trials.dataset import Floats
from trials.evaluation import score
from trials.loading import Loader
from trials.record import AtRate
from trials.task import ReportRows, TaskData


def errors_at_rates(
    model: nn.Module,
    task: TaskData,
    rates: Sequence[float],
    device: torch.device,
    device_share: float = 1.0,
) -> tuple[AtRate, ...]:
    """Error on the task's report rows at each rate, or why there is none.

    Args:
        model: trained on the task, on `device`.
        task: whose rows are resampled from the size they were trained at: a higher rate adds no detail.
        rates: new sampling rate over that of training.
        device, device_share: see `Loader`.
    """
    found = []
    for rate in rates:
        try:
            rows = Loader(resampled(task.report, rate), task, device, device_share)
            found.append(AtRate(rate=rate, error=score(at_rate(model, rate), rows).error))
        except Exception as error:  # out of memory, say: what else is known of the finalist stays
            found.append(AtRate(rate=rate, error=None, reason=f"{type(error).__name__}: {error}"))
    return tuple(found)


def resampled(rows: ReportRows, rate: float) -> ReportRows:
    """The same rows and labels with `rate` times the samples along every axis, anti-aliased.

    Series are NaN after their end as before.

    Raises:
        ValueError: an image would not have a whole number of samples, or its axes differ in length.
    """
    inputs = rows.inputs
    values: Floats
    if len(rows.extent) > 1:
        extent = _whole(rows.extent, rate)
        values = np.array(
            [[resampling.resize(each, extent[0]) for each in row] for row in inputs], np.float32
        )
    else:
        ratio = resampling.rate_ratio(rate)
        extent = (resampling.resampled_length(rows.extent[0], ratio),)
        values = np.full((*inputs.shape[:2], *extent), np.nan, dtype=np.float32)
        for row, series in zip(values, inputs):
            length = int(np.isfinite(series).all(axis=0).sum())
            row[:, : resampling.resampled_length(length, ratio)] = resampling.resample(
                series[:, :length], ratio
            )
    return ReportRows(values, np.arange(len(rows)), rows.labels, extent)


def _whole(extent: tuple[int, ...], rate: float) -> tuple[int, ...]:
    sizes = [rate * samples for samples in extent]
    if len(set(extent)) > 1 or any(abs(size - round(size)) > 1e-6 for size in sizes):
        raise ValueError(
            "images are resampled to a whole number of samples, the same along every axis, got rate "
            f"{rate:g} for {'x'.join(map(str, extent))}; use another rate"
        )
    return tuple(round(size) for size in sizes)
