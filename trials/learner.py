"""A network in training: what steps it, and what a checkpoint must hold so that it goes on bit for bit."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch._dynamo  # AdamW imports it, a second that would be charged to the first trial of a process
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from search_spaces.network import build, parameter_groups
from search_spaces.space import TaskShape
from trials.loading import Batch
from trials.recipe import learning_rate
from trials.record import Trial


class Learner:
    """A design that learns by its trial's recipe.

    Three groups of parameters: weights (decayed), norms, biases and kernel generators (not decayed), masks
    (not decayed, at their own share of the learning rate). All randomness comes from the trial's seed:
    weights and dropout from torch's generator, the order of rows and augmentation from one each.

    Args:
        trial: whose design, recipe and seed.
        shape: of the task.
        device: where it trains.
        rows: to train with.

    Attributes:
        model: with the weights of the last step.
        batch: rows of a step.
        steps_per_epoch: whole batches of the rows.
        taken: steps of the epoch under way.
        shuffling, augmenting: generators for the order of rows and for augmentation, on the CPU.
    """

    def __init__(self, trial: Trial, shape: TaskShape, device: torch.device, rows: int) -> None:
        torch.manual_seed(trial.seed)
        recipe = trial.recipe
        half = recipe.precision == "bfloat16"
        model: Any = build(trial.architecture, shape).to(device)
        if half and device.type == "cuda" and shape.dimensions > 1:  # as tensor cores want it
            formats = {2: torch.channels_last, 3: torch.channels_last_3d}
            model = model.to(memory_format=formats[shape.dimensions])  # inputs follow weights
        groups = parameter_groups(model)
        self.model: nn.Module = model
        self._recipe, self._device, self._half = recipe, device, half
        self._rows, self.batch = rows, min(recipe.batch_size, rows)
        self.steps_per_epoch = rows // self.batch
        self._steps, self._done = recipe.epochs * self.steps_per_epoch, 0
        self.taken = 0
        self._losses: Tensor | float = 0.0
        self._parameters = list(model.parameters())
        self._optimizer = torch.optim.AdamW(
            [
                {"params": groups["weights"], "factor": 1.0, "weight_decay": recipe.weight_decay},
                {"params": groups["undecayed"], "factor": 1.0, "weight_decay": 0.0},
                {"params": groups["masks"], "factor": _mask_factor(trial), "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            fused=True,
        )
        self._average: nn.Module | None = copy.deepcopy(model) if recipe.moving_average > 0 else None
        self.shuffling, self.augmenting = (_generator(trial.seed, what) for what in ("order", "augmentation"))
        self._before = self.shuffling.get_state()

    @property
    def result(self) -> nn.Module:
        """What is validated and kept: the moving average if there is one, else the model."""
        return self.model if self._average is None else self._average

    @property
    def loss(self) -> float:
        """Mean of the steps of the epoch under way; waits for the device."""
        return float(self._losses) / self.taken

    def begin_epoch(self) -> Tensor:
        """The order of the rows in this epoch, int64 (rows,): of one that was interrupted, the same again."""
        return torch.randperm(self._rows, generator=self.shuffling)

    def end_epoch(self) -> None:
        """Nothing is needed of it any more: it was validated."""
        self._before, self.taken, self._losses = self.shuffling.get_state(), 0, 0.0

    def step(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """One step of the optimiser: the loss before it, detached, on the device."""
        rate = learning_rate(self._recipe, self._done, self._steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with self._precision():
            logits = self.model(inputs)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self._recipe.label_smoothing)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip)
        self._optimizer.step()
        self._done += 1
        self.taken += 1
        if self._average is not None:
            self._follow(self._average)
        self._losses += loss.detach()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, for a checkpoint after any step."""
        return {
            "model": self.model.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._done,
            "taken": self.taken,
            "losses": float(self._losses),
            "shuffling": self._before,  # gives the order of the epoch under way, or of the next
            "augmenting": self.augmenting.get_state(),
            "random": [
                torch.get_rng_state(),
                *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ()),
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the learner whose `state` it was."""
        self.model.load_state_dict(state["model"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._done = state["steps"]
        self.taken, self._losses = state.get("taken", 0), state.get("losses", 0.0)  # older: between epochs
        self._before = state["shuffling"]
        self.shuffling.set_state(self._before)
        self.augmenting.set_state(state["augmenting"])
        first, *others = state["random"]
        torch.set_rng_state(first)
        if torch.cuda.is_available() and len(others) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(others)

    @torch.no_grad()
    def _follow(self, average: nn.Module) -> None:
        # torch's AveragedModel sends its count of steps to the device at every one, and waits for that
        decay = self._recipe.moving_average if self._done > 1 else 0.0
        blend: Callable[[Any, Any, None], None] = _averaging(decay)
        blend([*average.parameters()], [*self.model.parameters()], None)
        for theirs, ours in zip(average.buffers(), self.model.buffers(), strict=True):
            theirs.copy_(ours)

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()


@torch.no_grad()
def settle_norms(model: nn.Module, batches: Iterable[Batch]) -> int:
    """Sets the statistics of batch norms to the mean of those of some batches, at the present weights.

    Running averages lag behind weights that move fast: docs/decisions/0005 (Wu & Johnson 2021, arXiv
    2105.07576). All else is in evaluation mode, and left in it.

    Returns:
        Rows that went through the network: 0 if it has no batch norms.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return 0
    rows = 0
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    for inputs, _ in batches:
        model(inputs)
        rows += len(inputs)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.eval()
    return rows


_averaging: Any = get_ema_multi_avg_fn  # has no types


def _generator(seed: int, purpose: str) -> torch.Generator:
    """Its stream is that of no other purpose, and of no other seed."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def _mask_factor(trial: Trial) -> float:
    """Learning rate of masks over that of the weights: the design's own, if it has one, else the recipe's."""
    own = dict(trial.architecture.settings).get("mask_factor")
    return float(own) if isinstance(own, int | float) else trial.recipe.mask_factor
