"""Finalists are tested, once, when their training has ended: the only caller of the test split."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trials.predictions import PREDICTIONS, Predicted, Predictions, write
from trials.record import EpochMetrics, TestMetrics, Trial, TrialRecord
from trials.task import Rows, TaskData, open_test
from trials.training import Verdict, run_trial

WEIGHTS = "weights.safetensors"


def train_and_test(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Path,
    device_share: float = 1.0,
) -> TrialRecord | None:
    """Run a trial; a finalist that completes also predicts the report and the test rows.

    Args:
        trial: what to train.
        task: opened from the trial's source.
        report: told each epoch's result, answers what to do.
        folder: where the trial keeps its checkpoint, and a finalist its weights and predictions.
        device_share: of an accelerator, see `run_trial`.

    Returns:
        The record, or None if the trial was paused.
    """
    record = run_trial(trial, task, report=report, folder=folder, device_share=device_share)
    if record is None or record.status != "completed" or trial.study.kind != "finalist":
        return record
    try:
        return replace(record, test=test(trial, task, folder, device_share))
    except Exception as error:  # what was trained and spent stays on record
        reason = f"the test failed: {type(error).__name__}: {error}\n{traceback.format_exc()}"
        return replace(record, status="failed", reason=reason)


def test(trial: Trial, task: TaskData, folder: Path, device_share: float) -> TestMetrics:
    """Metrics of stored weights on the test split, from the predictions that are left in the folder."""
    import torch
    from safetensors.torch import load_model

    from search_spaces.network import build
    from trials.evaluation import predict
    from trials.loading import Loader
    from trials.metrics import measure

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(trial.architecture, task.shape)
    load_model(model, folder / WEIGHTS)
    model.to(device)

    def predicted(rows: Rows) -> Predicted:
        loader = Loader(rows, task, device, device_share)
        return Predicted(labels=rows.labels, probabilities=predict(model, loader))

    test = predicted(open_test(trial.task))
    found = Predictions(
        trial=trial.id,
        digest=task.digest,
        class_names=task.class_names,
        splits={"report": predicted(task.report), "test": test},
    )
    write(folder / PREDICTIONS, found)
    return measure(test.labels, test.probabilities)
