"""What families share whose kernels are discrete or FlexConvs. No torch."""

from __future__ import annotations

import math
from typing import Protocol

from search_spaces.families.reading import check_reference
from search_spaces.parts import Taps

FLEX = "flex"
"""Stands for a FlexConv where a number stands for the taps of a discrete kernel."""
Kernel = int | str | tuple[int, ...]
"""`FLEX`, taps of every axis, or of each; odd."""


class Flexible(Protocol):
    """The settings of such a family that mean the same in all of them."""

    @property
    def width(self) -> int: ...
    @property
    def kernels(self) -> tuple[Kernel, ...]: ...
    @property
    def mask_factor(self) -> float | None: ...
    @property
    def reference(self) -> int | None: ...


def check_settings(net: Flexible) -> None:
    """Refuse, with a ValueError, a width, kernels, a mask factor or a reference that are none."""
    if not isinstance(net.width, int) or isinstance(net.width, bool) or net.width < 1:
        raise ValueError(f"width must be a positive whole number, got {net.width!r}")
    if not isinstance(net.kernels, tuple):
        raise ValueError(f"kernels must be a list, got {net.kernels!r}")
    for kernel in net.kernels:
        taps = kernel if isinstance(kernel, tuple) else (kernel,)
        if kernel != FLEX and not all(isinstance(k, int) and k > 0 and k % 2 for k in taps):
            raise ValueError(f"a kernel must be a positive odd number or {FLEX!r}, got {kernel!r}")
    if net.mask_factor is not None and not 0 <= net.mask_factor < math.inf:
        raise ValueError(f"mask_factor must be 0 or more, or null for the recipe's, got {net.mask_factor}")
    check_reference(net.reference)


def size(kernel: Kernel, cover: Taps) -> Taps:
    """Taps along each axis of an input of odd cover `cover`; the most there can be, of a FlexConv.

    Raises:
        ValueError: taps of another number of axes.
    """
    if isinstance(kernel, str):
        return cover
    taps = kernel if isinstance(kernel, tuple) else (kernel,) * len(cover)
    if len(taps) != len(cover):
        raise ValueError(f"a kernel of {len(taps)} axes on an input of {len(cover)}: {kernel}")
    return tuple(min(k, n) for k, n in zip(taps, cover, strict=True))
