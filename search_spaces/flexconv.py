"""The single-design space: one FlexConv network for every task."""

from __future__ import annotations

from search_spaces.families.flexnet import CONVOLUTIONS, FLEX, design
from search_spaces.space import Choice, Space, TaskShape


def flexconv(shape: TaskShape) -> Space:
    """One design, the same on every task (equal ids): each of 5 convolutions learns its kernel size."""
    choices = tuple(Choice(name=f"kernel_{i}", options=(FLEX,)) for i in range(1, CONVOLUTIONS + 1))
    return Space(
        name="flexconv",
        choices=choices,
        assemble=design,
        summary="one design: 5 FlexConvs of 16 channels, kernel sizes learned up to the whole input",
    )
