"""What a network says of rows it was not fitted to, in float32."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trials.loading import Batch, Loader

BATCH = 256
"""Rows of one forward pass; fixed, so that a result does not depend on who asks for it."""


WARM_UP, REPEATS = 5, 30
"""Forward passes on one row."""


class Score(NamedTuple):
    """`error` as a share in [0, 1], `loss` as mean cross entropy in nats."""

    error: float
    loss: float


@torch.no_grad()
def score(
    model: nn.Module, rows: Loader, watched: Callable[[Iterable[Batch]], Iterable[Batch]] = iter
) -> Score:
    """Error and loss of a model over all rows, in evaluation mode; leaves the model in that mode.

    Args:
        model: on the device of the rows.
        rows: to score.
        watched: hands the batches on, and may raise between two of them.
    """
    _evaluating(model)
    device = next(model.parameters()).device
    wrong = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for inputs, labels in watched(rows.in_order(BATCH)):
        logits = model(inputs)
        wrong += (logits.argmax(dim=1) != labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Score(int(wrong) / len(rows), float(loss) / len(rows))


@torch.no_grad()
def predict(model: nn.Module, rows: Loader) -> NDArray[np.float32]:
    """Probabilities (rows, classes) of a model, in evaluation mode; leaves the model in that mode."""
    _evaluating(model)
    logits = torch.cat([model(inputs) for inputs, _ in rows.in_order(BATCH)])
    probabilities: NDArray[np.float32] = torch.softmax(logits.double(), dim=1).float().cpu().numpy()
    return probabilities


@torch.no_grad()
def latency(model: nn.Module, row: Tensor) -> float:
    """Wall seconds of a forward pass on one row: median of `REPEATS` after `WARM_UP` that are not timed.

    In evaluation mode, so with kernels that are generated once and kept; on the device and threads as they
    are, beside whatever else runs there.

    Args:
        model: on the row's device.
        row: float32 (1, channels, *extent), normalised.
    """
    _evaluating(model)
    found = []
    for _ in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        model(row)
        if row.device.type == "cuda":
            torch.cuda.synchronize(row.device)
        found.append(time.perf_counter() - started)
    return statistics.median(found[WARM_UP:])


def _evaluating(model: nn.Module) -> None:
    if model.training:  # changing the mode forgets kernels that are generated once for evaluation
        model.eval()
