"""Networks of one repeated cell, after NAS-Bench-201 (Dong & Yang, arXiv 2001.00326). No torch.

Stem convolution, norm; stages of cells, before every later stage a residual block that doubles the width and
halves the extent; norm, ReLU, global mean, linear. Every cell has the same operations on its 6 edges; a
convolution is ReLU, convolution, norm. Beside the paper: kernels of 5, 7 and 9; fewer and narrower cells; a
cell that brings nothing is the identity; cells that are one design are recognised, see `isomorphism`; and
the extent is halved only while 4 positions per axis remain, so that short inputs are served too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.families.isomorphism import EDGES, NONE, SKIP, WORDS, Operation, alike, canonical, terms
from search_spaces.families.reading import check_reference, read_settings
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Affine, Convolution, Linear, Part, reduced
from search_spaces.space import Choice, Merging, Space, TaskShape, Values

Edge = Convolution | Linear | str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The settings of family ``"cell"``.

    Attributes:
        width: channels of the first stage.
        cells: of every stage.
        stages: each of twice the channels of the one before.
        kernels: on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, node 0 being the cell's input and 3 its output:
            odd taps of a convolution, cut to the extent, or ``"none"``, ``"skip"``, ``"pool"``: average of 3.
        reference: longest axis of the task that the kernels were chosen for, in samples; None: for no task.
    """

    width: int
    kernels: tuple[Operation, ...]
    cells: int = 1
    stages: int = 2
    reference: int | None = None

    def __post_init__(self) -> None:
        check_reference(self.reference)
        for name, value in (("width", self.width), ("cells", self.cells), ("stages", self.stages)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        if not isinstance(self.kernels, tuple) or len(self.kernels) != len(EDGES):
            raise ValueError(f"kernels must be a list of {len(EDGES)}, one per edge, got {self.kernels!r}")
        for kernel in self.kernels:
            if kernel not in WORDS and not (isinstance(kernel, int) and kernel > 0 and kernel % 2):
                raise ValueError(
                    f"a kernel must be a positive odd number or one of {', '.join(WORDS)}, got {kernel!r}"
                )

    @classmethod
    def read(cls, architecture: Architecture) -> Cell:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    def stem(self, shape: TaskShape) -> Convolution:
        """The first convolution: 3 taps per axis, cut to the extent."""
        return _convolution(shape.channels, self.width, 3, shape.extent)

    def levels(self, shape: TaskShape) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Channels and extent of every stage."""
        found = [(self.width, shape.extent)]
        while len(found) < self.stages:
            width, extent = found[-1]
            found.append((2 * width, reduced(extent, _stride(extent))))
        return tuple(found)

    def reduction(self, width: int, extent: tuple[int, ...]) -> tuple[Convolution, Convolution, Linear]:
        """Both convolutions and the shortcut's linear map of the block after a stage."""
        first = _convolution(width, 2 * width, 3, extent, _stride(extent))
        second = _convolution(2 * width, 2 * width, 3, reduced(extent, first.stride))
        return first, second, Linear(inputs=width, outputs=2 * width, positions=first.positions, bias=False)

    def edges(self, width: int, extent: tuple[int, ...]) -> tuple[Edge, ...]:
        """What is on each edge of a cell in a stage; nothing on those that the output does not hear of."""
        a, b, c, _, e, f = self.kernels
        heard = e != NONE or NONE not in (c, f), f != NONE
        fed = a != NONE, b != NONE or NONE not in (a, c)
        alive = heard[0], heard[1], fed[0] and heard[1], True, fed[0], fed[1]
        kernels = [kernel if live else NONE for kernel, live in zip(self.kernels, alive, strict=True)]
        if set(kernels) == {NONE}:
            kernels[EDGES.index((0, 3))] = SKIP
        return tuple(_edge(kernel, width, extent) for kernel in kernels)

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        found: list[Part] = [self.stem(shape), Affine(channels=self.width)]
        levels = self.levels(shape)
        for stage, (width, extent) in enumerate(levels):
            if stage:
                first, second, shortcut = self.reduction(*levels[stage - 1])
                norm = Affine(channels=width)
                found += [first, norm, second, norm, shortcut]
            for edge in self.edges(width, extent) * self.cells:
                if not isinstance(edge, str):
                    found += [edge, Affine(channels=width)]
        width, _ = levels[-1]
        return *found, Affine(channels=width), Linear(inputs=width, outputs=shape.classes)


def _stride(extent: tuple[int, ...]) -> int:
    """Of the block after a stage."""
    return 2 if min(extent) >= 8 else 1


def _edge(kernel: Operation, width: int, extent: tuple[int, ...]) -> Edge:
    if isinstance(kernel, str):
        return kernel
    if kernel == 1:
        return Linear(inputs=width, outputs=width, positions=math.prod(extent), bias=False)
    return _convolution(width, width, kernel, extent)


def _convolution(
    inputs: int, outputs: int, taps: int, extent: tuple[int, ...], stride: int = 1
) -> Convolution:
    size = tuple(min(taps, odd_cover(n)) for n in extent)
    return Convolution(inputs=inputs, outputs=outputs, size=size, extent=extent, stride=stride)


TAPS = (1, 3, 5, 7, 9)
DESIGNS = (844, 5_043, 19_295, 57_008, 141_827)
"""Different cells with the first, the first two, ... of `TAPS`, as `isomorphism.alike` counts them."""


def cell(shape: TaskShape) -> Space:
    """One of 8 operations on every edge, fewer on inputs shorter than 8 samples; 16, then 32 channels."""
    taps = tuple(k for k in TAPS if k <= odd_cover(max(shape.extent)))
    operations: tuple[Operation, ...] = WORDS + taps
    names = tuple(f"edge_{a}_{b}" for a, b in EDGES)

    def assemble(values: Values) -> Architecture:
        kernels = canonical(_kernels(values))
        return Architecture.of("cell", width=16, kernels=kernels, reference=max(shape.extent))

    def _kernels(values: Values) -> tuple[Operation, ...]:
        return tuple(value for name in names if isinstance(value := values[name], str | int))

    return Space(
        name="cell",
        choices=tuple(Choice(name=name, options=operations) for name in names),
        assemble=assemble,
        summary="a NAS-Bench-201 cell of 6 edges: none, skip, pool or a kernel of "
        f"{', '.join(map(str, taps))} taps per axis",
        merging=Merging(
            designs=DESIGNS[len(taps) - 1],
            alike=lambda values: alike(operations)[terms(_kernels(values))],
        ),
    )
