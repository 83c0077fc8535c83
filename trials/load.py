"""How busy a trial's process, its machine and its accelerator are: travels with the trial's reports."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress

import torch

from trials import surroundings
from trials.record import Load


class Watch:
    """Looks once an epoch; each look covers the time since the one before."""

    def __init__(self) -> None:
        self._wall, self._busy = time.perf_counter(), _processor_seconds()

    def look(self) -> Load:
        """The load since the last look."""
        wall, busy = time.perf_counter(), _processor_seconds()
        spent = max(wall - self._wall, 1e-9)
        processors = (busy - self._busy) / spent
        self._wall, self._busy = wall, busy
        host = None
        with suppress(OSError):
            host = os.getloadavg()[0]
        return Load(
            processors=processors,
            memory_bytes=surroundings.memory_bytes(),
            host=host,
            device_bytes=torch.cuda.memory_allocated() if torch.cuda.is_available() else None,
            device_busy=_device_busy(),
        )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _device_busy() -> float | None:
    if not torch.cuda.is_available():
        return None
    try:
        return torch.cuda.utilization() / 100
    except Exception:  # no NVML, a slice of MIG, a driver that does not tell: each has an error of its own
        return None
