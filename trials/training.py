"""One trial: a design trained once with one recipe and one seed, from top to bottom."""

from __future__ import annotations

import math
import os
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch._dynamo  # AdamW imports it, a second that would be charged to the first trial of a process
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.complexity import Complexity, complexity
from search_spaces.network import build, kernel_sizes, parameter_groups
from trials import checkpoint, surroundings
from trials.evaluation import BATCH, score, to_tensors
from trials.plain import from_plain, to_plain
from trials.recipe import Recipe
from trials.record import EpochMetrics, Status, Trial, TrialRecord, Verdict, keep_going
from trials.task import TaskData

__all__ = ["Verdict", "keep_going", "learning_rate", "run_trial"]


@dataclass(slots=True)
class _Progress:
    """What a trial has done so far, over all its attempts."""

    curve: list[EpochMetrics] = field(default_factory=list)
    parameters: int = 0
    multiply_adds: int = 0
    training_multiply_adds: int = 0
    training_executed: float = 0.0
    seconds_setup: float = 0.0
    seconds_training: float = 0.0
    seconds_evaluation: float = 0.0
    started: float = field(default_factory=time.time)
    phase: str = ""
    since: float = 0.0

    def enter(self, phase: str) -> None:
        """Charge the time since the last call to the phase that ends: setup, training, evaluation, none."""
        now = time.perf_counter()
        if self.phase:
            name = f"seconds_{self.phase}"
            setattr(self, name, getattr(self, name) + now - self.since)
        self.phase, self.since = phase, now


def run_trial(
    trial: Trial,
    task: TaskData,
    *,
    report: Callable[[EpochMetrics], Verdict] = keep_going,
    folder: Path | None = None,
    checkpoint_seconds: float = 10.0,
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

    Returns:
        The record; its status is ``failed`` for a loss that is not finite and for any exception. None
        if the trial was paused: call again with the same folder.
    """
    progress = _Progress()
    try:
        surroundings.reset_peak_memory()
        status = _train(trial, task, progress, report, folder, checkpoint_seconds)
        return None if status is None else _record(trial, task, progress, status)
    except Exception as error:
        progress.enter("")
        last_line = traceback.format_exception_only(error)[-1].strip()
        return _record(trial, task, progress, "failed", f"{last_line}\n{traceback.format_exc()}")


def _train(
    trial: Trial,
    task: TaskData,
    progress: _Progress,
    report: Callable[[EpochMetrics], Verdict],
    folder: Path | None,
    checkpoint_seconds: float,
) -> Status | None:
    progress.enter("setup")
    recipe = trial.recipe
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(trial.seed)
    model = build(trial.architecture, task.shape).to(device)
    groups = parameter_groups(model)
    optimizer = torch.optim.AdamW(
        [
            {"params": groups["weights"], "factor": 1.0, "weight_decay": recipe.weight_decay},
            {"params": groups["undecayed"], "factor": 1.0, "weight_decay": 0.0},
            {"params": groups["masks"], "factor": _mask_factor(trial), "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    shuffling = torch.Generator().manual_seed(trial.seed + 1)  # not the stream the weights came from
    train, select, shown = (to_tensors(rows, task, device) for rows in (task.train, task.select, task.report))
    batch = min(recipe.batch_size, len(task.train))
    steps_per_epoch = len(task.train) // batch
    progress.parameters = sum(each.numel() for each in model.parameters() if each.requires_grad)
    validation_batches = -(-len(task.select) // BATCH) - (-len(task.report) // BATCH)
    cost = _cost(trial, task, model)

    if folder is not None and (state := checkpoint.load(folder, trial)) is not None:
        now = progress.phase, progress.since
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        shuffling.set_state(state["shuffling"])
        _set_random_state(state["random"])
        for name, value in state["progress"].items():
            setattr(progress, name, value)
        progress.curve = [from_plain(EpochMetrics, each) for each in state["progress"]["curve"]]
        progress.phase, progress.since = now
        cost = _cost(trial, task, model)
    progress.multiply_adds = cost.multiply_adds
    for metrics in progress.curve:  # whoever decides on stopping may not remember them
        if report(metrics) == "pause":
            return None
    saved = time.perf_counter()

    for epoch in range(len(progress.curve) + 1, recipe.epochs + 1):
        progress.enter("training")
        model.train()
        step_cost = _cost(trial, task, model, batch=batch, training=True)
        losses = torch.zeros((), device=device)
        order = torch.randperm(len(task.train), generator=shuffling).to(device)
        for step in range(steps_per_epoch):
            rows = order[step * batch : (step + 1) * batch]
            logits = model(train.inputs[rows])
            loss = functional.cross_entropy(
                logits, train.labels[rows], label_smoothing=recipe.label_smoothing
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
            steps_done = (epoch - 1) * steps_per_epoch + step
            rate = learning_rate(recipe, steps_done, recipe.epochs * steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            optimizer.step()
            losses += loss.detach()
            progress.training_multiply_adds += 3 * (batch * step_cost.multiply_adds + step_cost.generation)
            progress.training_executed += 3 * (step_cost.executed + step_cost.generation)
        train_loss = float(losses) / steps_per_epoch  # waits for the device, so that the clock is right
        if not math.isfinite(train_loss):
            raise _diverged("training", train_loss, epoch)

        progress.enter("evaluation")
        selecting, showing = score(model, select), score(model, shown)
        cost = _cost(trial, task, model)
        progress.multiply_adds = cost.multiply_adds
        validation = (len(task.select) + len(task.report)) * cost.multiply_adds
        progress.training_multiply_adds += validation + validation_batches * cost.generation
        batches = (len(task.select) + len(task.report)) / BATCH
        progress.training_executed += batches * cost.executed + cost.generation  # kernels are made once
        progress.enter("")
        if not math.isfinite(selecting.loss + showing.loss):
            raise _diverged("validation", selecting.loss + showing.loss, epoch)

        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=train_loss,
            select_error=selecting.error,
            select_loss=selecting.loss,
            report_error=showing.error,
            report_loss=showing.loss,
            seconds_training=progress.seconds_training,
            seconds_evaluation=progress.seconds_evaluation,
            kernel_sizes=kernel_sizes(model),
        )
        progress.curve.append(metrics)

        verdict = report(metrics)
        due = time.perf_counter() - saved >= checkpoint_seconds
        if folder is not None and (due or verdict == "pause"):
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "shuffling": shuffling.get_state(),
                "random": _random_state(),
                "progress": to_plain(progress),
            }
            checkpoint.save(folder, trial, state)
            saved = time.perf_counter()
        if verdict == "pause":
            if folder is None:
                raise ValueError("a trial without a folder cannot be paused; give run_trial a folder")
            return None
        if verdict == "stop" and epoch < recipe.epochs:
            return "stopped"

    if folder is not None and trial.study.kind == "finalist":
        checkpoint.save_weights(folder, model.state_dict())
    return "completed"


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step, a function of its position alone: linear warm-up, cosine to zero.

    Args:
        step: from 0.
        steps: of the whole training.
    """
    warming = round(recipe.warmup * steps)
    if step < warming:
        return recipe.learning_rate * (step + 1) / warming
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warming) / (steps - warming)))


