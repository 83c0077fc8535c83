"""Networks of family "tcn"."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.families.tcn import TCN
from search_spaces.networks.lengths import Chain, Valid, entered, mean, through, total_strides
from search_spaces.networks.parts import NORMS, POINTWISE, convolution
from search_spaces.parts import Convolution, Linear
from search_spaces.space import TaskShape


def tcn(net: TCN, shape: TaskShape) -> nn.Module:
    """(batch, channels, length) -> logits (batch, classes)."""
    return _TCN(net, shape)


class _Block(nn.Module):
    """Twice conv, norm, ReLU; plus the input (through a 1x1 convolution if channels change), ReLU."""

    def __init__(self, first: Convolution, second: Convolution, shortcut: Linear | None) -> None:
        super().__init__()
        layers = [(convolution(part), NORMS[1](part.outputs), nn.ReLU()) for part in (first, second)]
        self.body = Chain(*layers[0], *layers[1])
        self.shortcut = (
            nn.Identity() if shortcut is None else POINTWISE[1](shortcut.inputs, shortcut.outputs, 1)
        )

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = self.body(x, valid) + through(self.shortcut, x, valid)
        return out.relu()


class _TCN(nn.Module):
    def __init__(self, net: TCN, shape: TaskShape) -> None:
        super().__init__()
        self.strides = total_strides(net.parts(shape), shape)
        self.blocks = Chain(*(_Block(*block) for block in net.blocks(shape)))
        self.head = nn.Linear(net.width, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        x, valid = entered(x, self.strides)
        logits: Tensor = self.head(mean(self.blocks(x, valid), valid))
        return logits
