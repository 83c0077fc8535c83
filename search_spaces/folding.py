"""Batch norms of evaluation, gone: into the convolution right before each, else as a scale and a shift.

Only into what comes before: through the zeros that pad a convolution after it a norm's shift would be lost,
and the outputs at the border would be wrong.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.layers.convolution import PlainConv
from search_spaces.networks.lengths import Valid

Taps = PlainConv | nn.Conv1d | nn.Conv2d | nn.Conv3d


class Affine(nn.Module):
    """`scale * x + shift` by channel.

    Args:
        scale, shift: (channels,).
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(scale), nn.Parameter(shift)

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        """(batch, channels, *extent) -> the same shape; every position by itself, valid or not."""
        axes = [1] * (x.ndim - 2)
        return x * self.scale.view(-1, *axes) + self.shift.view(-1, *axes)


def without_norms(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are folded or made `Affine`: the same function.

    Args:
        network: frozen (`network.freeze`), and built of `Chain`: of a layer that is used in several places
            only norms that follow it in all of them may be folded, and none of the families has any.

    Raises:
        ValueError: a batch norm without running statistics, whose outputs depend on the batch.
    """
    changed = copy.deepcopy(network).eval()
    for chain in [each for each in changed.modules() if isinstance(each, nn.Sequential)]:
        for (_, before), (name, norm) in pairwise(list(chain._modules.items())):
            if isinstance(before, PlainConv | nn.Conv1d | nn.Conv2d | nn.Conv3d) and isinstance(
                norm, _BatchNorm
            ):
                _fold(before, *_map(norm))
                chain._modules[name] = nn.Identity()
    for module in list(changed.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, _BatchNorm):
                scale, shift = _map(child)
                module._modules[name] = Affine(scale.float(), shift.float())
    return changed


@torch.no_grad()
def _map(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift (channels,), in float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            "a batch norm needs running statistics to be folded; build it with track_running_stats"
        )
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    return scale, shift + norm.bias.double() if norm.affine else shift


@torch.no_grad()
def _fold(layer: Taps, scale: Tensor, shift: Tensor) -> None:
    weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    bias = shift if layer.bias is None else shift + layer.bias.double() * scale
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter(bias.float())
