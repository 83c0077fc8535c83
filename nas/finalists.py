"""Finalists are tested, once, when their training has ended: the only caller of the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from trials.isolation import give_memory_back, isolated
from trials.logs import captured, reason_of
from trials.names import WEIGHTS
from trials.predictions import Predicted, Predictions, write
from trials.record import EpochMetrics, Trial, TrialRecord, Verdict, ignored, unasked
from trials.storage import Storage, Unwritten, kept
from trials.task import Rows, TaskData, open_test
from trials.training import run_trial


def train_and_test(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    device_share: float = 1.0,
    rates: Sequence[float] = (),
    *,
    asked: Callable[[], Verdict] = unasked,
    timed: bool = False,
    checkpoint_bytes: int | None = None,
    on_kept: Callable[[int], None] = ignored,
) -> TrialRecord | None:
    """Run a trial; a finalist that completes also predicts the report and the test rows, and is timed.

    Args:
        trial: what to train.
        task: opened from the trial's source.
        report: told each epoch's result, answers what to do.
        folder: where the trial keeps its checkpoint, and a finalist its weights and predictions.
        device_share: of an accelerator, see `run_trial`.
        rates: other sampling rates at which a finalist is looked at, see `trials.other_rates`.
        asked, timed, checkpoint_bytes, on_kept: see `run_trial`; a test is not interrupted.

    Returns:
        The record, or None if the trial was paused.

    Raises:
        Unwritten: what the trial keeps cannot be written or read; call again once it can.
    """
    with captured() as log:
        record = run_trial(
            trial,
            task,
            report=report,
            folder=folder,
            device_share=device_share,
            asked=asked,
            timed=timed,
            checkpoint_bytes=checkpoint_bytes,
            on_kept=on_kept,
        )
        if record is None or record.status != "completed" or trial.study.kind != "finalist":
            return record
        try:
            with isolated(trial.seed):
                record = replace(record, **_looked_at(trial, task, folder, device_share, rates))
        except Unwritten:
            raise
        except Exception as error:  # what was trained and spent stays on record
            record = replace(record, status="failed", reason=reason_of(error, "the test failed: "))
    if record.out_of_memory:
        give_memory_back()
    return replace(record, log=log.lines())


def _looked_at(
    trial: Trial, task: TaskData, folder: Storage, device_share: float, rates: Sequence[float]
) -> dict[str, Any]:
    """Fields of the record: metrics of stored weights on the test split, latency, errors at other rates.

    The metrics follow from the predictions that are left in the folder.
    """
    import torch
    from safetensors.torch import load

    from search_spaces.network import build
    from trials.evaluation import latency, predict
    from trials.loading import Loader
    from trials.metrics import measure
    from trials.other_rates import errors_at_rates

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(trial.architecture, task.shape)
    with kept():
        stored = folder.get(WEIGHTS)
    assert stored is not None, "run_trial has just written them"
    model.load_state_dict(load(stored))
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
    write(folder, found)
    row, _ = next(Loader(task.report, task, device, device_share).in_order(1))
    return {
        "test": measure(test.labels, test.probabilities),
        "latency_seconds": latency(model, row),
        "at_rates": errors_at_rates(model, task, rates, device, device_share),
    }
