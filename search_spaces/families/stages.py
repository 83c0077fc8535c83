"""What families of several stages share: strides and kernels that fit what is left of the input. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

from search_spaces.discrete import kernel_options
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Taps, reduced
from search_spaces.space import Choice


def check_counts(**settings: object) -> None:
    """Refuse settings that are not non-empty tuples of positive whole numbers, with a ValueError."""
    for name, values in settings.items():
        if not isinstance(values, tuple) or not values or not all(_positive(value) for value in values):
            raise ValueError(
                f"{name} must be a list of positive whole numbers, one per stage, got {values!r}; "
                "for instance (1, 2)"
            )


def check_kernels(kernels: Iterable[int]) -> None:
    """Refuse even kernel sizes, with a ValueError."""
    for kernel in kernels:
        if kernel % 2 == 0:
            raise ValueError(f"kernels must be odd, got {kernel}; use {odd_cover(kernel)}")


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def acting(extent: tuple[int, ...], strides: Iterable[int]) -> tuple[int, ...]:
    """The strides, one after the other, as they act on an input of `extent`.

    One that would leave a single position of an axis is 1 instead.
    """
    acts = []
    for stride in strides:
        left = reduced(extent, stride)
        acts.append(stride if all(m >= min(n, 2) for n, m in zip(extent, left, strict=True)) else 1)
        extent = reduced(extent, acts[-1])
    return tuple(acts)


def cut(kernel: int, extent: tuple[int, ...], dilation: int = 1) -> Taps:
    """Taps along each axis of `extent`, so many that they span its odd cover at most; at least 1."""
    return tuple(min(kernel, 2 * (odd_cover(n) // 2 // dilation) + 1) for n in extent)


def offered(extent: tuple[int, ...], paths: Iterable[tuple[int, ...]]) -> tuple[str, ...]:
    """Those paths (strides of one stage after the other) that `extent` is long enough for, as ``"1-2-2"``."""
    return tuple("-".join(map(str, path)) for path in paths if acting(extent, path) == path)


def strides(option: object) -> tuple[int, ...]:
    """The inverse of `offered`."""
    return tuple(int(stride) for stride in str(option).split("-"))


def at(stage: int, option: object) -> str:
    """Ending of the names of choices that depend on what is left of the input at a stage (from 1)."""
    return f"{stage}_by_{math.prod(strides(option)[:stage])}"


def staged(options: Iterable[str], stage: int) -> tuple[str, ...]:
    """The options that have a stage (from 1)."""
    return tuple(option for option in options if len(strides(option)) >= stage)


def kernel_sizes(extent: tuple[int, ...]) -> tuple[int, ...]:
    """Kernel sizes for a stage of this extent: 3, 5, 7, 9, and geometric ones up to all of it."""
    usual = {k for k in (3, 5, 7, 9) if k <= odd_cover(max(extent))}
    return tuple(sorted(usual.union(kernel_options(extent))))


def kernel_choices(extent: tuple[int, ...], options: tuple[str, ...], stage: int) -> tuple[Choice, ...]:
    """Kernel size of a stage (from 1), a choice for each extent it can have: no two options are cut to one.

    `options` are those of the choice ``strides``.
    """
    found: dict[str, list[str]] = {}
    for option in staged(options, stage):
        found.setdefault(at(stage, option), []).append(option)
    return tuple(
        Choice(
            name=f"kernel_{name}",
            options=kernel_sizes(reduced(extent, math.prod(strides(same[0])[:stage]))),
            when=("strides", tuple(same)),
        )
        for name, same in found.items()
    )
