"""A finalist's network out of a run directory: as it was trained, and frozen, taking raw inputs."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from nas.run_directory import RunDirectory, RunTask
from search_spaces.folding import without_norms
from search_spaces.network import build, freeze
from trials.names import WEIGHTS
from trials.record import TrialRecord


class RawInputs(nn.Module):
    """Normalise, then classify: raw inputs (batch, channels, *extent) to logits (batch, classes)."""

    def __init__(self, network: nn.Module, task: RunTask) -> None:
        super().__init__()
        axes = (1,) * task.shape.dimensions
        self.register_buffer("mean", torch.tensor(task.mean).reshape(1, -1, *axes))
        self.register_buffer("std", torch.tensor(task.std).reshape(1, -1, *axes))
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network((inputs - self.get_buffer("mean")) / self.get_buffer("std"))
        return logits


def stored_weights(directory: RunDirectory, record: TrialRecord) -> dict[str, Tensor]:
    """What a finalist learned, by the names in its network.

    Raises:
        ValueError: the file is not there, is broken, or holds a number that is not finite.
    """
    kept = directory.folder(record.trial.id)
    try:
        if (stored := kept.get(WEIGHTS)) is None:
            raise FileNotFoundError("there is no such file")
        weights = load(stored)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{kept.root}/{WEIGHTS} cannot be read: {error}; nothing was written") from error
    for name, values in weights.items():
        if not values.isfinite().all():
            raise ValueError(
                f"{kept.root}/{WEIGHTS}: weights must be finite, got NaN or infinity in {name}; nothing was "
                "written; take another finalist, or train it again"
            )
    return weights


def trained(record: TrialRecord, weights: dict[str, Tensor], task: RunTask) -> nn.Module:
    """The network in evaluation mode, for normalised inputs."""
    network = build(record.trial.architecture, task.shape)
    network.load_state_dict(weights)
    return network.eval()


def deployed(network: nn.Module, task: RunTask, crop: float = 0.0) -> nn.Module:
    """The frozen network for raw inputs, without batch norms; `network` stays as it is.

    Args:
        crop: share of the norm of a FlexConv's kernel that may be left out, see `freeze`.
    """
    network = RawInputs(without_norms(freeze(network, crop=crop)), task).eval()
    return network.requires_grad_(False)  # so that convolutions are chosen as for inference


def raw_rows(task: RunTask, rows: int) -> Tensor:
    """Made-up raw inputs (rows, channels, *extent) as large as the task's; of varying length, the first ends
    half-way in NaN.
    """
    generator = torch.Generator().manual_seed(0)
    axes = (1,) * task.shape.dimensions
    mean, std = (torch.tensor(each).reshape(1, -1, *axes) for each in (task.mean, task.std))
    raw = mean + std * torch.randn(rows, task.shape.channels, *task.shape.extent, generator=generator)
    if task.shape.variable:
        raw[0, :, task.shape.extent[0] // 2 :] = torch.nan
    return raw
