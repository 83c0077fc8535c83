"""One trial: a design trained once with one recipe and one seed, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from search_spaces.complexity import Complexity, complexity
from search_spaces.network import kernel_sizes
from trials import checkpoint, surroundings
from trials.attempt import Attempt, Cancelled, Paused
from trials.augmentation import applied, augmented
from trials.energy import Meter
from trials.evaluation import BATCH, Score, latency, score
from trials.isolation import give_memory_back, isolated
from trials.learner import Learner, settle_norms
from trials.ledger import Ledger
from trials.loading import Loader
from trials.logs import captured, reason_of
from trials.record import (
    CANCELLED,
    EpochMetrics,
    Status,
    Trial,
    TrialRecord,
    Verdict,
    ignored,
    keep_going,
    unasked,
)
from trials.storage import Storage, Unwritten
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
    asked: Callable[[], Verdict] = unasked,
    timed: bool = False,
    checkpoint_bytes: int | None = None,
    inside_seconds: float = 300.0,
    on_kept: Callable[[int], None] = ignored,
) -> TrialRecord | None:
    """Trains and scores one design.

    On a CPU, the same trial on the same machine with the same number of threads gives the same curve and
    weights, bit for bit, also when it was interrupted and resumed, and whatever ran in the process before.

    Args:
        trial: what to do. Its recipe is taken as it stands.
        task: the opened task of the trial.
        report: called after each epoch; a resumed trial reports its earlier epochs again first, and "stop"
            is no answer to those.
        folder: where the checkpoint is kept, and ``weights.safetensors`` of a completed finalist; None
            keeps nothing. A checkpoint of this trial found there is resumed.
        checkpoint_seconds: after an epoch, a checkpoint is due when the last one is so old.
        device_share: of an accelerator, in (0, 1]; a trial that asks for more of its memory fails.
        asked: called after each step and before each batch of a validation: "pause" and "cancel" count.
        timed: measure the latency of a trial that completes.
        checkpoint_bytes: largest checkpoint; None for any.
        inside_seconds: inside an epoch, a checkpoint is due when the last one is so old.
        on_kept: told how many epochs a checkpoint holds: they will not be trained again.

    Returns:
        The record; its status is ``failed`` for a loss that is not finite, for any exception, and for a trial
        that was cancelled. None if the trial was paused: call again with the same folder.

    Raises:
        Unwritten: the checkpoint cannot be read, or the weights cannot be written; call again once they can.
    """
    with captured() as log, isolated(trial.seed):
        ledger = Ledger(Meter(surroundings.accelerator()), log, device_share)
        names = applied(trial.recipe.augmentation, task.augmentations, task.shape.dimensions)
        reason = ""
        status: Status | None
        try:
            surroundings.reset_peak_memory()
            attempt = Attempt(
                trial=trial,
                ledger=ledger,
                folder=folder,
                asked=asked,
                checkpoint_seconds=checkpoint_seconds,
                checkpoint_bytes=checkpoint_bytes,
                inside_seconds=inside_seconds,
                on_kept=on_kept,
            )
            status = _train(attempt, task, names, report, device_share, timed)
        except Cancelled:
            status, reason = "failed", CANCELLED
        except Unwritten:
            raise
        except Exception as error:
            status, reason = "failed", reason_of(error)
        finally:
            ledger.enter("")
            ledger.meter.close()
        if status is None:
            return None
        record = ledger.record(trial, task, status, reason=reason, augmentation=names)
    if record.out_of_memory:
        give_memory_back()
    return record


def _train(
    attempt: Attempt,
    task: TaskData,
    names: tuple[str, ...],
    report: Callable[[EpochMetrics], Verdict],
    device_share: float,
    timed: bool,
) -> Status | None:
    trial, ledger, folder = attempt.trial, attempt.ledger, attempt.folder
    ledger.enter("setup")
    device = _device(device_share)
    train, *validation = (
        Loader(rows, task, device, device_share) for rows in (task.train, task.select, task.report)
    )
    learner = Learner(trial, task.shape, device, rows=len(train))
    ledger.parameters = sum(each.numel() for each in learner.model.parameters() if each.requires_grad)
    if folder is not None and (state := checkpoint.load(folder, trial)) is not None:
        learner.restore(state["learner"])
        ledger.restore(state["ledger"])
        attempt.on_kept(len(ledger.curve))
    ledger.multiply_adds = _cost(trial, task, learner.result).multiply_adds
    ledger.enter("")
    try:
        stop = False
        for metrics in ledger.curve:  # whoever decides on stopping may not remember them
            stop = attempt.ask(partial(report, metrics))
        if stop and not learner.taken and len(ledger.curve) < trial.recipe.epochs:
            return "stopped"  # it was paused, or killed, before it could be told
        for _ in range(len(ledger.curve), trial.recipe.epochs):
            metrics = _epoch(attempt, task, learner, train, validation, names)
            stop = attempt.ask(partial(report, metrics))
            if stop and metrics.epoch < trial.recipe.epochs:
                return "stopped"
            attempt.keep(learner, attempt.checkpoint_seconds)
    except Paused:
        if folder is None:
            raise ValueError("a trial without a folder cannot be paused; give run_trial a folder") from None
        ledger.enter("")
        ledger.seconds_evaluation = ledger.curve[-1].seconds_evaluation if ledger.curve else 0.0
        attempt.keep(learner)  # what was validated since the last epoch is done again, and charged then
        return None

    if folder is not None and trial.study.kind == "finalist":
        checkpoint.save_weights(folder, learner.result.state_dict())
    if timed:
        row, _ = next(validation[-1].in_order(1))
        ledger.latency_seconds = latency(learner.result, row)
    return "completed"


def _epoch(
    attempt: Attempt,
    task: TaskData,
    learner: Learner,
    train: Loader,
    validation: Sequence[Loader],
    names: tuple[str, ...],
) -> EpochMetrics:
    """One epoch, or what is left of it, and its validation."""
    ledger = attempt.ledger
    epoch = len(ledger.curve) + 1
    order = learner.begin_epoch()
    train_loss = train_epoch(attempt, task, learner, train, order, names)
    _check("training", train_loss, epoch)
    selecting, showing = _validate(attempt, task, learner, train, order, validation)
    _check("validation", selecting.loss + showing.loss, epoch)
    learner.end_epoch()
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
        at=time.time(),
        load=attempt.watch.look(),
    )
    ledger.curve.append(metrics)
    return metrics


def train_epoch(
    attempt: Attempt, task: TaskData, learner: Learner, train: Loader, order: Tensor, names: tuple[str, ...]
) -> float:
    """One pass over the training rows, or what is left of it: the mean loss of its steps.

    Args:
        attempt: is charged, and may interrupt between steps.
        task: its shape gives the costs.
        learner: takes the steps.
        train: the rows.
        order: of the rows, int64 (rows,), on the CPU; those beyond the last whole batch are left out.
        names: of augmentations.
    """
    trial, ledger = attempt.trial, attempt.ledger
    ledger.enter("training")
    learner.model.train()
    batch, steps = learner.batch, learner.steps_per_epoch
    cost = _cost(trial, task, learner.model, batch, training=True)
    adds = 3 * (batch * cost.multiply_adds + cost.generation)
    executed = 3 * (cost.executed + cost.generation)
    left = order[learner.taken * batch : steps * batch]
    batches = train.batches(left, batch) if len(left) else ()
    for inputs, labels in ledger.charged(augmented(batches, names, learner.augmenting)):
        learner.step(inputs, labels)
        ledger.training_multiply_adds += adds
        ledger.training_executed += executed
        attempt.between_steps(learner)
    loss = learner.loss  # waits for the device, so that the clock is right
    ledger.enter("")
    return loss


def _validate(
    attempt: Attempt,
    task: TaskData,
    learner: Learner,
    train: Loader,
    order: Tensor,
    validation: Sequence[Loader],
) -> list[Score]:
    """Scores on the two halves of validation, with statistics of norms from the first rows of an order."""
    trial, ledger = attempt.trial, attempt.ledger
    ledger.enter("evaluation")
    model, batch = learner.result, learner.batch
    some = order[: batch * min(trial.recipe.norm_batches, learner.steps_per_epoch)]
    settled = settle_norms(model, attempt.watched(train.batches(some, batch)))
    scores = [score(model, rows, attempt.watched) for rows in validation]
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
