"""From a design to a network, and what the rest of the product asks of a network."""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.families.ccnn import CCNN
from search_spaces.families.cell import Cell
from search_spaces.families.convnext import ConvNeXt
from search_spaces.families.flexnet import FlexNet
from search_spaces.families.resnet import ResNet
from search_spaces.families.tcn import TCN
from search_spaces.layers.convolution import PlainConv
from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.irregular import PointFlexConv
from search_spaces.layers.masks import GaussianMask
from search_spaces.networks.ccnn import ccnn
from search_spaces.networks.cell import cell
from search_spaces.networks.convnext import convnext
from search_spaces.networks.flexnet import flexnet
from search_spaces.networks.resnet import resnet
from search_spaces.networks.tcn import tcn
from search_spaces.space import TaskShape


def build(architecture: Architecture, shape: TaskShape) -> nn.Module:
    """The network of a design on a task, initialised from torch's global generator.

    Returns:
        A module (batch, channels, *extent) -> logits (batch, classes). If the task's series vary in length,
        inputs are NaN after the end of each in all channels, after at least one valid position; logits do not
        depend on how many NaN there are. Parameters and their names are those of a network of one length.

    Raises:
        ValueError: an unknown family, or a setting missing, unknown or out of range.
    """
    if architecture.family not in FAMILIES:
        raise ValueError(f"unknown family {architecture.family!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[architecture.family](architecture, shape)


def freeze(
    model: nn.Module, *, portable: bool = False, example: Tensor | None = None, crop: float = 0.0
) -> nn.Module:
    """A copy in evaluation mode with the taps of every FlexConv written out: same function, plain network.

    The kernel of a `PointFlexConv` is sampled where the points are, so it stays a function.

    Args:
        model: any module, also one layer; stays as it is.
        portable: make every convolution torch's own, direct one, for exports to where ours does not exist.
        example: an input (batch, channels, *extent) on which a portable copy is timed against one whose
            backends are chosen; a warning says how much slower it is, if it is by more than a tenth.
        crop: leave out the outermost taps of every FlexConv's kernel as long as their norm is at most this
            share, in [0, 1), of the kernel's; 0 for the very same function.
    """
    frozen = _replaced(copy.deepcopy(model), FlexConv, lambda layer: _frozen(layer, crop)).eval()
    if not portable:
        return frozen
    direct = _replaced(copy.deepcopy(frozen), PlainConv, PlainConv.portable).eval()
    if example is not None and (slower := _seconds(direct, example) / _seconds(frozen, example)) > 1.1:
        warnings.warn(
            f"the portable form takes {slower:.1f} times as long on inputs {tuple(example.shape)}: it has "
            "direct convolution alone; use freeze(model) where FFT is at hand",
            stacklevel=2,
        )
    return direct


def _frozen(layer: FlexConv, crop: float) -> PlainConv:
    return layer.freeze().cropped(crop) if crop else layer.freeze()


Kind = TypeVar("Kind", bound=nn.Module)


def _replaced(model: nn.Module, kind: type[Kind], by: Callable[[Kind], nn.Module]) -> nn.Module:
    made: dict[int, nn.Module] = {}  # a layer used twice stays one layer
    if isinstance(model, kind):
        return by(model)
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, kind) and not isinstance(module, PointFlexConv):
                if id(child) not in made:
                    made[id(child)] = by(child)
                setattr(module, name, made[id(child)])
    return model


@torch.no_grad()
def _seconds(model: nn.Module, example: Tensor) -> float:
    """Median time of a forward pass."""
    times = []
    for _ in range(6):
        began = time.perf_counter()
        model(example)
        if example.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])  # the first one warms up


def kernel_sizes(model: nn.Module, *, sampled: bool = False) -> tuple[tuple[int, ...], ...]:
    """Taps along each axis of every convolution but 1x1 shortcuts, in the order they act, as they stand.

    `sampled`: as a training step computes them, with the room that a FlexConv leaves for growth.
    """
    return tuple(
        m.sampled_size if sampled and isinstance(m, FlexConv) else m.kernel_size
        for m in model.modules()
        if isinstance(m, FlexConv | PlainConv)
    )


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Every parameter in one of three groups.

    Returns:
        ``weights``: taps and linear maps, to be decayed; ``undecayed``: norms, biases, kernel generators;
        ``masks``: mean and sigma of the masks, which learn at a rate of their own.
    """
    masks = _parameters_in(model, GaussianMask)
    layers = (module for module in model.modules() if isinstance(module, FlexConv))
    generators = {id(p) for layer in layers for p in layer.generator.parameters()}
    groups: dict[str, list[nn.Parameter]] = {"weights": [], "undecayed": [], "masks": []}
    for parameter in model.parameters():
        if id(parameter) in masks:
            group = "masks"
        elif id(parameter) in generators or parameter.ndim < 2:  # norms and biases are vectors
            group = "undecayed"
        else:
            group = "weights"
        groups[group].append(parameter)
    return groups


def _parameters_in(model: nn.Module, *kinds: type[nn.Module]) -> set[int]:
    return {id(p) for module in model.modules() if isinstance(module, kinds) for p in module.parameters()}


FAMILIES: dict[str, Callable[[Architecture, TaskShape], nn.Module]] = {
    "flexnet": lambda architecture, shape: flexnet(FlexNet.read(architecture), shape),
    "ccnn": lambda architecture, shape: ccnn(CCNN.read(architecture), shape),
    "resnet": lambda architecture, shape: resnet(ResNet.read(architecture), shape),
    "convnext": lambda architecture, shape: convnext(ConvNeXt.read(architecture), shape),
    "tcn": lambda architecture, shape: tcn(TCN.read(architecture), shape),
    "cell": lambda architecture, shape: cell(Cell.read(architecture), shape),
}
"""What builds each family's networks."""
