"""Rows of a task as batches for a network: gathered, normalised and on its device, one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trials.dataset import Ints
from trials.task import Rows, TaskData

Batch = tuple[Tensor, Tensor]
"""Inputs float32 (rows, channels, *extent), normalised; labels int64 (rows,)."""
SHARE = 0.25
"""Of the free memory of an accelerator, what the rows of one loader may take to live there."""


class Loader:
    """Batches of some rows, `(value - mean) / std` by channel; NaN after the end of a series stays.

    No normalised copy of all rows is made. The rows are gathered from their store, which may be a memory map
    that other processes share, when a batch is asked for. On an accelerator they are copied to it whole, as
    they are stored, where a `SHARE` of its free memory holds them; else batches are copied from pinned
    memory, one ahead of the one in use. There are no worker processes: gathering 64 rows takes microseconds.

    Args:
        rows: of the task.
        task: whose mean, std and extent are used.
        device: where batches are wanted.
        device_share: of the trial, in (0, 1].
    """

    def __init__(self, rows: Rows, task: TaskData, device: torch.device, device_share: float = 1.0) -> None:
        per_channel = (1, -1, *(1 for _ in rows.extent))
        self._rows, self._device = rows, device
        self._mean, self._std = (
            torch.tensor(each, device=device).view(per_channel) for each in (task.mean, task.std)
        )
        self._white = torch.tensor(255.0, device=device)  # division by a number may multiply by its inverse
        self._labels = torch.from_numpy(rows.labels).to(device)
        self._resident: Tensor | None = None
        if device.type == "cuda":
            size = len(rows) * rows.store[:1].nbytes
            if size <= SHARE * device_share * torch.cuda.mem_get_info(device)[0]:
                self._resident = self._gather(np.arange(len(rows))).to(device)

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        """Rows in an order: int64 (any number,) on the CPU, in batches of `size`, the last one smaller."""
        if self._device.type == "cpu":
            for chosen in torch.split(order, size):
                yield self._normalised(self._gather(chosen.numpy())), self._labels[chosen]
        elif self._resident is not None:
            for chosen in torch.split(order.to(self._device), size):
                yield self._normalised(self._resident[chosen]), self._labels[chosen]
        else:
            yield from self._prefetched(order, size)

    def in_order(self, size: int) -> Iterator[Batch]:
        """All rows, from the first."""
        return self.batches(torch.arange(len(self)), size)

    def _gather(self, chosen: Ints) -> Tensor:
        """Rows as they are stored, on the CPU."""
        return torch.from_numpy(np.take(self._rows.store, self._rows.index[chosen], axis=0))

    def _normalised(self, values: Tensor) -> Tensor:
        floats = values.to(torch.float32)
        if values.dtype == torch.uint8:
            floats /= self._white
        if floats.ndim == 3:
            extent = self._rows.extent[0]
            if (short := extent - floats.shape[2]) > 0:
                floats = functional.pad(floats, (0, short), value=torch.nan)
            elif short < 0:
                floats = floats[:, :, :extent]
        return (floats - self._mean).div_(self._std)

    def _prefetched(self, order: Tensor, size: int) -> Iterator[Batch]:
        cuda: Any = torch.cuda  # has no types
        copying, using = cuda.Stream(self._device), cuda.current_stream(self._device)

        def start(chosen: Tensor) -> tuple[Tensor, Tensor, Any]:
            held = self._gather(chosen.numpy()).pin_memory(), chosen.pin_memory()
            with cuda.stream(copying):
                values, places = (each.to(self._device, non_blocking=True) for each in held)
                return values, places, copying.record_event()

        def finish(values: Tensor, places: Tensor, copied: Any) -> Batch:
            using.wait_event(copied)
            for each in (values, places):
                each.record_stream(using)  # its memory is not given away before it was used
            return self._normalised(values), self._labels[places]

        ahead = None
        for chosen in torch.split(order, size):
            following = start(chosen)
            if ahead is not None:
                yield finish(*ahead)
            ahead = following
        if ahead is not None:
            yield finish(*ahead)
