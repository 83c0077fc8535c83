"""Spaces of discrete kernel sizes on the skeleton of the FlexConv design."""

from __future__ import annotations

from search_spaces.families.flexnet import CONVOLUTIONS, design
from search_spaces.layers.grid import odd_cover
from search_spaces.space import Choice, Space, TaskShape


def kernel_options(extent: tuple[int, ...]) -> tuple[int, ...]:
    """Odd kernel sizes that cover an input: 3, 5, 9, 17, ... and the least that spans its longest axis."""
    whole = odd_cover(max(extent))
    options: list[int] = []
    while 2 ** (len(options) + 1) + 1 < whole:
        options.append(2 ** (len(options) + 1) + 1)
    return *options, whole


def twin(shape: TaskShape) -> Space:
    """The FlexConv design with a discrete kernel size per convolution instead, and nothing else changed."""
    options = kernel_options(shape.extent)
    span = ", ".join(map(str, options))
    return _kernels("twin", options, f"the FlexConv skeleton, each kernel one of {span} taps per axis")


def twin_3x3(shape: TaskShape) -> Space:
    """The twin with 3 taps per axis everywhere: a default, one design."""
    return _kernels("twin_3x3", (3,), "one design: the FlexConv skeleton with 3 taps per axis everywhere")


def twin_7x7(shape: TaskShape) -> Space:
    """The twin with 7 taps per axis everywhere: a default, one design; fewer on axes shorter than 6."""
    return _kernels("twin_7x7", (7,), "one design: the FlexConv skeleton with 7 taps per axis everywhere")


def _kernels(name: str, options: tuple[int, ...], summary: str) -> Space:
    choices = tuple(Choice(name=f"kernel_{i}", options=options) for i in range(1, CONVOLUTIONS + 1))
    return Space(name=name, choices=choices, assemble=design, summary=summary)
