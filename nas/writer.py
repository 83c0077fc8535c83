"""The thread that shows trials in MLflow while they run. Nobody ever waits for it.

What could not be sent is not lost: the records hold it, and the run hands them all over again before `close`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import methodcaller
from typing import Protocol

from trials.record import EpochMetrics, Study, Trial, TrialRecord

FLUSH_SECONDS = 2.0


class Shown(Protocol):
    """Where trials are shown; `nas.tracking.Store` is one."""

    def add(self, trial: Trial, curve: Sequence[EpochMetrics], started: float) -> None: ...
    def end(self, record: TrialRecord) -> None: ...
    def finish(self, finished: float, files: Mapping[str, str], studies: Iterable[Study]) -> None: ...


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
        self._started: dict[str, float] = {}
        self._curves: dict[str, tuple[Trial, list[EpochMetrics]]] = {}
        self._records: list[TrialRecord] = []
        self._behind = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="mlflow-writer", daemon=True)
        self._thread.start()

    def epoch(self, trial: Trial, metrics: EpochMetrics | None) -> None:
        """A trial has started (no metrics) or finished an epoch."""
        with self._lock:
            self._started.setdefault(trial.id, time.time())
            curve = self._curves.setdefault(trial.id, (trial, []))[1]
            if metrics is not None:
                curve.append(metrics)

    def ended(self, record: TrialRecord) -> None:
        """A trial has its record, which holds the whole curve."""
        with self._lock:
            self._curves.pop(record.trial.id, None)
            self._records.append(record)

    def close(self, files: Mapping[str, str], studies: Sequence[Study]) -> bool:
        """Send the rest and the report; False if MLflow did not take all of it."""
        self._closing.set()
        self._thread.join()
        done = self._flush(live=False)
        if done and files:
            done = self._try(methodcaller("finish", time.time(), files, studies))
        if not done:
            self._say("MLflow has not taken everything; the records have: nas run --resume sends the rest")
        return done

    def _loop(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush(live=True)

    def _flush(self, live: bool) -> bool:
        with self._lock:
            records, self._records = self._records, []
            curves = list(self._curves.values()) if live else []
            for trial, _ in curves:
                self._curves[trial.id] = (trial, [])
        for position, record in enumerate(records):
            if not self._try(methodcaller("end", record)):
                with self._lock:
                    self._records = records[position:] + self._records
                return False
        for trial, curve in curves:
            if not self._try(methodcaller("add", trial, curve, self._started[trial.id])):
                return False  # the record will bring these epochs
        return True

    def _try(self, send: Callable[[Shown], None]) -> bool:
        try:
            if self._store is None:
                self._store = self._open_store()
            send(self._store)
        except Exception as error:  # whatever MLflow raises, the run goes on
            if not self._behind:
                first = (str(error).strip() or type(error).__name__).splitlines()[0][:100]
                self._say(f"MLflow is behind ({first}); the run goes on")
            self._behind = True
            return False
        if self._behind:
            self._say("MLflow has caught up")
        self._behind = False
        return True
