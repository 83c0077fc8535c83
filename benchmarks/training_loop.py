"""What the training loop of a trial costs over a bare one on tensors in memory.

    OMP_NUM_THREADS=1 python benchmarks/training_loop.py [--repeats 25]
    python benchmarks/training_loop.py --device cuda

The bare loop: forward, loss, backward, clip, step of the optimiser, on a normalised copy of all rows, batches
cut in advance. Ours is an epoch as `run_trial` does it: shuffling, gathering, normalising, learning rate,
accounting. Both train alike networks in one process by turns, and seconds of the processor are counted, since
the machine may be shared (with a GPU: of the clock, until its work is done); at a learning rate at which
kernels keep their sizes. The ratio is that of medians, its spread the quartiles of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from search_spaces import SPACES
from trials.attempt import Attempt
from trials.dataset import ArrayPart, Dataset
from trials.energy import Meter
from trials.isolation import whole_float32
from trials.learner import Learner
from trials.ledger import Ledger
from trials.loading import Loader
from trials.recipe import STANDARD
from trials.record import Study, Trial
from trials.reference import Task
from trials.surroundings import commit, processor, software
from trials.task import TaskData, open_task
from trials.training import train_epoch

ROWS = 1088


def images() -> Dataset:
    """Noise of the shape of Fashion-MNIST, uint8."""
    return _noise((1, 28, 28), np.uint8)


def series() -> Dataset:
    """Noise of 1,000 samples, float32."""
    return _noise((1, 1000), np.float32)


def _noise(shape: tuple[int, ...], kind: type) -> Dataset:
    rng = np.random.default_rng(0)

    def part(rows: int) -> ArrayPart:
        values = rng.random((rows, *shape), dtype=np.float32)
        inputs = (255 * values).astype(np.uint8) if kind is np.uint8 else values
        return ArrayPart(inputs, np.arange(rows) % 10)

    return Dataset(train=part(ROWS), validation=part(200), test=part(20), class_names=tuple("0123456789"))


def trial_of(space: str, task: TaskData) -> Trial:
    drawn = SPACES[space](task.shape)
    values = drawn.sample(np.random.default_rng(0))
    return Trial(
        study=Study(task=task.name, space=space, kind="population"),
        number=0,
        task=task.task,
        architecture=drawn.decode(values),
        values=values,
        recipe=replace(STANDARD, epochs=10_000, learning_rate=1e-9, per_space=()),
        seed=0,
    )


class Bare:
    """The loop that cannot do less."""

    def __init__(self, trial: Trial, task: TaskData, device: torch.device) -> None:
        torch.manual_seed(0)
        self.model = Learner(trial, task.shape, device, ROWS).model.train()
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-9, fused=True)
        loader = Loader(task.train, task, device)
        self.batches = [each for each in loader.in_order(64) if len(each[0]) == 64]

    def epoch(self) -> None:
        for inputs, labels in self.batches:
            loss = functional.cross_entropy(self.model(inputs), labels)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()


class Ours:
    """The loop of a trial."""

    def __init__(self, trial: Trial, task: TaskData, device: torch.device) -> None:
        self.task, self.attempt = task, Attempt(trial=trial, ledger=Ledger(Meter()))
        self.learner = Learner(trial, task.shape, device, len(task.train))
        self.train = Loader(task.train, task, device)

    def epoch(self) -> None:
        order = self.learner.begin_epoch()
        train_epoch(self.attempt, self.task, self.learner, self.train, order, ())
        self.learner.end_epoch()


def seconds(loop: Bare | Ours, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    began = clock()
    loop.epoch()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="The training loop against a bare one.")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    whole_float32()
    device = torch.device(options.device)
    where = torch.cuda.get_device_name() if options.device == "cuda" else processor()
    print(f"commit {commit()}, {where}, {software()}; {options.repeats} epochs of each\n")
    print("| task | space | bare ms a step | ours | ratio | quartiles | data, share of ours |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in ("digits", f"{__file__}:images", f"{__file__}:series"):
        task = open_task(Task.parse(name))
        for space in ("twin_3x3", "flexconv"):
            trial = trial_of(space, task)
            bare, ours = Bare(trial, task, device), Ours(trial, task, device)
            bare.epoch(), ours.epoch()
            ours.attempt.ledger = Ledger(Meter())
            pairs = [(seconds(bare, device), seconds(ours, device)) for _ in range(options.repeats)]
            ours.attempt.ledger.enter("")
            low, high = statistics.median(b for b, _ in pairs), statistics.median(o for _, o in pairs)
            quarter, _, three = statistics.quantiles([o / b for b, o in pairs], n=4)
            steps = len(bare.batches)
            data = ours.attempt.ledger.seconds_data / sum(o for _, o in pairs)
            print(
                f"| {task.name} | {space} | {1000 * low / steps:.2f} | {1000 * high / steps:.2f} "
                f"| {high / low:.3f} | {quarter:.3f} to {three:.3f} | {100 * data:.1f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
