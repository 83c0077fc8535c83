"""What slots can train with instead of networks, for tests: functions of a module, as workers import them.

Of the settings of `nas.slot.Train` they need few.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from trials.record import EpochMetrics, Trial, TrialRecord, Verdict, ignored, unasked
from trials.storage import Storage
from trials.synthetic import CHECKPOINT, run_trial
from trials.task import TaskData

STEP = 0.05


def closed_form(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    *settings: Any,
    asked: Callable[[], Verdict] = unasked,
    on_kept: Callable[[int], None] = ignored,
    **more: Any,
) -> TrialRecord | None:
    """Learning curves by a formula, at once."""
    return run_trial(trial, task, report=report, folder=folder, asked=asked, on_kept=on_kept)


def slow(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    *settings: Any,
    asked: Callable[[], Verdict] = unasked,
    on_kept: Callable[[int], None] = ignored,
    **more: Any,
) -> TrialRecord | None:
    """The same, an epoch in a second; a checkpoint after each."""

    def told(metrics: EpochMetrics) -> Verdict:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            if (verdict := asked()) != "continue":
                return verdict
            time.sleep(STEP)
        return report(metrics)

    return run_trial(
        trial, task, report=told, folder=folder, asked=asked, checkpoint_seconds=0, on_kept=on_kept
    )


def out_of_memory(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    *settings: Any,
    asked: Callable[[], Verdict] = unasked,
    **more: Any,
) -> TrialRecord | None:
    """Trials of which the first one has room only at its second attempt, and the second one never."""
    tried = f"{trial.number}.tried"
    again = folder.get(tried) is not None
    folder.put(tried, b"")
    if trial.number == 1 or (trial.number == 0 and not again):
        raise MemoryError("no room")
    return closed_form(trial, task, report, folder, asked=asked)


def unwritable(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    *settings: Any,
    asked: Callable[[], Verdict] = unasked,
    **more: Any,
) -> TrialRecord | None:
    """Trials that can be paused but whose folder takes nothing."""
    folder.put(f"{CHECKPOINT}/there", b"")
    return run_trial(trial, task, report=lambda metrics: "pause", folder=folder)
