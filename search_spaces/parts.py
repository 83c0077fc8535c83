"""What networks are made of, as plain numbers: what builders build and `complexity` counts. No torch.

A family lists the parts of a design on a task, in the order they act; what has neither parameters nor
multiply-adds (ReLU, pooling, dropout) is no part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.layers.costs import cheaper, transform_lengths

Taps = tuple[int, ...]
"""Taps of a kernel along each axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelFunction:
    """How a FlexConv's kernel is generated and masked, see `layers.flexconv`.

    Attributes:
        hidden, layers, frequency: of the MAGNet.
        sigma: initial width of the mask; None: the default.
        learn_mean, learn_size: whether the mask's centre and its width are learned.
    """

    hidden: int = 32
    layers: int = 3
    frequency: float = 0.5
    sigma: float | None = None
    learn_mean: bool = True
    learn_size: bool = True

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers) < 1 or not 0 < self.frequency < math.inf:
            raise ValueError(
                "hidden, layers and frequency must be positive, got "
                f"{self.hidden}, {self.layers}, {self.frequency}"
            )
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive, or null for the default, got {self.sigma}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """A convolution wider than 1: dense, or depthwise if `groups` is its channels; zero padding.

    Attributes:
        inputs, outputs: channels.
        size: taps along each axis; the most there can be, if `function` is given.
        extent: of its input.
        stride, dilation: of every axis.
        groups: 1, or the number of channels.
        causal: all padding in front; 1-D.
        bias: whether outputs have one.
        function: of a FlexConv, None: a discrete kernel.
    """

    inputs: int
    outputs: int
    size: Taps
    extent: tuple[int, ...]
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    causal: bool = False
    bias: bool = False
    function: KernelFunction | None = None

    @property
    def positions(self) -> int:
        """Positions of the output."""
        return math.prod(reduced(self.extent, self.stride))

    @property
    def kernels(self) -> int:
        """Kernels, each of the same taps."""
        return self.outputs * self.inputs // self.groups

    @property
    def parameters(self) -> int:
        """Trainable ones, of generator and mask if there are."""
        bias = self.outputs if self.bias else 0
        if self.function is None:
            return self.kernels * math.prod(self.size) + bias
        axes, hidden, layers = len(self.size), self.function.hidden, self.function.layers
        filters = (layers + 1) * hidden * (3 * axes + 1)  # mu, gamma, w; b
        mask = axes * (self.function.learn_mean + self.function.learn_size)
        return filters + layers * hidden * (hidden + 1) + (hidden + 1) * self.kernels + mask + bias

    def multiply_adds(self, taps: Taps) -> int:
        """Of one row, at so many taps."""
        return self.kernels * math.prod(taps) * self.positions

    def executed(self, taps: Taps, batch: int, device: str = "cpu", training: bool = True) -> float:
        """Of a whole batch by the backend that the cost rule takes, without the generation of the kernel.

        A real transform of n points counts 2.5 n log2 n, a product of complex numbers 4.
        """
        x = batch, self.inputs, *self.extent
        kernel = self.outputs, self.inputs // self.groups, *taps
        backend = cheaper(
            x,
            kernel,
            groups=self.groups,
            causal=self.causal,
            stride=self.stride,
            device=device,
            training=training,
        )
        if self.dilation > 1 or backend == "spatial":
            return batch * self.multiply_adds(taps)
        front = [n - 1 if self.causal else n // 2 for n in taps]
        *others, last = transform_lengths(self.extent, front)
        points, frequencies = math.prod(others) * last, math.prod(others) * (last // 2 + 1)
        transforms = batch * (self.inputs + self.outputs) + self.kernels
        return transforms * 2.5 * points * math.log2(points) + 4 * batch * self.kernels * frequencies

    def generation(self, taps: Taps) -> int:
        """Multiply-adds of the generator at every tap: filters, their products, linear maps, mask."""
        if self.function is None:
            return 0
        hidden, layers = self.function.hidden, self.function.layers
        filters = (layers + 1) * hidden * (3 * len(taps) + 1)
        return (filters + layers * hidden**2 + (hidden + 1) * self.kernels) * math.prod(taps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """A linear map at every position: a 1x1 convolution, or the head at one position.

    Attributes:
        inputs, outputs: channels.
        positions: at how many it acts.
        bias: whether outputs have one.
    """

    inputs: int
    outputs: int
    positions: int = 1
    bias: bool = True

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return (self.inputs + self.bias) * self.outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """A scale and a shift per channel: a norm's, or a scale alone."""

    channels: int
    shift: bool = True

    @property
    def parameters(self) -> int:
        """Scales, and shifts if there are."""
        return self.channels * (1 + self.shift)


Part = Convolution | Linear | Affine


def reduced(extent: tuple[int, ...], stride: int) -> tuple[int, ...]:
    """What is left of an extent if every `stride`-th position is kept."""
    return tuple(-(-n // stride) for n in extent)
