"""How far running statistics of batch norm lag behind the weights, and what helps: docs/decisions/0005.

    OMP_NUM_THREADS=1 python benchmarks/norm_statistics.py [--seeds 3] [--epochs 20]

One training a space, task and seed: statistics do not enter a training step, so all ways to keep them are
followed at once and each scores the same weights. Prints validation error in %, mean over seeds, and the
seconds of a recomputation as a share of those of the epoch's training.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces import SPACES
from search_spaces.network import build, parameter_groups
from trials.evaluation import score
from trials.loading import Loader
from trials.recipe import STANDARD, learning_rate
from trials.task import TaskData, open_task

SHOWN = (1, 2, 3, 4, 5, 6)
MOMENTA: dict[str, Callable[[int], float]] = {
    "momentum 0.1": lambda step: 0.1,
    "momentum 0.2": lambda step: 0.2,
    "momentum 0.3": lambda step: 0.3,
    "momentum 0.5": lambda step: 0.5,
    "0.1, mean at first": lambda step: max(0.1, 1 / step),
    "0.2, mean at first": lambda step: max(0.2, 1 / step),
}
RECOMPUTED = (4, 8, 16)


class Followed:
    """Running statistics of every norm of a network, kept in every way of `MOMENTA`."""

    def __init__(self, model: nn.Module) -> None:
        self.norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        start = [(torch.zeros(n.num_features), torch.ones(n.num_features)) for n in self.norms]
        self.kept = {name: [(m.clone(), v.clone()) for m, v in start] for name in MOMENTA}
        self.steps = [0 for _ in self.norms]
        for place, norm in enumerate(self.norms):
            norm.register_forward_pre_hook(self._hook(place))

    def _hook(self, place: int) -> Callable[..., None]:
        def note(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            if not norm.training or not torch.is_grad_enabled():
                return
            x = arguments[0].detach().transpose(0, 1).flatten(1)
            self.steps[place] += 1
            for name, momentum in MOMENTA.items():
                for kept, value in zip(self.kept[name][place], (x.mean(1), x.var(1))):
                    kept.lerp_(value, momentum(self.steps[place]))

        return note

    def put(self, name: str) -> None:
        """Gives the network the statistics of one way."""
        for norm, (mean, variance) in zip(self.norms, self.kept[name]):
            norm.running_mean, norm.running_var = mean.clone(), variance.clone()

    def recompute(self, model: nn.Module, batches: list[Tensor]) -> None:
        """The mean over training batches at the present weights; everything else in evaluation mode."""
        model.eval()
        for norm in self.norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for inputs in batches:
                model(inputs)
        for norm in self.norms:
            norm.momentum = 0.1


def errors(space: str, task: TaskData, seed: int, epochs: int) -> tuple[dict[tuple[str, int], float], float]:
    """Validation error by way and epoch of one training; seconds of its steps an epoch."""
    drawn = SPACES[space](task.shape)
    architecture = drawn.decode(drawn.sample(np.random.default_rng(0)))
    recipe = STANDARD.for_space(space)
    torch.manual_seed(seed)
    model = build(architecture, task.shape)
    followed = Followed(model)
    groups = parameter_groups(model)
    factors = {"weights": 1.0, "undecayed": 1.0, "masks": recipe.mask_factor}
    optimizer = torch.optim.AdamW(
        [
            {
                "params": groups[name],
                "factor": factor,
                "weight_decay": recipe.weight_decay * (name == "weights"),
            }
            for name, factor in factors.items()
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    cpu = torch.device("cpu")
    train, *validation = (Loader(rows, task, cpu) for rows in (task.train, task.select, task.report))
    shuffling = torch.Generator().manual_seed(seed + 1)
    batch = min(recipe.batch_size, len(train))
    per_epoch = len(train) // batch
    found: dict[tuple[str, int], float] = {}
    seconds: list[float] = []

    def note(way: str, epoch: int) -> None:
        wrong = sum(score(model, rows).error * len(rows) for rows in validation)
        found[way, epoch] = 100 * wrong / sum(map(len, validation))

    step = 0
    for epoch in range(1, epochs + 1):
        model.train()
        began = time.perf_counter()
        order = torch.randperm(len(train), generator=shuffling)[: per_epoch * batch]
        for inputs, labels in train.batches(order, batch):
            loss = functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * learning_rate(recipe, step, recipe.epochs * per_epoch)
            optimizer.step()
            step += 1
        seconds.append(time.perf_counter() - began)
        if epoch not in (*SHOWN, epochs):
            continue
        for way in MOMENTA:
            followed.put(way)
            note(way, epoch)
        for count in RECOMPUTED:
            began = time.perf_counter()
            some = [inputs for inputs, _ in train.batches(order[: count * batch], batch)]
            followed.recompute(model, some)
            found[f"seconds {count}", epoch] = time.perf_counter() - began
            note(f"recomputed, {count} batches", epoch)
    return found, statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ways to keep the statistics of batch norms, compared.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--tasks", nargs="+", default=["digits@rows=400", "digits", "mnist5k@rows=1600"])
    parser.add_argument("--spaces", nargs="+", default=["flexconv", "twin_3x3"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    epochs = sorted({*(e for e in SHOWN if e <= options.epochs), options.epochs})
    for name in options.tasks:
        task = open_task(name)
        for space in options.spaces:
            table: dict[Any, list[float]] = defaultdict(list)
            shares: dict[int, list[float]] = defaultdict(list)
            for seed in range(options.seeds):
                found, seconds = errors(space, task, seed, options.epochs)
                for key, value in found.items():
                    table[key].append(value)
                for count in RECOMPUTED:
                    took = [found[f"seconds {count}", epoch] for epoch in epochs]
                    shares[count].append(statistics.median(took) / seconds)
            print(f"\n## {name}, {space}\n")
            print("| statistics | " + " | ".join(f"epoch {epoch}" for epoch in epochs) + " |")
            print("| --- |" + " --- |" * len(epochs))
            ways = [*MOMENTA, *(f"recomputed, {count} batches" for count in RECOMPUTED)]
            for way in ways:
                cells = (f"{statistics.mean(table[way, epoch]):.1f}" for epoch in epochs)
                print(f"| {way} | " + " | ".join(cells) + " |")
            means = {count: statistics.mean(each) for count, each in shares.items()}
            text = ", ".join(f"{count}: {100 * mean:.0f} %" for count, mean in means.items())
            print(
                f"\nseconds of a recomputation, share of the epoch's training, by batches: {text}", flush=True
            )


if __name__ == "__main__":
    main()
