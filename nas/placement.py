"""How many slots there are, and which trial may run beside which on one device. Knows no device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nas.interrupt import Asked
from trials.record import Trial, TrialRecord

POLL_SECONDS = 0.25
MARGIN = 1.2
"""Over the largest peak measured."""
CONTEXT_BYTES = 500_000_000
"""Of a process on its device, that no allocator counts: about a context of CUDA with the kernels of torch. An
assumption, not measured here; what torch reserves beyond the peak is within `MARGIN`."""
PER_DEVICE = 8
"""Trials at most on one device, where their number follows from what they need."""


def slots_on(node: Mapping[str, float], cpus: int, share: float) -> int:
    """Slots that a node with these resources can hold.

    Args:
        node: its processors ("CPU") and accelerators ("GPU").
        cpus: processors of a slot.
        share: of one accelerator, in [0, 1].
    """
    slots = int(node.get("CPU", 0)) // cpus
    return min(slots, int(node.get("GPU", 0)) * int(1 / share + 1e-9)) if share else slots


def share_of(nodes: Sequence[Mapping[str, float]], cpus: int, asked: float | Literal["auto"] | None) -> float:
    """The share of an accelerator that each slot gets.

    Args:
        nodes: their resources.
        cpus: processors of a slot.
        asked: "auto": as many slots on a device as may ever run there; None: a whole device where there are
            any.

    Raises:
        ValueError: no node can hold one slot with that.
    """
    have_cpus, have_gpus = (sum(node.get(name, 0) for node in nodes) for name in ("CPU", "GPU"))
    whole = 1.0 if have_gpus else 0.0
    share = 1 / PER_DEVICE if asked == "auto" else whole if asked is None else asked
    if not 0 <= share <= 1:
        raise ValueError(f"--gpus-per-trial must be between 0 and 1, got {share:g}")
    if share > 0 and have_gpus == 0:
        raise ValueError(
            f"--gpus-per-trial {asked} asks for accelerators and the cluster has none; "
            "leave it out, or connect to a cluster with --address"
        )
    if not any(slots_on(node, cpus, share) for node in nodes):
        raise ValueError(
            f"one trial needs {cpus} processors and {share:g} accelerators; "
            f"no node has both (the cluster has {have_cpus:g} and {have_gpus:g})"
        )
    return share


def share_in_time(
    nodes: Callable[[], Sequence[Mapping[str, float]]],
    cpus: int,
    asked: float | Literal["auto"] | None,
    patience: float,
    stop: Asked,
    say: Callable[[str], None],
) -> float:
    """As `share_of`, of a cluster that may get its nodes only now.

    Args:
        nodes: asks for their resources.
        patience: seconds that are waited for a node that can hold a slot.
        stop: ends the waiting, with 0.
        say: told once that it waits.
    """
    until, waiting = time.monotonic() + patience, False
    while not stop.how:
        try:
            return share_of(nodes(), cpus, asked)
        except ValueError as error:
            if time.monotonic() >= until:
                raise
            if not waiting:
                say(f"waiting up to {patience:.0f} s for a node: {error}")
            waiting = True
        time.sleep(POLL_SECONDS)
    return 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a slot is.

    Attributes:
        node: the cluster's name for the machine.
        host: its name.
        process: number of the slot's process.
        device: of the accelerator it may use, its UUID; empty without one.
        device_bytes: memory of that.
    """

    node: str
    host: str
    process: int
    device: str = ""
    device_bytes: int = 0

    @property
    def unit(self) -> str:
        """What trials share: the accelerator, or the machine."""
        return self.device or self.node


@dataclass(slots=True)
class _Resident:
    unit: str
    share: float
    others: int


class Placement:
    """Who is where.

    Args:
        share: of a device for each trial, in (0, 1]; None: what trials of its task and space were measured
            to need, a whole one for the first of them.
    """

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._peaks: dict[tuple[str, str], int] = {}
        self._alone: set[str] = set()
        self._residents: dict[int, _Resident] = {}
        self._claims: dict[str, str] = {}  # trials that wait for a whole device, by device

    def fits(self, place: Place, trial: Trial) -> bool:
        """Whether a trial may start there now.

        One that must be alone and is refused keeps others from taking the place until they have left it.
        """
        here = self._on(place.unit)
        share = self._needs(place, trial)
        room = 1 - sum(each.share for each in here)
        whole = any(each.share >= 1 for each in here)
        free = not here if share >= 1 else not whole and share <= room + 1e-9
        claimed = bool(here) and self._claims.get(place.unit, trial.id) != trial.id
        if not free and share >= 1 and here and place.unit not in self._claims:
            self._claims[place.unit] = trial.id
        return free and not claimed

    def take(self, slot: int, place: Place, trial: Trial) -> float:
        """Put a trial that fits there.

        Returns:
            the share of the device's memory it may use.
        """
        here = self._on(place.unit)
        if not here:
            self._claims.pop(place.unit, None)
        self._claims = {unit: waiting for unit, waiting in self._claims.items() if waiting != trial.id}
        for each in here:
            each.others = max(each.others, len(here))
        share = self._needs(place, trial)
        self._residents[slot] = _Resident(place.unit, share, len(here))
        return share if place.device else 1.0

    def leave(self, slot: int) -> int:
        """Take a slot's trial away.

        Returns:
            the largest number of others that were there at once.
        """
        resident = self._residents.pop(slot, None)
        return resident.others if resident else 0

    def learn(self, record: TrialRecord) -> None:
        """Take what a completed trial needed."""
        if record.status == "completed" and record.peak_device_bytes:
            key = record.trial.study.task, record.trial.study.space
            self._peaks[key] = max(self._peaks.get(key, 0), record.peak_device_bytes)

    def is_to_be_alone(self, trial: Trial) -> bool:
        """Give a trial a whole device from now on; False if it had one for that reason already."""
        had = trial.id in self._alone
        self._alone.add(trial.id)
        return not had

    def _on(self, unit: str) -> list[_Resident]:
        return [each for each in self._residents.values() if each.unit == unit]

    def _needs(self, place: Place, trial: Trial) -> float:
        """The share of its device that a trial is to have; 1: it is alone there."""
        if trial.id in self._alone:
            return 1.0
        if not place.device:
            return 0.0
        if self._share is not None:
            return self._share
        peak = self._peaks.get((trial.study.task, trial.study.space))
        return 1.0 if peak is None else min(1.0, (peak + CONTEXT_BYTES) * MARGIN / place.device_bytes)
