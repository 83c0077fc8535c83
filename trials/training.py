"""One trial: a design trained once with one recipe and one seed, from top to bottom."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from search_spaces.complexity import Complexity, complexity
from search_spaces.network import kernel_sizes
from trials import checkpoint, surroundings
from trials.augmentation import applied, augmented
from trials.energy import Meter
from trials.evaluation import BATCH, Score, score
from trials.learner import Learner, settle_norms
from trials.ledger import Ledger
from trials.loading import Loader
from trials.record import EpochMetrics, Status, Trial, TrialRecord, Verdict, keep_going
from trials.storage import Storage
from trials.task import TaskData

__all__ = ["Verdict", "keep_going", "run_trial"]


def run_trial(
    trial: Trial,
    task: TaskData,
    *,
    report: Callable[[EpochMetrics], Verdict] = keep_going,
    folder: Storage | None = None,
    checkpoint_seconds: float = 10.0,
    device_share: float = 1.0,
) -> TrialRecord | None:
    """Trains and scores one design.

    On a CPU, the same trial on the same machine with the same number of threads gives the same curve and
    weights, bit for bit, also when it was interrupted and resumed.

    Args:
        trial: what to do. Its recipe is taken as it stands.
        task: the opened task of the trial.
        report: called after each epoch; a resumed trial reports its earlier epochs again first, and only
            "pause" counts as an answer to those.
        folder: where the checkpoint is kept, and ``weights.safetensors`` of a completed finalist; None
            keeps nothing. A checkpoint of this trial found there is resumed.
        checkpoint_seconds: a checkpoint is due when the last one is so old.
        device_share: of an accelerator, in (0, 1]; a trial that asks for more of its memory fails.

    Returns:
        The record; its status is ``failed`` for a loss that is not finite and for any exception. None
        if the trial was paused: call again with the same folder.
    """
    meter = Meter(surroundings.accelerator())
    ledger = Ledger(meter, device_share=device_share)
    names = applied(trial.recipe.augmentation, task.augmentations, task.shape.dimensions)
    reason = ""
    status: Status | None
    try:
        surroundings.reset_peak_memory()
        status = _train(trial, task, names, ledger, report, folder, checkpoint_seconds, device_share)
    except Exception as error:
        ledger.enter("")
        last_line = traceback.format_exception_only(error)[-1].strip()
        status, reason = "failed", f"{last_line}\n{traceback.format_exc()}"
    finally:
        meter.close()
    if status is None:
        return None
    return ledger.record(trial, task, status, reason=reason, augmentation=names)


def _train(
    trial: Trial,
    task: TaskData,
    names: tuple[str, ...],
    ledger: Ledger,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage | None,
    checkpoint_seconds: float,
    device_share: float,
) -> Status | None:
    ledger.enter("setup")
    recipe, device = trial.recipe, _device(device_share)
    train, *validation = (
        Loader(rows, task, device, device_share) for rows in (task.train, task.select, task.report)
    )
    learner = Learner(trial, task.shape, device, rows=len(train))
    ledger.parameters = sum(each.numel() for each in learner.model.parameters() if each.requires_grad)
    if folder is not None and (state := checkpoint.load(folder, trial)) is not None:
        learner.restore(state["learner"])
        ledger.restore(state["ledger"])
    ledger.multiply_adds = _cost(trial, task, learner.result).multiply_adds
    ledger.enter("")
    for metrics in ledger.curve:  # whoever decides on stopping may not remember them
        if ledger.ask(report, metrics) == "pause":
            return None
    saved = time.perf_counter()

    for epoch in range(len(ledger.curve) + 1, recipe.epochs + 1):
        order = torch.randperm(len(train), generator=learner.shuffling)
        train_loss = train_epoch(trial, task, learner, train, order, names, ledger)
        _check("training", train_loss, epoch)
        selecting, showing = _validate(trial, task, learner, train, order, validation, ledger)
        _check("validation", selecting.loss + showing.loss, epoch)
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=train_loss,
            select_error=selecting.error,
            select_loss=selecting.loss,
            report_error=showing.error,
            report_loss=showing.loss,
            seconds_training=ledger.seconds_training,
            seconds_evaluation=ledger.seconds_evaluation,
            seconds_data=ledger.seconds_data,
            kernel_sizes=kernel_sizes(learner.result),
        )
        ledger.curve.append(metrics)
        verdict = ledger.ask(report, metrics)
        due = time.perf_counter() - saved >= checkpoint_seconds
        if folder is not None and (due or verdict == "pause"):
            checkpoint.save(folder, trial, {"learner": learner.state(), "ledger": ledger.state()})
            saved = time.perf_counter()
        if verdict == "pause":
            if folder is None:
                raise ValueError("a trial without a folder cannot be paused; give run_trial a folder")
            return None
        if verdict == "stop" and epoch < recipe.epochs:
            return "stopped"

    if folder is not None and trial.study.kind == "finalist":
        checkpoint.save_weights(folder, learner.result.state_dict())
    return "completed"


def train_epoch(
    trial: Trial,
    task: TaskData,
    learner: Learner,
    train: Loader,
    order: Tensor,
    names: tuple[str, ...],
    ledger: Ledger,
) -> float:
    """One pass over the training rows: the mean loss of its steps.

    Args:
        trial, task: whose design and shape give the costs.
        learner: takes the steps.
        train: the rows.
        order: of the rows, int64 (rows,), on the CPU; those beyond the last whole batch are left out.
        names: of augmentations.
        ledger: is charged.
    """
    ledger.enter("training")
    learner.model.train()
    batch, steps = learner.batch, learner.steps_per_epoch
    cost = _cost(trial, task, learner.model, batch, training=True)
    adds = 3 * (batch * cost.multiply_adds + cost.generation)
    executed = 3 * (cost.executed + cost.generation)
    losses: Tensor | float = 0.0
    batches = train.batches(order[: steps * batch], batch)
    for inputs, labels in ledger.charged(augmented(batches, names, learner.augmenting)):
        losses += learner.step(inputs, labels)
        ledger.training_multiply_adds += adds
        ledger.training_executed += executed
    loss = float(losses) / steps  # waits for the device, so that the clock is right
    ledger.enter("")
    return loss


def _validate(
    trial: Trial,
    task: TaskData,
    learner: Learner,
    train: Loader,
    order: Tensor,
    validation: Sequence[Loader],
    ledger: Ledger,
) -> list[Score]:
    """Scores on the two halves of validation, with statistics of norms from the first rows of an order."""
    ledger.enter("evaluation")
    model, batch = learner.result, learner.batch
    some = order[: batch * min(trial.recipe.norm_batches, learner.steps_per_epoch)]
    settled = settle_norms(model, train.batches(some, batch))
    scores = [score(model, rows) for rows in validation]
    cost = _cost(trial, task, model)
    rows = settled + sum(map(len, validation))
    ledger.multiply_adds = cost.multiply_adds  # below: kernels are made once for all batches
    ledger.training_multiply_adds += rows * cost.multiply_adds + cost.generation
    ledger.training_executed += rows / BATCH * cost.executed + cost.generation
    ledger.enter("")
    return scores


def _check(what: str, loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise ArithmeticError(
            f"the {what} loss must be finite, got {loss} in epoch {epoch}; lower the learning rate"
        )


def _device(share: float) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.empty_cache()  # what earlier trials of this process held is there for all
    torch.cuda.set_per_process_memory_fraction(share)  # 1: no limit, whatever the trial before had
    torch.cuda.reset_peak_memory_stats()
    torch.backends.cudnn.allow_tf32 = False  # as matrix products are by default: float32 is float32
    return torch.device("cuda")


def _cost(
    trial: Trial, task: TaskData, model: nn.Module, batch: int = BATCH, training: bool = False
) -> Complexity:
    """At the present kernel sizes; `training`: at those that a training step computes."""
    return _complexity(
        trial.architecture,
        task.shape,
        kernel_sizes=kernel_sizes(model, sampled=training),
        batch=batch,
        device=next(model.parameters()).device.type,
        training=training,
    )


_complexity = lru_cache(maxsize=64)(complexity)  # sizes are mostly those of the epoch before
