"""What a network says of rows it was not fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trials.task import Rows, TaskData

BATCH = 256
"""Rows of one forward pass; fixed, so that a result does not depend on who asks for it."""


class Tensors(NamedTuple):
    """Rows ready for a network: inputs float32 normalised by the task's channels, labels int64."""

    inputs: Tensor
    labels: Tensor


class Score(NamedTuple):
    """`error` as a share in [0, 1], `loss` as mean cross entropy in nats."""

    error: float
    loss: float


def to_tensors(rows: Rows, task: TaskData, device: torch.device) -> Tensors:
    """Normalised copies of rows on a device: (rows, channels, *extent) and (rows,)."""
    per_channel = (1, -1, *(1 for _ in task.shape.extent))
    mean, std = (torch.tensor(each).view(per_channel) for each in (task.mean, task.std))
    inputs = (torch.from_numpy(rows.inputs) - mean) / std
    return Tensors(inputs.to(device), torch.from_numpy(rows.labels).to(device))


@torch.no_grad()
def score(model: nn.Module, rows: Tensors) -> Score:
    """Error and loss of a model over all rows, in evaluation mode; leaves the model in that mode."""
    model.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=rows.labels.device)
    loss = torch.zeros((), dtype=torch.float64, device=rows.labels.device)
    for inputs, labels in zip(torch.split(rows.inputs, BATCH), torch.split(rows.labels, BATCH)):
        logits = model(inputs)
        wrong += (logits.argmax(dim=1) != labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Score(int(wrong) / len(rows.labels), float(loss) / len(rows.labels))


@torch.no_grad()
def predict(model: nn.Module, rows: Tensors) -> NDArray[np.float32]:
    """Probabilities (rows, classes) of a model, in evaluation mode; leaves the model in that mode."""
    model.eval()
    logits = torch.cat([model(inputs) for inputs in torch.split(rows.inputs, BATCH)])
    probabilities: NDArray[np.float32] = torch.softmax(logits.double(), dim=1).float().cpu().numpy()
    return probabilities
