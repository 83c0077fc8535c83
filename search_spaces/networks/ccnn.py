"""Networks of family "ccnn"."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from search_spaces.families.ccnn import CCNN
from search_spaces.layers.convolution import PlainConv
from search_spaces.networks.lengths import Chain, Valid, entered, mean, through, total_strides
from search_spaces.networks.parts import NORMS, POINTWISE, convolution
from search_spaces.parts import Convolution
from search_spaces.space import TaskShape


def ccnn(net: CCNN, shape: TaskShape) -> nn.Module:
    """(batch, channels, *extent) -> logits (batch, classes)."""
    return _CCNN(net, shape)


class _Block(nn.Module):
    """The input plus: norm, separable convolution, GELU, dropout, 1x1, GELU."""

    def __init__(self, part: Convolution, dropout: float) -> None:
        super().__init__()
        axes, width = len(part.size), part.outputs
        self.body = Chain(
            NORMS[axes](width),
            *_separable(part, width),
            nn.GELU(),
            DROPOUTS[axes](dropout),
            _pointwise(axes, width, width),
            nn.GELU(),
        )

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = x + self.body(x, valid)
        return out


class _CCNN(nn.Module):
    def __init__(self, net: CCNN, shape: TaskShape) -> None:
        super().__init__()
        self.strides = total_strides(net.parts(shape), shape)
        stem, *rest = net.convolutions(shape)
        norm = NORMS[shape.dimensions]
        # the stem's biases do nothing before a norm; they are there as published
        self.stem = Chain(*_separable(stem, net.width), norm(net.width), nn.GELU())
        self.blocks = Chain(*(_Block(part, net.dropout) for part in rest))
        self.norm = norm(net.width)
        self.head = nn.Linear(net.width, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        x, valid = entered(x, self.strides)
        features = through(self.norm, self.blocks(self.stem(x, valid), valid), valid)
        logits: Tensor = self.head(mean(features, valid))
        return logits


def _separable(part: Convolution, outputs: int) -> tuple[nn.Module, nn.Module]:
    """A depthwise convolution, white noise keeping its variance and biases 0 at the start, then a 1x1 one."""
    depthwise = convolution(part)
    if isinstance(depthwise, PlainConv):  # no norm follows, so it must start at a FlexConv's scale
        _initialise(depthwise, "linear")
    return depthwise, _pointwise(len(part.size), part.outputs, outputs)


def _pointwise(axes: int, inputs: int, outputs: int) -> nn.Module:
    layer = POINTWISE[axes](inputs, outputs, 1)
    _initialise(layer, "relu")
    return layer


def _initialise(layer: nn.Module, gain: Literal["linear", "relu"]) -> None:
    """Kaiming normal, biases 0: what the released code does to 1x1 convolutions."""
    for parameter in layer.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity=gain)
        else:
            nn.init.zeros_(parameter)


DROPOUTS: dict[int, type[nn.Module]] = {1: nn.Dropout1d, 2: nn.Dropout2d, 3: nn.Dropout3d}
"""By number of axes; they drop whole channels, as the released code."""
