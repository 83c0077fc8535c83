"""Error and loss of a network on rows it was not fitted to."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from trials.loading import Loader
from trials.task import Rows, TaskData

BATCH = 256
"""Rows of one forward pass; fixed, so that a result does not depend on who asks for it."""


class Score(NamedTuple):
    """`error` as a share in [0, 1], `loss` as mean cross entropy in nats."""

    error: float
    loss: float


@torch.no_grad()
def score(model: nn.Module, rows: Loader) -> Score:
    """Error and loss of a model over all rows, in evaluation mode and float32; leaves it in that mode."""
    if model.training:
        model.eval()  # forgets kernels that are generated once for evaluation
    device = next(model.parameters()).device
    wrong = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for inputs, labels in rows.in_order(BATCH):
        logits = model(inputs)
        wrong += (logits.argmax(dim=1) != labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Score(int(wrong) / len(rows), float(loss) / len(rows))


def evaluate(model: nn.Module, rows: Rows, task: TaskData) -> Score:
    """`score` on rows as a task gives them, on the device the model is on."""
    return score(model, Loader(rows, task, next(model.parameters()).device))
