"""Networks of family "cell"."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.families.cell import Cell, Edge
from search_spaces.families.isomorphism import EDGES, NONE, SKIP
from search_spaces.networks.lengths import (
    Chain,
    Valid,
    averaged,
    entered,
    mean,
    through,
    total_strides,
)
from search_spaces.networks.parts import NORMS, POINTWISE, convolution
from search_spaces.parts import Convolution, Linear
from search_spaces.space import TaskShape

POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


def cell(net: Cell, shape: TaskShape) -> nn.Module:
    """(batch, channels, *extent) -> logits (batch, classes)."""
    axes, levels = shape.dimensions, net.levels(shape)
    layers: list[nn.Module] = [convolution(net.stem(shape)), NORMS[axes](net.width)]
    for stage, level in enumerate(levels):
        if stage:
            layers.append(_Reduction(*net.reduction(*levels[stage - 1])))
        layers += [_Cell(net.edges(*level), axes) for _ in range(net.cells)]
    width, _ = levels[-1]
    head = nn.Linear(width, shape.classes)
    strides = total_strides(net.parts(shape), shape)
    return _CellNetwork(strides, *layers, NORMS[axes](width), nn.ReLU(), _Mean(), head)


class _CellNetwork(Chain):
    def __init__(self, strides: tuple[int, ...] | None, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.strides = strides

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        return super().forward(*entered(x, self.strides))


def _operation(edge: Edge, axes: int) -> nn.Module:
    if isinstance(edge, str):
        return nn.Identity() if edge == SKIP else _Pool()
    if isinstance(edge, Linear):
        conv = POINTWISE[axes](edge.inputs, edge.outputs, 1, bias=False)
    else:
        conv = convolution(edge)
    return Chain(nn.ReLU(), conv, NORMS[axes](edge.outputs))


class _Pool(nn.Module):
    """Mean of 3 positions along every axis, of those inside the input; axis by axis, for any extent."""

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        return averaged(self._pooled, x, valid)

    def _pooled(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            line = x.movedim(axis, -1)
            mean = nn.functional.avg_pool1d(line.flatten(0, -2), 3, 1, 1, count_include_pad=False)
            x = mean.view(line.shape).movedim(-1, axis)
        return x


class _Cell(nn.Module):
    """Node j is the sum of what its edges make of earlier nodes."""

    def __init__(self, edges: tuple[Edge, ...], axes: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"{a}-{b}": _operation(edge, axes)
                for (a, b), edge in zip(EDGES, edges, strict=True)
                if edge != NONE
            }
        )

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        nodes = {"0": x}
        for name, operation in self.edges.items():
            start, end = name.split("-")
            brought = through(operation, nodes[start], valid)
            nodes[end] = nodes[end] + brought if end in nodes else brought
        return nodes["3"]


class _Reduction(nn.Module):
    """Twice ReLU, conv, norm, the first one strided; plus the input, averaged over as much and mapped."""

    def __init__(self, first: Convolution, second: Convolution, shortcut: Linear) -> None:
        super().__init__()
        axes = len(first.size)
        self.body = Chain(_operation(first, axes), _operation(second, axes))
        pool = POOLS[axes](2, 2, ceil_mode=True) if first.stride == 2 else nn.Identity()
        self.shortcut = Chain(pool, POINTWISE[axes](shortcut.inputs, shortcut.outputs, 1, bias=False))

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        out: Tensor = self.body(x, valid) + self.shortcut(x, valid)
        return out


class _Mean(nn.Module):
    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        """(batch, channels, *extent) -> (batch, channels)."""
        return mean(x, valid)
