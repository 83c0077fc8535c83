"""The modules of parts."""

from __future__ import annotations

from torch import nn

from search_spaces.layers.convolution import plain_conv
from search_spaces.layers.flexconv import FlexConv
from search_spaces.networks.lengths import BatchNorm1d
from search_spaces.parts import Convolution

NORMS: dict[int, type[nn.Module]] = {1: BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POINTWISE: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""By number of axes; a 1x1 convolution has kernel size 1."""


def convolution(part: Convolution) -> nn.Module:
    """The convolution of a part, FlexConv or discrete."""
    if part.function is None:
        return plain_conv(
            part.inputs,
            part.outputs,
            part.size,
            bias=part.bias,
            groups=part.groups,
            causal=part.causal,
            stride=part.stride,
            dilation=part.dilation,
        )
    return FlexConv(
        part.inputs,
        part.outputs,
        part.size,
        sigma=part.function.sigma,
        learn_mean=part.function.learn_mean,
        learn_size=part.function.learn_size,
        causal=part.causal,
        depthwise=part.groups > 1,
        stride=part.stride,
        hidden=part.function.hidden,
        layers=part.function.layers,
        frequency=part.function.frequency,
        bias=part.bias,
    )
