"""Designs from one task to another: kernels keep their taps, or the share of the input that they span."""

from __future__ import annotations

import math
from typing import Literal

from search_spaces.architecture import Architecture, Setting
from search_spaces.layers.grid import odd_cover
from search_spaces.space import TaskShape


def carried(
    architecture: Architecture,
    shape: TaskShape,
    by: Literal["taps", "fraction"],
    source: TaskShape | None = None,
) -> Architecture:
    """A design, chosen on one task, for another.

    By taps the design is what it was; where it is built, kernels are cut to the input. By fraction every
    number in its setting `kernels` is scaled by the longest axis over `reference`, to the nearest odd size
    of at least 3 and at most the odd cover of its axis; 1 stays 1, words stay; even taps of a causal design
    stay even. To an equal extent nothing changes. Masks are shares of the input by themselves (`sigma`):
    they never change.

    Args:
        architecture: of any family that keeps its kernel sizes in `kernels` and where they were chosen in
            `reference`, or has no reference and `source` is given, as fixed defaults have none.
        shape: of the task it is carried to.
        by: ``"taps"`` or ``"fraction"``.
        source: shape of the task it comes from, if known: taps are not carried to another number of axes.

    Raises:
        ValueError: no tuple `kernels`; an unknown `by`; kernels without a `reference` by fraction; taps to
            another number of axes; kernels that differ by axis to another number of axes.
    """
    if by not in ("taps", "fraction"):
        raise ValueError(f"a design is carried by 'taps' or by 'fraction', got {by!r}")
    settings, axes = dict(architecture.settings), shape.dimensions
    kernels, reference = settings.get("kernels"), settings.get("reference")
    if not isinstance(kernels, tuple):
        raise ValueError(f"family {architecture.family!r} has no list of kernel sizes named kernels to carry")
    if not _numbers(kernels):
        return architecture
    if by == "taps":
        known = {len(k) for k in kernels if isinstance(k, tuple)}
        if source is not None and isinstance(reference, int):
            known.add(source.dimensions)
        if known - {axes}:
            raise ValueError(
                f"kernels of {max(known - {axes})} axes are not carried by taps to inputs of {axes}, {shape};"
                " carry them by fraction"
            )
        return architecture
    if reference is None and source is not None:
        reference = max(source.extent)
    if not isinstance(reference, int):
        raise ValueError(
            f"the {architecture.family} design {architecture.id} has no reference, so its kernels are no "
            "fraction of an input; carry it by taps, or say which source it comes from"
        )
    scale = max(shape.extent) / reference
    if scale == 1 and (source is None or source.dimensions == shape.dimensions):
        return architecture
    even = settings.get("causal") is True
    scaled = tuple(_scaled(kernel, scale, shape, even) for kernel in kernels)
    changed: dict[str, Setting] = {"kernels": scaled, "reference": max(shape.extent)}
    return Architecture.of(architecture.family, **{**settings, **changed})


def alike(one: Architecture, other: Architecture) -> bool:
    """Whether two designs are one network: equal but for the extent that their kernels were chosen on."""

    def bare(design: Architecture) -> dict[str, Setting]:
        return {name: value for name, value in design.settings if name != "reference"}

    return one.family == other.family and bare(one) == bare(other)


def _scaled(kernel: Setting, scale: float, shape: TaskShape, even: bool) -> Setting:
    if isinstance(kernel, tuple):
        if len(kernel) == shape.dimensions:
            return tuple(_nearest(k, scale, n, even) for k, n in zip(kernel, shape.extent, strict=True))
        if len(set(kernel)) > 1:
            raise ValueError(
                f"a kernel of {kernel} taps means nothing on {shape.dimensions} axes; give one number for all"
            )
        kernel = kernel[0]
    return _nearest(kernel, scale, max(shape.extent), even)


def _nearest(taps: Setting, scale: float, extent: int, even: bool) -> Setting:
    if not _numbers((taps,)) or not isinstance(taps, int):
        return taps
    if even and taps % 2 == 0:
        return min(max(2, 2 * round(taps * scale / 2)), extent)
    return min(max(3, 2 * math.floor(taps * scale / 2) + 1), odd_cover(extent))


def _numbers(kernels: tuple[Setting, ...]) -> bool:
    """Whether any kernel has taps to scale."""
    return any(_numbers(k) if isinstance(k, tuple) else isinstance(k, int) and k > 1 for k in kernels)
