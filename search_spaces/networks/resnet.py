"""Networks of family "resnet"."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from search_spaces.families.resnet import Residual, ResNet
from search_spaces.networks.lengths import Chain, Valid, entered, mean, through, total_strides
from search_spaces.networks.parts import NORMS, POINTWISE, convolution
from search_spaces.parts import Convolution, Linear
from search_spaces.space import TaskShape


def resnet(net: ResNet, shape: TaskShape) -> nn.Module:
    """(batch, channels, *extent) -> logits (batch, classes)."""
    return _ResNet(net, shape)


def _normed(part: Convolution | Linear, axes: int, stride: int = 1) -> nn.Module:
    layer = (
        convolution(part)
        if isinstance(part, Convolution)
        else POINTWISE[axes](part.inputs, part.outputs, 1, stride=stride, bias=False)
    )
    return Chain(layer, NORMS[axes](part.outputs))


class _Block(nn.Module):
    def __init__(self, residual: Residual, axes: int) -> None:
        super().__init__()
        layers = itertools.chain(*((_normed(part, axes), nn.ReLU()) for part in residual.body))
        self.body = Chain(*list(layers)[:-1])  # the last ReLU follows the sum
        self.shortcut = (
            nn.Identity() if residual.shortcut is None else _normed(residual.shortcut, axes, residual.stride)
        )

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = self.body(x, valid) + through(self.shortcut, x, valid)
        return out.relu()


class _ResNet(nn.Module):
    def __init__(self, net: ResNet, shape: TaskShape) -> None:
        super().__init__()
        self.strides = total_strides(net.parts(shape), shape)
        self.stem = Chain(_normed(net.stem(shape), shape.dimensions), nn.ReLU())
        self.blocks = Chain(*(_Block(each, shape.dimensions) for each in net.residuals(shape)))
        self.head = nn.Linear(net.widths[-1], shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        x, valid = entered(x, self.strides)
        features = self.blocks(self.stem(x, valid), valid)
        logits: Tensor = self.head(mean(features, valid))
        return logits
