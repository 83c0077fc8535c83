"""The thread that shows trials in MLflow while they run. Nobody waits for it; a run's end does, for a while.

It has no memory of its own: what could not be sent is in the records, from which it is sent again, at the
latest by the next driver or by `nas.rebuilding`. Of a trial that runs it sends the epochs that a checkpoint
holds, since the others would be trained again after a crash, and MLflow takes nothing back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from typing import Protocol

from nas.tracked import Closing
from trials.record import EpochMetrics, Trial, TrialRecord

FLUSH_SECONDS = 2.0
LONGEST_PAUSE = 30.0
"""Seconds until what failed is tried again: at first `FLUSH_SECONDS`, then twice as long each time."""
IN_A_ROW = 3
"""So many failures, and the rest waits for the next round: the server is away."""
PATIENCE, HURRIED, LONGEST_CLOSE = 30.0, 5.0, 600.0
"""Seconds that a run waits at its end while MLflow takes nothing; the same where a signal ends it; in all."""


class Refused(Exception):
    """MLflow will never take this, however often it is sent: a run that a user deleted, say."""


class Shown(Protocol):
    """Where trials are shown; `nas.tracking.Store` is one. Every method may be called again."""

    def add(self, trial: Trial, curve: Sequence[EpochMetrics], started: float) -> None: ...
    def wait(self, trial: Trial, started: float, running: bool = False) -> None: ...
    def end(self, record: TrialRecord) -> None: ...
    def finish(self, closing: Closing) -> None: ...
    def tidy(self) -> None: ...


@dataclass(slots=True)
class _Live:
    """A trial that runs: its epochs that were not sent yet, and how many its checkpoint holds."""

    trial: Trial
    started: float
    epochs: list[EpochMetrics] = field(default_factory=list)
    kept: int = 0
    there: bool = False


@dataclass(slots=True)
class _Job:
    """Something to send once; `due` on the monotonic clock."""

    send: Callable[[Shown], None]
    due: float = 0.0
    pause: float = FLUSH_SECONDS


class Writer:
    """Collects what happens and passes it on every few seconds, from a thread of its own.

    Args:
        open_store: called in the thread; MLflow takes seconds to import and to make a store.
        say: one line for the user when MLflow falls behind, and one when it has caught up.
    """

    def __init__(self, open_store: Callable[[], Shown], say: Callable[[str], None]) -> None:
        self._open_store, self._say = open_store, say
        self._store: Shown | None = None
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._jobs: dict[str, _Job] = {}
        self._behind = self._failed = self._stale = self._refused = False
        self._why = ""
        self._closing, self._left = threading.Event(), threading.Event()
        self._last: Closing | None = None
        self._done = False
        self._took = time.monotonic()
        self._thread = threading.Thread(target=self._loop, name="mlflow-writer", daemon=True)
        self._thread.start()

    def epoch(self, trial: Trial, metrics: EpochMetrics | None) -> None:
        """A trial has started (no metrics), perhaps again from its checkpoint, or finished an epoch."""
        with self._lock:
            live = self._live.setdefault(trial.id, _Live(trial, time.time()))
            if metrics is None:
                live.epochs.clear()  # it reports again those that its checkpoint holds
            else:
                live.epochs.append(metrics)

    def kept(self, trial: Trial, epochs: int) -> None:
        """So many epochs of a trial are in its checkpoint."""
        with self._lock:
            if (live := self._live.get(trial.id)) is not None:
                live.kept = epochs

    def ended(self, record: TrialRecord) -> None:
        """A trial has its record, which holds the whole curve."""
        with self._lock:
            self._live.pop(record.trial.id, None)
            self._jobs[record.trial.id] = _Job(methodcaller("end", record))

    def waiting(self, trial: Trial, started: float) -> None:
        """A trial will go on another time."""
        with self._lock:
            if (live := self._live.pop(trial.id, None)) is not None:
                started = live.started
            self._jobs[trial.id] = _Job(methodcaller("wait", trial, started))

    def close(self, closing: Closing | None, patience: float = PATIENCE) -> bool:
        """Send the rest and what a run's end brings; False if MLflow did not take all of it.

        Args:
            closing: None if there is nothing to show but the trials.
            patience: seconds after which this returns where MLflow takes nothing.
        """
        self._last, began = closing, time.monotonic()
        self._took = began
        self._closing.set()
        while self._thread.is_alive():
            self._thread.join(0.1)
            now = time.monotonic()
            if now - self._took > patience or now - began > LONGEST_CLOSE:
                break
        self._left.set()
        if not self._done:
            why = f" ({self._why})" if self._why else ""
            self._say(
                f"MLflow has not taken everything{why}; the records have: nas show RUN_DIR --rebuild sends it"
            )
        return self._done

    def _loop(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        with self._lock:
            self._live.clear()  # what is kept of them is in the records, or waits
        began, finished = time.monotonic(), self._last is None
        while not self._left.is_set():
            self._flush()
            untried = any(job.due <= began for job in self._jobs.values())
            if not finished and not untried:  # what cannot be sent keeps nothing else back
                finished = self._try(methodcaller("finish", self._last))
            if finished and not self._jobs:
                self._done = not self._failed or self._try(methodcaller("tidy"))
                if self._done:
                    return
            self._left.wait(0.1 if not self._behind else FLUSH_SECONDS)

    def _flush(self) -> None:
        """One round: what is due, oldest first, and epochs of trials that run."""
        now, failures = time.monotonic(), 0
        with self._lock:
            due = [(name, job) for name, job in self._jobs.items() if job.due <= now]
            live = list(self._live.values())
        if self._stale and (due or live):  # runs may be there twice, or be others than we know
            if self._store is not None and not self._try(methodcaller("tidy")):
                return
            self._stale = False
        for name, job in due:
            if failures == IN_A_ROW or self._left.is_set():
                return
            if self._try(job.send):
                failures = 0
                with self._lock:
                    if self._jobs.get(name) is job:
                        del self._jobs[name]
            else:
                failures += 1
                job.due = time.monotonic() + job.pause
                job.pause = min(2 * job.pause, LONGEST_PAUSE)
        for each in live:
            if failures == IN_A_ROW or self._closing.is_set():
                return
            failures = 0 if self._pass_on(each) else failures + 1
        if not failures and not self._jobs and self._behind:
            self._behind = False
            self._say("MLflow has caught up")

    def _pass_on(self, live: _Live) -> bool:
        with self._lock:
            ready = [metrics for metrics in live.epochs if metrics.epoch <= live.kept]
        if live.there and not ready:
            return True
        if not self._try(partial(_add, live.trial, ready, live.started)):
            return False
        live.there = True
        if ready:
            with self._lock:
                live.epochs = [metrics for metrics in live.epochs if metrics.epoch > ready[-1].epoch]
        return True

    def _try(self, send: Callable[[Shown], None]) -> bool:
        try:
            if self._store is None:
                self._store = self._open_store()
            send(self._store)
        except Refused as error:
            if not self._refused:
                self._say(f"MLflow refuses some of it for good ({error}): that is in the records alone")
            self._refused = True
        except Exception as error:  # whatever MLflow raises, the run goes on
            self._why = (str(error).strip() or type(error).__name__).splitlines()[0][:100]
            if not self._behind:
                self._say(f"MLflow is behind ({self._why}); the run goes on")
            self._behind = self._failed = self._stale = True
            return False
        self._took = time.monotonic()
        return True


def _add(trial: Trial, curve: Sequence[EpochMetrics], started: float, store: Shown) -> None:
    store.add(trial, curve, started)
