"""What a trial has done so far and what it cost, over all its attempts."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from trials import checkpoint, surroundings
from trials.energy import Meter
from trials.loading import Batch
from trials.logs import Log
from trials.plain import from_plain, to_plain
from trials.record import EpochMetrics, Status, Trial, TrialRecord, Verdict
from trials.storage import Storage
from trials.task import TaskData


@dataclass(slots=True)
class Ledger:
    """Costs by kind; attributes as in `TrialRecord`. Time between two phases is charged to none.

    Attributes:
        meter: of the energy of this attempt; `joules` and `joules_of` are those of earlier ones.
        log: of this attempt; it goes on from that of earlier ones.
        device_share: of this attempt.
        peak_memory_bytes, peak_device_bytes: the largest of earlier attempts.
    """

    meter: Meter
    log: Log = field(default_factory=Log)
    device_share: float = 1.0
    curve: list[EpochMetrics] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0
    training_multiply_adds: int = 0
    training_executed: float = 0.0
    seconds_setup: float = 0.0
    seconds_data: float = 0.0
    seconds_training: float = 0.0
    seconds_evaluation: float = 0.0
    seconds_waiting: float = 0.0
    joules: float | None = 0.0
    joules_of: str = ""
    peak_memory_bytes: int = 0
    peak_device_bytes: int | None = None
    latency_seconds: float | None = None
    started: float = field(default_factory=time.time)
    _phase: str = ""
    _since: float = 0.0

    def enter(self, phase: str) -> None:
        """Charge the time since the last call to the phase that ends; ``""`` begins none."""
        now = time.perf_counter()
        if self._phase:
            name = f"seconds_{self._phase}"
            setattr(self, name, getattr(self, name) + now - self._since)
        self._phase, self._since = phase, now

    def charged(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches; the time to get one is charged to data, that until the next is wanted to training."""
        waiting = iter(batches)
        while True:
            self.enter("data")
            batch = next(waiting, None)
            self.enter("training")
            if batch is None:
                return
            yield batch

    def ask(self, question: Callable[[], Verdict]) -> Verdict:
        """The answer; the time it takes is charged to waiting, and the phase that runs goes on."""
        phase = self._phase
        self.enter("waiting")
        verdict = question()
        self.enter(phase)
        return verdict

    def energy(self) -> tuple[float | None, str]:
        """Joules of all attempts and what they cover; None if one attempt was measured otherwise."""
        now = self.meter.energy()
        if now is None or self.joules is None or self.joules_of not in ("", now.covers):
            return None, ""
        return self.joules + now.joules, now.covers

    def peaks(self) -> tuple[int, int | None]:
        """Largest memory of all attempts: resident, and on an accelerator if there is one."""
        resident = max(self.peak_memory_bytes, surroundings.peak_memory_bytes())
        if not torch.cuda.is_available():
            return resident, self.peak_device_bytes
        return resident, max(self.peak_device_bytes or 0, torch.cuda.max_memory_allocated())

    def costs(self) -> dict[str, Any]:
        """So far, of all attempts: fields of a `TrialRecord` by name."""
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OWN}
        found["joules"], found["joules_of"] = self.energy()
        found["peak_memory_bytes"], found["peak_device_bytes"] = self.peaks()
        found["log"] = self.log.lines()
        return {**found, **_where(self.device_share)}

    def state(self) -> dict[str, Any]:
        """`costs` for a checkpoint, plain."""
        return dict(to_plain(self.costs()))

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; the phase that runs goes on too."""
        self.log.follow(state.get("log", ()))  # older checkpoints have none
        for name in state.keys() - _where(1.0).keys() - {"log"}:
            setattr(self, name, state[name])
        self.curve = [from_plain(EpochMetrics, each) for each in state["curve"]]

    def record(
        self,
        trial: Trial,
        task: TaskData,
        status: Status,
        *,
        reason: str = "",
        augmentation: tuple[str, ...] = (),
    ) -> TrialRecord:
        """The record of a trial that ends now."""
        return TrialRecord(
            trial=trial,
            status=status,
            reason=reason,
            augmentation=augmentation,
            rows_train=len(task.train),
            rows_select=len(task.select),
            rows_report=len(task.report),
            classes=task.shape.classes,
            majority_error=task.majority_error,
            digest=task.digest,
            finished=time.time(),
            process=os.getpid(),
            software=surroundings.software(),
            commit=surroundings.commit(),
            **{**self.costs(), "curve": tuple(self.curve)},
        )


def spent(folder: Storage, trial: Trial) -> dict[str, Any]:
    """Fields of a `TrialRecord`, plain: what a trial had done by its last checkpoint; empty without one."""
    state = checkpoint.load(folder, trial)
    return {} if state is None else dict(state["ledger"])


def _where(device_share: float) -> dict[str, Any]:
    accelerated = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if accelerated else surroundings.processor()
    return {"device": device, "device_share": device_share, "host": platform.node()}


_OWN = {"meter", "log", "device_share", "_phase", "_since"}
