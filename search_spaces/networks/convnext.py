"""Networks of family "convnext"."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.families.convnext import Block, ConvNeXt
from search_spaces.networks.lengths import Chain, Valid, entered, mean, total_strides
from search_spaces.networks.parts import POINTWISE, convolution
from search_spaces.space import TaskShape

INITIAL_SCALE = 0.1


def convnext(net: ConvNeXt, shape: TaskShape) -> nn.Module:
    """(batch, channels, *extent) -> logits (batch, classes)."""
    return _ConvNeXt(net, shape)


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, channels, *extent), at every position by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class _Block(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        axes, width, inner = len(block.depthwise.size), block.expand.inputs, block.expand.outputs
        self.body = Chain(
            convolution(block.depthwise),
            _ChannelNorm(width),
            POINTWISE[axes](width, inner, 1),
            nn.GELU(),
            POINTWISE[axes](inner, width, 1),
        )
        self.scale = nn.Parameter(torch.full((width,), INITIAL_SCALE))

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = self.body(x, valid)
        return x + out * self.scale.view(-1, *[1] * (x.ndim - 2))


class _ConvNeXt(nn.Module):
    def __init__(self, net: ConvNeXt, shape: TaskShape) -> None:
        super().__init__()
        self.strides = total_strides(net.parts(shape), shape)
        layers: list[nn.Module] = []
        for i, stage in enumerate(net.stages(shape)):
            entry = convolution(stage.entry)
            # the stem's norm follows it, the others stand before
            layers += (
                [_ChannelNorm(stage.entry.inputs), entry] if i else [entry, _ChannelNorm(stage.entry.outputs)]
            )
            layers += [_Block(block) for block in stage.blocks]
        self.features = Chain(*layers)
        self.norm = nn.LayerNorm(net.widths[-1])
        self.head = nn.Linear(net.widths[-1], shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        x, valid = entered(x, self.strides)
        pooled = mean(self.features(x, valid), valid)
        logits: Tensor = self.head(self.norm(pooled))
        return logits
