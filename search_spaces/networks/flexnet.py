"""Networks of family "flexnet"."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.families.flexnet import FlexNet
from search_spaces.networks.lengths import Chain, Valid, entered, mean, through, total_strides
from search_spaces.networks.parts import NORMS, POINTWISE, convolution
from search_spaces.parts import Convolution
from search_spaces.space import TaskShape


def flexnet(net: FlexNet, shape: TaskShape) -> nn.Module:
    """(batch, channels, *extent) -> logits (batch, classes)."""
    return _FlexNet(net, shape)


class _Block(nn.Module):
    """conv, norm, ReLU, conv, norm, plus the input (through a 1x1 convolution if channels change), ReLU."""

    def __init__(self, first: Convolution, second: Convolution) -> None:
        super().__init__()
        axes = len(first.size)
        self.body = Chain(
            convolution(first),
            NORMS[axes](first.outputs),
            nn.ReLU(),
            convolution(second),
            NORMS[axes](second.outputs),
        )
        same = first.inputs == second.outputs
        self.shortcut = (
            nn.Identity() if same else POINTWISE[axes](first.inputs, second.outputs, 1, bias=False)
        )

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = self.body(x, valid) + through(self.shortcut, x, valid)
        return out.relu()


class _FlexNet(nn.Module):
    def __init__(self, net: FlexNet, shape: TaskShape) -> None:
        super().__init__()
        self.strides = total_strides(net.parts(shape), shape)
        stem, *rest = net.convolutions(shape)
        self.stem = Chain(convolution(stem), NORMS[shape.dimensions](stem.outputs), nn.ReLU())
        pairs = zip(rest[::2], rest[1::2], strict=True)
        self.blocks = Chain(*(_Block(first, second) for first, second in pairs))
        self.head = nn.Linear(net.widths[-1], shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        x, valid = entered(x, self.strides)
        features = self.blocks(self.stem(x, valid), valid)
        logits: Tensor = self.head(mean(features, valid))
        return logits
