"""The trainings of `frequency_rule.py`, and the file that keeps them.

They follow `trials.training.run_trial` to the bit (same streams of random numbers, same schedule), but
validate after the last epoch only, and know a penalty and other scales of the kernel.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from frequency_tasks import SOURCES, opened
from torch import nn
from torch.nn import functional

from search_spaces import SPACES, Architecture
from search_spaces.layers.antialiasing import aliasing_penalty
from search_spaces.layers.filters import nyquist
from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.resolution import at_rate
from search_spaces.network import build, freeze, parameter_groups
from trials.evaluation import score
from trials.learner import settle_norms
from trials.loading import Loader
from trials.recipe import STANDARD, Recipe, learning_rate
from trials.surroundings import commit, processor, software
from trials.task import TaskData

WEIGHT = 0.1
"""Of the anti-aliasing penalty, as published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training, and all that defines it.

    Attributes:
        share: the design's `frequency`, as a share of Nyquist.
        output: what scales the kernel: ``gain`` (the product's), ``chang`` (output weights times
            sqrt(1 / (in_channels * taps)), no gain) or ``none``.
        penalty: target of the regulariser, or empty.
        doubled: whether the network is also applied at twice the rate.
        rows: at most so many training and validation rows.
    """

    task: str
    share: float
    seed: int
    epochs: int
    output: str = "gain"
    penalty: str = ""
    doubled: bool = False
    rows: int | None = None


Result = dict[str, Any]


def train(job: Job, data: Path) -> Result:
    """Error on the validation rows and what else is said of a training; error 1 if it diverged."""
    torch.set_num_threads(1)
    task = opened(job.task, data, job.rows)
    recipe = replace(STANDARD.for_space("flexconv"), epochs=job.epochs)
    torch.manual_seed(job.seed)
    network = build(design(task, job.share), task.shape)
    rescale_outputs(network, job.output)
    started = time.process_time()
    finished = fit(network, task, recipe, job.seed, job.penalty)
    result: Result = {
        "error": error(network, task, task) if finished else 1.0,
        "train_rows": len(task.train),
        "validation_rows": len(task.select) + len(task.report),
        "shape": str(task.shape),
        "majority": task.majority_error,
        "digest": task.digest[:12],
    }
    if job.doubled:
        finer = opened(job.task, data, job.rows, 2)
        result["doubled_error"] = error(at_rate(network, 2), finer, task) if finished else 1.0
        result["bandwidth"] = bandwidth(network)
        with torch.no_grad():
            result["gabor"] = float(aliasing_penalty(network, "gabor"))
            result["gabor+mask"] = float(aliasing_penalty(network, "gabor+mask"))
    result["seconds"] = round(time.process_time() - started, 2)
    return result | {"commit": commit(), "processor": processor(), "software": software()}


def design(task: TaskData, share: float | None = None) -> Architecture:
    """The single design, with another initial frequency unless that is None."""
    space = SPACES["flexconv"](task.shape)
    single = space.decode({choice.name: choice.options[0] for choice in space.choices})
    if share is None:
        return single
    return Architecture.of(single.family, **(dict(single.settings) | {"frequency": share}))


def rescale_outputs(network: nn.Module, output: str) -> None:
    """Replaces the gain of every FlexConv by another scale of its outputs, see `Job`."""
    if output == "gain":
        return
    for layer in _flexconvs(network):
        layer.gain.fill_(1.0)
        if output == "chang":
            taps = layer.in_channels * math.prod(layer.kernel_size)
            with torch.no_grad():
                layer.generator.output.weight.mul_(math.sqrt(1 / taps))


def fit(network: nn.Module, task: TaskData, recipe: Recipe, seed: int, penalty: str) -> bool:
    """Trains as `run_trial` does, plus the penalty if there is one; False if the loss left the numbers."""
    groups = parameter_groups(network)
    optimizer = torch.optim.AdamW(
        [
            {"params": groups["weights"], "factor": 1.0, "weight_decay": recipe.weight_decay},
            {"params": groups["undecayed"], "factor": 1.0, "weight_decay": 0.0},
            {"params": groups["masks"], "factor": recipe.mask_factor, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    rows = Loader(task.train, task, torch.device("cpu"))
    shuffling = torch.Generator().manual_seed(seed + 1)
    batch = min(recipe.batch_size, len(task.train))
    steps = len(task.train) // batch
    network.train()
    orders = [torch.randperm(len(rows), generator=shuffling)[: steps * batch] for _ in range(recipe.epochs)]
    for step, (inputs, labels) in enumerate(each for order in orders for each in rows.batches(order, batch)):
        loss = functional.cross_entropy(network(inputs), labels, label_smoothing=recipe.label_smoothing)
        if penalty:
            loss = loss + WEIGHT * aliasing_penalty(network, penalty)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * learning_rate(recipe, step, recipe.epochs * steps)
        optimizer.step()
        if not torch.isfinite(loss):
            return False
    settle_norms(network, rows.batches(orders[-1][: recipe.norm_batches * batch], batch))
    return True


def error(network: nn.Module, rows: TaskData, trained: TaskData) -> float:
    """Validation error on the rows of one task, normalised as the task that was trained."""
    frozen, wrong = freeze(network), 0.0
    for part in (rows.select, rows.report):
        wrong += len(part) * score(frozen, Loader(part, trained, torch.device("cpu"))).error
    return wrong / (len(rows.select) + len(rows.report))


def bandwidth(network: nn.Module) -> float:
    """Sum over filters of the mean frequency |w| / 2 pi, as a share of Nyquist; mean over layers."""
    sums = []
    for layer in _flexconvs(network):
        means = layer.generator.filters.weight.detach().abs().mean(1)  # (filters, D)
        sums.append(float((means.sum(0) / (2 * math.pi) / nyquist(layer.size)).mean()))
    return statistics.mean(sums)


def _flexconvs(network: nn.Module) -> list[FlexConv]:
    return [module for module in network.modules() if isinstance(module, FlexConv)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Where results are kept and how they are made; quick: one epoch, few rows and seeds, to try it."""

    results: Path
    data: Path
    processes: int
    quick: bool

    def job(self, task: str, share: float, seed: int, **others: Any) -> Job:
        """A training with the settings of its task."""
        epochs, rows = (1, 300) if self.quick else (SOURCES[task].epochs, None)
        return Job(task=task, share=share, seed=seed, epochs=epochs, rows=rows, **others)

    def some(self, values: Sequence[Any], count: int = 2) -> Sequence[Any]:
        """`values`, or a few in the middle of them if quick."""
        first = max(0, len(values) // 2 - 1)
        return values[first : first + count] if self.quick else values

    @property
    def rule(self) -> float:
        """The share of Nyquist that the single design has."""
        return float(design(opened("digits", self.data, None))["frequency"])

    def known(self) -> dict[str, Result]:
        """Finished trainings; a line that was cut off is no training."""
        found = {}
        lines = self.results.read_text().splitlines() if self.results.is_file() else []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            found[_key(entry["job"])] = entry["result"]
        return found

    def run(self, jobs: Sequence[Job]) -> dict[Job, Result]:
        """Results of all jobs; the missing ones are trained, one of each task first."""
        known = self.known()
        missing = [job for job in dict.fromkeys(jobs) if _key(asdict(job)) not in known]
        firsts = {job.task: job for job in reversed(missing)}
        missing.sort(key=lambda job: firsts[job.task] != job)
        seconds: dict[str, list[float]] = {}
        self.results.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(self.processes) as pool, self.results.open("a") as file:
            if self.results.stat().st_size and not self.results.read_text().endswith("\n"):
                file.write("\n")
            waiting = {pool.submit(train, job, self.data): job for job in missing}
            for done, future in enumerate(as_completed(waiting), 1):
                job, result = waiting[future], future.result()
                known[_key(asdict(job))] = result
                file.write(json.dumps({"job": asdict(job), "result": result}) + "\n")
                file.flush()
                seconds.setdefault(job.task, []).append(result["seconds"])
                left = sum(
                    statistics.mean(seconds.get(other.task, [result["seconds"]]))
                    for future, other in waiting.items()
                    if not future.done()
                )
                kind = f"{job.task} {job.share:g} {job.output} {job.penalty} seed {job.seed}"
                print(
                    f"{done}/{len(missing)} {kind}: {100 * result['error']:.2f} % in {result['seconds']} s; "
                    f"about {left / 60:.0f} core-minutes left",
                    file=sys.stderr,
                    flush=True,
                )
        return {job: known[_key(asdict(job))] for job in jobs}


def _key(job: dict[str, Any]) -> str:
    return json.dumps(job, sort_keys=True)
