"""Finalists are tested, once, when their training has ended: the only caller of the test split."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trials.record import EpochMetrics, TestMetrics, Trial, TrialRecord
from trials.task import TaskData, open_test
from trials.training import Verdict, run_trial

WEIGHTS = "weights.safetensors"


def train_and_test(
    trial: Trial, task: TaskData, report: Callable[[EpochMetrics], Verdict], folder: Path
) -> TrialRecord | None:
    """Run a trial; a finalist that completes is also scored on the test split.

    Args:
        trial: what to train.
        task: opened from the trial's source.
        report: told each epoch's result, answers what to do.
        folder: where the trial keeps its checkpoint and a finalist its weights.

    Returns:
        The record, or None if the trial was paused.
    """
    record = run_trial(trial, task, report=report, folder=folder)
    if record is None or record.status != "completed" or trial.study.kind != "finalist":
        return record
    try:
        return replace(record, test=test(trial, task, folder / WEIGHTS))
    except Exception as error:  # what was trained and spent stays on record
        reason = f"the test failed: {type(error).__name__}: {error}\n{traceback.format_exc()}"
        return replace(record, status="failed", reason=reason)


def test(trial: Trial, task: TaskData, weights: Path) -> TestMetrics:
    """Error and loss of stored weights on the test split."""
    from safetensors.torch import load_model

    from search_spaces.network import build
    from trials.evaluation import evaluate

    model = build(trial.architecture, task.shape)
    load_model(model, weights)
    rows = open_test(trial.task)
    scored = evaluate(model, rows, task)
    return TestMetrics(error=scored.error, loss=scored.loss, rows=len(rows))
