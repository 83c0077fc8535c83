"""What a design costs, by arithmetic, before any device is touched. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.flexnet import Convolution, FlexNet
from search_spaces.layers.grid import kernel_size
from search_spaces.space import TaskShape

KernelSizes = tuple[tuple[int, ...], ...]
"""Taps per axis of every convolution wider than 1, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """Size and cost of a network.

    Attributes:
        parameters: trainable, kernel generators and masks included.
        multiply_adds: of one forward pass on one row: convolutions done spatially with every tap counted at
            every position, padding included, and linear maps. Not norms, activations or the generation of
            kernels, which a frozen network does not do.
    """

    parameters: int
    multiply_adds: int
    generation: int = 0


def complexity(
    architecture: Architecture, shape: TaskShape, kernel_sizes: KernelSizes | None = None
) -> Complexity:
    """Parameters and multiply-adds of a design on a task.

    Args:
        architecture: the design.
        shape: of the task.
        kernel_sizes: taps per axis of each convolution, as `network.kernel_sizes` gives them; None: of a
            network that has not been trained. Only what FlexConvs learn changes the answer.

    Raises:
        ValueError: an unknown family, or not one kernel size per convolution and axis.
    """
    if architecture.family not in FAMILIES:
        raise ValueError(f"unknown family {architecture.family!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[architecture.family](architecture, shape, kernel_sizes)


def _flexnet(architecture: Architecture, shape: TaskShape, kernel_sizes: KernelSizes | None) -> Complexity:
    net = FlexNet.read(architecture)
    convolutions = net.convolutions(shape)
    if kernel_sizes is None:
        kernel_sizes = tuple(kernel_size(c.size, net.sigma) if c.flexible else c.size for c in convolutions)
    if [len(size) for size in kernel_sizes] != [shape.dimensions] * len(convolutions):
        raise ValueError(
            f"{len(convolutions)} convolutions need a kernel size each, of {shape.dimensions} axes; "
            f"got {kernel_sizes}"
        )
    shortcuts = sum(a * b for a, b in zip(net.widths, net.widths[1:], strict=False) if a != b)
    head = net.widths[-1] * shape.classes
    taps = sum(c.inputs * c.outputs * math.prod(k) for c, k in zip(convolutions, kernel_sizes, strict=True))
    return Complexity(
        parameters=sum(_parameters(net, c) + 2 * c.outputs for c in convolutions)  # 2: of the norm after it
        + shortcuts
        + head
        + shape.classes,
        multiply_adds=(taps + shortcuts) * math.prod(shape.extent) + head,
        generation=sum(_generation(net, c, k) for c, k in zip(convolutions, kernel_sizes, strict=True)),
    )


def _parameters(net: FlexNet, convolution: Convolution) -> int:
    pairs = convolution.inputs * convolution.outputs
    if not convolution.flexible:
        return pairs * math.prod(convolution.size)
    axes = len(convolution.size)
    filters = (net.layers + 1) * net.hidden * (3 * axes + 1)  # mu, gamma, w; b
    linears = net.layers * net.hidden * (net.hidden + 1)
    output = (net.hidden + 1) * pairs
    return filters + linears + output + 2 * axes  # mask


def _generation(net: FlexNet, convolution: Convolution, taps: tuple[int, ...]) -> int:
    """Multiply-adds of the generator at every tap: filters, their products, linear maps."""
    if not convolution.flexible:
        return 0
    filters = (net.layers + 1) * net.hidden * (3 * len(taps) + 1)
    linears = net.layers * net.hidden**2
    output = (net.hidden + 1) * convolution.inputs * convolution.outputs  # and the mask
    return (filters + linears + output) * math.prod(taps)


FAMILIES: dict[str, Callable[[Architecture, TaskShape, KernelSizes | None], Complexity]] = {
    "flexnet": _flexnet,
}
"""How each family's cost is counted."""
