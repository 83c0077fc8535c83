"""What a design costs, by arithmetic, before any device is touched. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.families.ccnn import CCNN
from search_spaces.families.cell import Cell
from search_spaces.families.convnext import ConvNeXt
from search_spaces.families.flexnet import FlexNet
from search_spaces.families.resnet import ResNet
from search_spaces.families.tcn import TCN
from search_spaces.layers.grid import kernel_size
from search_spaces.parts import Affine, Convolution, Part, Taps
from search_spaces.space import TaskShape

KernelSizes = tuple[Taps, ...]
"""Taps per axis of every convolution wider than 1, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """Size and cost of a network.

    Attributes:
        parameters: trainable, kernel generators and masks included.
        multiply_adds: of one forward pass on one row: convolutions done spatially with every tap counted at
            every position, padding included (also that of a shorter series), and linear maps. Not norms,
            activations or the generation of kernels, which a frozen network does not do.
        generation: multiply-adds of generating all kernels once.
        executed: multiply-adds of one forward pass on a batch by the backends that run, without generation.
    """

    parameters: int
    multiply_adds: int
    generation: int
    executed: float


def complexity(
    architecture: Architecture,
    shape: TaskShape,
    kernel_sizes: KernelSizes | None = None,
    *,
    batch: int = 64,
    device: str = "cpu",
    training: bool = True,
) -> Complexity:
    """Parameters and multiply-adds of a design on a task.

    Args:
        architecture: the design.
        shape: of the task.
        kernel_sizes: taps per axis of each convolution, as `network.kernel_sizes` gives them; None: of a
            network that has not been trained. Only what FlexConvs learn changes the answer.
        batch, device, training: rows of a batch, type of the device, and whether a backward pass follows: for
            `executed` alone.

    Raises:
        ValueError: an unknown family, or not one kernel size per convolution and axis.
    """
    every = parts(architecture, shape)
    convolutions = [part for part in every if isinstance(part, Convolution)]
    if kernel_sizes is None:
        kernel_sizes = tuple(initial_taps(part) for part in convolutions)
    if [len(size) for size in kernel_sizes] != [shape.dimensions] * len(convolutions):
        raise ValueError(
            f"{len(convolutions)} convolutions need a kernel size each, of {shape.dimensions} axes; "
            f"got {kernel_sizes}"
        )
    at = list(zip(convolutions, kernel_sizes, strict=True))
    linear = sum(
        part.inputs * part.outputs * part.positions
        for part in every
        if not isinstance(part, Convolution | Affine)
    )
    return Complexity(
        parameters=sum(part.parameters for part in every),
        multiply_adds=linear + sum(part.multiply_adds(taps) for part, taps in at),
        generation=sum(part.generation(taps) for part, taps in at),
        executed=batch * linear + sum(part.executed(taps, batch, device, training) for part, taps in at),
    )


def parts(architecture: Architecture, shape: TaskShape) -> tuple[Part, ...]:
    """Everything with parameters in the network of a design on a task, in the order it acts.

    Raises:
        ValueError: an unknown family, a setting missing, unknown or out of range.
    """
    if architecture.family not in FAMILIES:
        raise ValueError(f"unknown family {architecture.family!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[architecture.family](architecture, shape)


def initial_taps(part: Convolution) -> Taps:
    """Taps of a convolution that has not been trained."""
    return part.size if part.function is None else kernel_size(part.size, part.function.sigma, part.causal)


FAMILIES: dict[str, Callable[[Architecture, TaskShape], tuple[Part, ...]]] = {
    "flexnet": lambda architecture, shape: FlexNet.read(architecture).parts(shape),
    "ccnn": lambda architecture, shape: CCNN.read(architecture).parts(shape),
    "resnet": lambda architecture, shape: ResNet.read(architecture).parts(shape),
    "convnext": lambda architecture, shape: ConvNeXt.read(architecture).parts(shape),
    "tcn": lambda architecture, shape: TCN.read(architecture).parts(shape),
    "cell": lambda architecture, shape: Cell.read(architecture).parts(shape),
}
"""What lists each family's parts."""
