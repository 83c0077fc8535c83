"""Spaces of discrete kernel sizes on the skeleton of the FlexConv design."""

from __future__ import annotations

from search_spaces.families.flexnet import CONVOLUTIONS, design, kernel_choices
from search_spaces.layers.grid import odd_cover
from search_spaces.space import Choice, Space, TaskShape, Values


def kernel_options(extent: tuple[int, ...]) -> tuple[int, ...]:
    """Odd kernel sizes that cover an input: 3, 5, 9, 17, ... and the least that spans its longest axis."""
    whole = odd_cover(max(extent))
    options: list[int] = []
    while 2 ** (len(options) + 1) + 1 < whole:
        options.append(2 ** (len(options) + 1) + 1)
    return *options, whole


def twin(shape: TaskShape) -> Space:
    """The FlexConv design with a discrete kernel size per convolution instead, and nothing else changed."""
    choices = kernel_choices(*kernel_options(shape.extent))
    return Space(
        name="twin",
        choices=choices,
        default=_least(choices),
        assemble=lambda values: design(values, reference=max(shape.extent)),
        summary=f"the FlexConv skeleton, each kernel one of {_span(shape)} taps per axis",
    )


def twin_shared(shape: TaskShape) -> Space:
    """The twin with one kernel size for all layers: few enough to train every design."""
    return Space(
        name="twin_shared",
        choices=(Choice(name="kernel", options=kernel_options(shape.extent)),),
        default={"kernel": kernel_options(shape.extent)[0]},
        assemble=lambda values: design(
            {f"kernel_{i}": values["kernel"] for i in range(1, CONVOLUTIONS + 1)},
            reference=max(shape.extent),
        ),
        summary=f"the FlexConv skeleton, all kernels one of {_span(shape)} taps per axis",
    )


def twin_wide(shape: TaskShape) -> Space:
    """The twin with its width as a choice too."""
    choices = kernel_choices(*kernel_options(shape.extent))
    return Space(
        name="twin_wide",
        choices=(Choice(name="width", options=(8, 16, 32)), *choices),
        default={"width": 16, **_least(choices)},
        assemble=lambda values: design(values, width=values["width"], reference=max(shape.extent)),
        summary=f"the twin with 8, 16 or 32 channels, each kernel one of {_span(shape)} taps per axis",
    )


def twin_3x3(shape: TaskShape) -> Space:
    """The twin with 3 taps per axis everywhere: a default, one design, the same on every task."""
    return _fixed("twin_3x3", 3)


def twin_7x7(shape: TaskShape) -> Space:
    """The twin with 7 taps per axis everywhere: a default, one design; fewer on axes shorter than 6."""
    return _fixed("twin_7x7", 7)


def _fixed(name: str, taps: int) -> Space:
    summary = f"one design: the FlexConv skeleton with {taps} taps per axis everywhere"
    return Space(name=name, choices=kernel_choices(taps), assemble=design, summary=summary)


def _least(choices: tuple[Choice, ...]) -> Values:
    """3 taps per axis everywhere, where there is room."""
    return {choice.name: choice.options[0] for choice in choices}


def _span(shape: TaskShape) -> str:
    return ", ".join(map(str, kernel_options(shape.extent)))