def _mask_factor(trial: Trial) -> float:
    """Learning rate of masks over that of the weights: the design's own, if it has one, else the recipe's."""
    own = dict(trial.architecture.settings).get("mask_factor")
    return float(own) if isinstance(own, int | float) else trial.recipe.mask_factor


def _cost(
    trial: Trial, task: TaskData, model: nn.Module, batch: int = BATCH, training: bool = False
) -> Complexity:
    """At the present kernel sizes; `training`: at those that a training step computes."""
    return complexity(
        trial.architecture,
        task.shape,
        kernel_sizes=kernel_sizes(model, sampled=training),
        batch=batch,
        device=next(model.parameters()).device.type,
        training=training,
    )


def _diverged(what: str, loss: float, epoch: int) -> ArithmeticError:
    return ArithmeticError(
        f"the {what} loss must be finite, got {loss} in epoch {epoch}; lower the learning rate"
    )


def _random_state() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def _set_random_state(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if torch.cuda.is_available() and len(states) == 1 + torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states[1:])


def _record(
    trial: Trial, task: TaskData, progress: _Progress, status: Status, reason: str = ""
) -> TrialRecord:
    accelerated = torch.cuda.is_available()
    return TrialRecord(
        trial=trial,
        status=status,
        reason=reason,
        curve=tuple(progress.curve),
        parameters=progress.parameters,
        multiply_adds=progress.multiply_adds,
        training_multiply_adds=progress.training_multiply_adds,
        training_executed=progress.training_executed,
        seconds_setup=progress.seconds_setup,
        seconds_training=progress.seconds_training,
        seconds_evaluation=progress.seconds_evaluation,
        peak_memory_bytes=surroundings.peak_memory_bytes(),
        peak_device_bytes=torch.cuda.max_memory_allocated() if accelerated else None,
        rows_train=len(task.train),
        rows_select=len(task.select),
        rows_report=len(task.report),
        classes=task.shape.classes,
        majority_error=task.majority_error,
        digest=task.digest,
        started=progress.started,
        finished=time.time(),
        device=torch.cuda.get_device_name() if accelerated else surroundings.processor(),
        host=platform.node(),
        process=os.getpid(),
        software=surroundings.software(),
        commit=surroundings.commit(),
    )
