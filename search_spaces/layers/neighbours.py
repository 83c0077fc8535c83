"""Which points a query sums over: those within a radius along every axis, or the nearest of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Neighbours:
    """Of every query up to k points; found once, good for every layer on the same points."""

    index: Tensor
    """(batch, queries, k): which points; 0 to points - 1, any of them where none was found."""
    found: Tensor
    """(batch, queries, k), bool: whether the slot holds a neighbour."""


@torch.no_grad()
def find_neighbours(
    positions: Tensor,
    queries: Tensor | None = None,
    *,
    radius: float | Sequence[float] | None = None,
    nearest: int | None = None,
    causal: bool = False,
    valid: Tensor | None = None,
) -> Neighbours:
    """The points of a box around each query, or those of them that are nearest to it (Euclidean).

    k is the size of the largest neighbourhood: where density varies much, `nearest` bounds it. A point at
    the rim of the box falls to either side by rounding. Distances are in the unit of the positions: axes of
    different units are to be scaled first.

    Cost: on one axis a sort, O(points log points + queries k). On more axes every pair is looked at:
    O(points queries) operations, but only `PAIRS` of them in memory at a time (or one query's).

    Args:
        positions: (batch, points, D), 1 to 3 axes, floating point; finite, but in padding.
        queries: (batch, queries, D), finite; None: the points themselves, each its own neighbour.
        radius: half the width of the box along all or each axis, in the unit of the positions, not
            negative; None: no limit, and then `nearest` is needed.
        nearest: most neighbours of a query, positive; among equally distant ones any.
        causal: leave out points that are later than the query; 1 axis.
        valid: (batch, points), bool; False is padding, which is nobody's neighbour. None: all are valid.

    Raises:
        ValueError: shapes or types that do not fit, no points, no limit, or one that is none.
    """
    radii = _check(positions, positions if queries is None else queries, radius, nearest, causal)
    if valid is None:
        valid = positions.new_ones(positions.shape[:2], dtype=torch.bool)
    elif valid.dtype != torch.bool or valid.shape != positions.shape[:2]:
        raise ValueError(
            f"valid must be bool {tuple(positions.shape[:2])}, got {valid.dtype} {tuple(valid.shape)}"
        )
    positions = positions.masked_fill(~valid[..., None], 0)
    queries = positions if queries is None else queries
    if not (positions.isfinite().all() and queries.isfinite().all()):
        raise ValueError("positions and queries must be finite, got NaN or infinity; mark padding in `valid`")
    if len(radii) == 1:
        line = positions[..., 0].masked_fill(~valid, math.inf)
        return _on_a_line(line, queries[..., 0].contiguous(), radii[0], nearest, causal)
    return _in_space(positions, queries, positions.new_tensor(radii), nearest, valid)


PAIRS = 2**21
"""Pairs of a point and a query whose distances are held at a time."""


def _on_a_line(line: Tensor, queries: Tensor, radius: float, nearest: int | None, causal: bool) -> Neighbours:
    """Of points `line` (batch, points), infinite in padding: a neighbourhood is a run of the sorted ones."""
    line, order = line.sort(dim=-1)
    ends = line.isfinite().sum(-1, keepdim=True)
    first = torch.searchsorted(line, queries - radius)
    last = torch.searchsorted(line, queries if causal else queries + radius, right=True).minimum(ends)
    if nearest is not None:  # the nearest are among as many on either side
        here = torch.searchsorted(line, queries)
        first, last = first.maximum(here - nearest), last.minimum(here + nearest)
    slots = first[..., None] + torch.arange(max(1, int((last - first).max())), device=line.device)
    found = slots < last[..., None]
    slots = slots.clamp(max=line.shape[-1] - 1)
    if nearest is not None and nearest < slots.shape[-1]:
        distance = (_along(line, slots) - queries[..., None]).abs().masked_fill(~found, math.inf)
        least, chosen = distance.topk(nearest, largest=False)
        slots, found = slots.gather(-1, chosen), least < math.inf
    return Neighbours(_along(order, slots), found)


def _in_space(
    positions: Tensor, queries: Tensor, radii: Tensor, nearest: int | None, valid: Tensor
) -> Neighbours:
    most = positions.shape[1] if nearest is None else nearest
    parts = []
    for some in torch.split(queries, max(1, PAIRS // valid.numel()), dim=1):
        offset = positions[:, None] - some[:, :, None]  # (batch, some, points, D)
        near = (offset.abs() <= radii).all(-1) & valid[:, None]
        distance = offset.square().sum(-1).masked_fill(~near, math.inf)
        least, index = distance.topk(min(most, max(1, int(near.sum(-1).max()))), largest=False)
        parts.append((index, least < math.inf))
    width = max(index.shape[-1] for index, _ in parts)
    index, found = (
        torch.cat([F.pad(part, (0, width - part.shape[-1])) for part in kind], dim=1) for kind in zip(*parts)
    )
    return Neighbours(index, found)


def _along(values: Tensor, slots: Tensor) -> Tensor:
    """`values` (batch, points) at `slots` (batch, queries, k)."""
    return values.gather(-1, slots.flatten(1)).view_as(slots)


def _check(
    positions: Tensor,
    queries: Tensor,
    radius: float | Sequence[float] | None,
    nearest: int | None,
    causal: bool,
) -> tuple[float, ...]:
    """The radius along each axis."""
    shape, other = tuple(positions.shape), tuple(queries.shape)
    if positions.ndim != 3 or not 1 <= shape[2] <= 3 or 0 in shape:
        raise ValueError(f"positions must be (batch, points, 1 to 3 axes), at least one point, got {shape}")
    if len(other) != 3 or other[::2] != shape[::2] or 0 in other:
        raise ValueError(f"queries must be ({shape[0]}, queries, {shape[2]}) as the positions, got {other}")
    if not positions.is_floating_point() or queries.dtype != positions.dtype:
        raise ValueError(
            "positions and queries must be of one floating point type, got "
            f"{positions.dtype} and {queries.dtype}; use .double() for large time stamps"
        )
    if causal and shape[2] > 1:
        raise ValueError(f"causal neighbours have 1 axis, time, got {shape[2]}; use causal=False")
    if radius is None and nearest is None:
        raise ValueError("neighbours need a limit, got none; give a radius, nearest, or both")
    if nearest is not None and nearest < 1:
        raise ValueError(f"nearest must be at least 1, got {nearest}")
    radius = math.inf if radius is None else radius
    radii = tuple(radius) if isinstance(radius, Sequence) else (float(radius),) * shape[2]
    if len(radii) != shape[2] or not all(r >= 0 for r in radii):
        raise ValueError(f"radius must be a number or {shape[2]} of them, none negative, got {radius}")
    return radii
