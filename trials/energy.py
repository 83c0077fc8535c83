"""Joules of a stretch of time, where the hardware counts them; absent elsewhere, never guessed.

Counters are those of whole parts: an accelerator with everything that runs on it (NVML), all processor
packages with everything that runs on them (RAPL; the rest of the machine is not in it). Trials that share a
machine each count all of it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

POWERCAP = Path("/sys/class/powercap")
EVERY_SECONDS = 10.0
"""RAPL wraps around, some processors at 65 kJ: minutes of a busy package. We look far more often."""
MOST_WATTS = 1000.0
"""No package draws more: what says otherwise, or could hide a wrap-around, is not believed."""


class Energy(NamedTuple):
    """`joules` of what `covers` names, e.g. ``"all processor packages: 2 (RAPL)"``."""

    joules: float
    covers: str


class Meter:
    """Measures from its construction on, until it is closed.

    Args:
        device: UUID of the CUDA device that does the work, as torch's device properties give it; empty: the
            processors do. With a device whose energy is not counted there is no figure at all.
        powercap: the tree of RAPL. Packages count if every one of them can be read (often: by root only).
    """

    def __init__(self, device: str = "", powercap: Path = POWERCAP) -> None:
        self._device = _device_joules(device) if device else None
        self._covered = not device or self._device is not None
        self._device_began = 0.0 if self._device is None else self._device()
        self._packages = _Packages(powercap)
        self._lock, self._closed = threading.Lock(), threading.Event()
        if self._packages.known:
            threading.Thread(target=self._watch, name="energy", daemon=True).start()

    def energy(self) -> Energy | None:
        """What was used so far; None where nothing counts it."""
        if not self._covered:
            return None
        joules, covers = 0.0, []
        if self._device is not None:
            joules += self._device() - self._device_began
            covers.append("the whole accelerator (NVML)")
        with self._lock:
            self._packages.look()
        if self._packages.known:
            joules += self._packages.joules
            covers.append(f"all processor packages: {self._packages.count} (RAPL)")
        return Energy(joules, " and ".join(covers)) if covers and math.isfinite(joules) else None

    def close(self) -> None:
        """Stop looking at the counters. Ask for the energy before."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(EVERY_SECONDS):
            with self._lock:
                self._packages.look()


class _Packages:
    """Sum over all packages since construction; `known` turns false, for good, when that cannot be said."""

    def __init__(self, powercap: Path) -> None:
        self.joules = 0.0
        self.known = True
        try:
            # intel-rapl:0 is a package (also on AMD) or the whole platform, intel-rapl:0:0 a part of one
            zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if zone.name.count(":") == 1]
            packages = [zone for zone in zones if (zone / "name").read_text().startswith("package")]
            self._files = [zone / "energy_uj" for zone in packages]
            self._ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in packages]
        except (OSError, ValueError):
            self.known, self._files, self._ranges = False, [], []
        self.count = len(self._files)
        self.known = self.known and self.count > 0
        self._last: list[int] = []
        self._when = 0.0
        self.look()

    def look(self) -> None:
        """Add what was used since the last look."""
        if not self.known:
            return
        now = time.monotonic()
        try:
            counts = [int(file.read_text()) for file in self._files]
        except (OSError, ValueError):
            self.known = False
            return
        most = MOST_WATTS * 1e6 * (now - self._when)
        for before, after, size in zip(self._last, counts, self._ranges):
            used = after - before + (size if after < before else 0)
            # it may have wrapped around twice, or was set to zero while the machine slept
            self.known = self.known and most < size and used < most + 1e9
            self.joules += used / 1e6
        self._last, self._when = counts, now


def _device_joules(uuid: str) -> Callable[[], float] | None:
    """Reads the counter of a device, NaN once that fails; None without one, as for the slices of MIG."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid.removeprefix('GPU-')}")
        if _is_divided(handle):
            return None
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None

    def joules() -> float:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except pynvml.NVMLError:
            return math.nan

    return joules


def _is_divided(handle: object) -> bool:
    import pynvml

    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError_NotSupported:
        return False
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)
