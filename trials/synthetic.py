"""`run_trial` without training: a closed-form learning curve, to try the machinery around it at scale.

For a design whose kernel values are k_1 .. k_n (the integers among the trial's values), epoch t of T:

    distance  d = mean_i |log2(k_i / 5)|            (`SINGLE` if there are none)
    final     f = 0.05 + 0.1 d                      (at most the majority error m)
    error(t)    = f + (m - f) exp(-5 t / T) + z     z ~ N(0, 0.005), clipped to [0, 1]
    loss(t)     = 2 error(t)

z is drawn from the trial's seed, the design and t, once for `select` and once for `report`. The best design
has 5 everywhere and ends near 0.05. A kernel that learns its size has an odd number of taps drawn from seed
and design, on each axis as far as there is room. Every cost is a formula of d and t as well, so records
repeat exactly, their times of day and process excepted.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from search_spaces.complexity import KernelSizes, initial_taps, parts
from search_spaces.parts import Convolution
from trials import surroundings
from trials.plain import dumps, from_plain, to_plain
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
from trials.storage import Storage, kept
from trials.task import TaskData

OPTIMUM = 5
"""The kernel size that is best everywhere."""
SINGLE = 0.25
"""Distance of a design without kernel values."""
SECONDS = 0.01
"""What an epoch of a design at distance 0 claims to take."""
CHECKPOINT = "checkpoint.json"


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
    on_kept: Callable[[int], None] = ignored,
) -> TrialRecord | None:
    """Arguments and result of `trials.training.run_trial`; no network is built and no weights are kept.

    It takes one step an epoch; a checkpoint has no weights, so no limit of bytes matters.
    """
    started = saved = time.time()
    curve = _resume(folder, trial)
    on_kept(len(curve))
    status: Status = "completed"
    verdict: Verdict = "continue"
    for metrics in curve:
        if (verdict := report(metrics)) in ("pause", "cancel"):
            break
    sizes = _kernel_sizes(trial, task)
    while len(curve) < trial.recipe.epochs and verdict == "continue":
        if (verdict := asked()) in ("pause", "cancel"):
            break
        curve.append(_metrics(trial, task, len(curve) + 1, sizes))
        verdict = report(curve[-1])
        if verdict == "continue" and folder is not None and time.time() - saved >= checkpoint_seconds:
            _save(folder, trial, curve)
            on_kept(len(curve))
            saved = time.time()
    if verdict == "stop" and len(curve) < trial.recipe.epochs:
        status = "stopped"
    if verdict == "pause":
        if folder is None:
            raise ValueError("a trial without a folder cannot be paused; give run_trial a folder")
        _save(folder, trial, curve)
        on_kept(len(curve))
        return None
    if verdict == "cancel":
        status = "failed"
    multiply_adds = round(1e6 * (1 + distance(trial)))
    forwards = 3 * len(task.train) + len(task.select) + len(task.report)
    return TrialRecord(
        trial=trial,
        status=status,
        reason=CANCELLED if verdict == "cancel" else "",
        curve=tuple(curve),
        parameters=1000,
        multiply_adds=multiply_adds,
        training_multiply_adds=multiply_adds * forwards * len(curve),
        seconds_training=curve[-1].seconds_training if curve else 0.0,
        seconds_evaluation=curve[-1].seconds_evaluation if curve else 0.0,
        rows_train=len(task.train),
        rows_select=len(task.select),
        rows_report=len(task.report),
        classes=task.shape.classes,
        majority_error=task.majority_error,
        digest=task.digest,
        latency_seconds=SECONDS * (1 + distance(trial)) / 1000 if timed and status == "completed" else None,
        started=started,
        finished=time.time(),
        device="synthetic",
        device_share=device_share,
        host=platform.node(),
        process=os.getpid(),
        software=surroundings.software(),
        commit=surroundings.commit(),
    )


def distance(trial: Trial) -> float:
    """How far a trial's design is from the best one, in octaves of kernel size."""
    kernels = [value for value in trial.values.values() if type(value) is int and value > 0]
    if not kernels:
        return SINGLE
    return sum(abs(math.log2(kernel / OPTIMUM)) for kernel in kernels) / len(kernels)


def _metrics(trial: Trial, task: TaskData, epoch: int, sizes: KernelSizes) -> EpochMetrics:
    final = min(0.05 + 0.1 * distance(trial), task.majority_error)
    level = final + (task.majority_error - final) * math.exp(-5 * epoch / trial.recipe.epochs)
    rng = np.random.default_rng((trial.seed, int(trial.architecture.id, 16), epoch))
    noisy = [min(max(level + 0.005 * z, 0.0), 1.0) for z in rng.standard_normal(2).tolist()]
    halves = (len(task.select), len(task.report))
    select, report = (round(error * rows) / rows for error, rows in zip(noisy, halves))
    seconds = SECONDS * (1 + distance(trial)) * epoch
    return EpochMetrics(
        epoch=epoch,
        train_loss=2 * level,
        select_error=select,
        select_loss=2 * select,
        report_error=report,
        report_loss=2 * report,
        seconds_training=seconds,
        seconds_evaluation=seconds / 10,
        kernel_sizes=sizes,
        at=time.time(),
    )


def _kernel_sizes(trial: Trial, task: TaskData) -> KernelSizes:
    rng = np.random.default_rng((trial.seed, int(trial.architecture.id, 16)))
    sizes = []
    for part in parts(trial.architecture, task.shape):
        if isinstance(part, Convolution):
            drawn = 3 + 2 * int(rng.integers(max(part.size) // 2))
            fits = tuple(min(drawn, n) for n in part.size)
            sizes.append(initial_taps(part) if part.function is None else fits)
    return tuple(sizes)


def _save(folder: Storage, trial: Trial, curve: list[EpochMetrics]) -> None:
    with kept():
        folder.put(CHECKPOINT, json.dumps({"trial": dumps(trial), "curve": to_plain(curve)}).encode())


def _resume(folder: Storage | None, trial: Trial) -> list[EpochMetrics]:
    with kept():
        data = None if folder is None else folder.get(CHECKPOINT)
    state = {"trial": ""} if data is None else json.loads(data)
    if state["trial"] != dumps(trial):
        return []
    return [from_plain(EpochMetrics, each) for each in state["curve"]]
