"""FlexConv on points that lie anywhere: time stamps, sensors, point clouds in 1 to 3 dimensions.

A kernel that is a function (FlexConv, arXiv 2110.08059) needs no grid. CCNN (arXiv 2301.10540) sums it over
the nearest points of a cloud; here the operator is the one of the regular layer, which it equals on a grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.grid import step
from search_spaces.layers.neighbours import Neighbours, find_neighbours


class PointFlexConv(nn.Module):
    """`y(q) = bias + sum_p kernel((p - q) / reach) x(p)` over the points p in the kernel's window around q.

    Causal: over the points that are not later than q, `kernel(1 + 2 (p - q) / reach)`. A point that is
    missing is a zero, and on a grid with `spacing` between its points the layer equals `regular`.

    The window is the box of the regular layer's present taps, each a cell as wide as the spacing: it ends
    half a step beyond the last tap (but at now, if causal). So it follows the mask as the regular crop
    does, to half a step of where the mask falls to 0.1, and rounding of positions moves no tap of a grid.

    Cost, with N queries of k neighbours and H hidden features of the generator: its layers at N k points,
    and N k H in + N H in out products. The kernel, N k in out values, is never made: it is linear in the
    last hidden features h, `kernel = W h + b`, so that `sum_p kernel_p x_p = W (sum_p h_p x_p) + b sum_p x_p`
    exactly. Memory: N k (H + in) + N H in, some tens of times the first with what the generator's layers keep
    for backward. With positions of batch 1 the generator runs once for the whole batch.

    Scale: the gain stays the regular layer's, which keeps the variance of noise where the points are about
    as dense as its grid; with n times as many in the window it is n times larger. `weights` make the sum an
    integral instead, that does not grow with density.

    As in CCNN, `nn.Conv1d(in, out, 1)` behind a depthwise layer mixes the channels.

    Args:
        regular: the kernel, and the operator on a grid; its parameters are shared. Its size is the kernel's
            resolution: the spacing should be about that of close neighbours.
        reach: how far the whole kernel extends to either side, or back in time if causal, in the unit of the
            positions: of every axis or one per axis; positive. `resolution.at_rate` keeps it.
        nearest: most neighbours that are searched for a query, the Euclidean nearest of those in the window;
            None: all of them.

    Raises:
        ValueError: a reach that is not positive and finite, not one per axis, a stride, nearest below 1.
    """

    def __init__(
        self, regular: FlexConv, reach: float | Sequence[float], *, nearest: int | None = None
    ) -> None:
        super().__init__()
        axes = len(regular.size)
        self.regular, self.nearest = regular, nearest
        self.reach = tuple(reach) if isinstance(reach, Sequence) else (float(reach),) * axes
        if len(self.reach) != axes or not all(0 < r < math.inf for r in self.reach):
            raise ValueError(f"reach must be a positive number or {axes} of them, got {reach}")
        if regular.stride != 1:
            raise ValueError(f"points have no stride, got {regular.stride}; give fewer `queries` instead")
        if nearest is not None and nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}; use None for all in the window")

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between points of the grid of `regular`, per axis, in the unit of the positions."""
        whole = 2 if self.regular.causal else 1
        return tuple(r * step(n) / whole for r, n in zip(self.reach, self.regular.size, strict=True))

    def radius(self) -> tuple[float, ...]:
        """How far the present window extends per axis, in the unit of the positions."""
        # 0.001 more: a query midway between points of a grid has some on both rims, and keeps them
        steps = [
            taps - 0.499 if self.regular.causal else taps / 2 + 0.001 for taps in self.regular.kernel_size
        ]
        return tuple(n * h for n, h in zip(steps, self.spacing, strict=True))

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        *,
        queries: Tensor | None = None,
        valid: Tensor | None = None,
        weights: Tensor | None = None,
        neighbours: Neighbours | None = None,
    ) -> Tensor:
        """(batch, in, points) at `positions` -> (batch, out, queries), or (batch, out, points) without.

        Differentiable in `x`, positions, queries, weights and every parameter; which points are neighbours
        is not. Relative positions are taken in the type of the positions, all else in that of the
        parameters; the output is in the type of `x`.

        Args:
            x: (batch, in, points), zeros for missing points.
            positions: (batch, points, D) in the unit of `reach`, in any order; batch may be 1: the same for
                all. Large time stamps need float64, or an origin nearby.
            queries: (batch, queries, D), batch as of the positions: where the output is wanted; None: at
                the points.
            valid: (batch, points) or (1, points), bool. Padded points (False) give nothing, whatever they
                hold, and without queries get 0.
            weights: (batch, points) or (1, points): the length, area or volume that each point stands for,
                in the unit of the positions; divided by that of a cell of the grid, so that they are 1 for
                points `spacing` apart. None: 1.
            neighbours: what `find_neighbours` gives for the same positions and queries; points outside the
                present window still count nothing. None: found anew, within `radius()`.

        Raises:
            ValueError: shapes that do not fit, or what `find_neighbours` refuses.
        """
        self._check(x, positions, queries, valid, weights)
        if weights is not None:
            weights = weights / math.prod(self.spacing)
        if valid is not None:  # padding may hold anything, NaN too: neither it nor its gradient shall pass
            x = x.masked_fill(~valid[:, None], 0)
            valid = valid.expand(max(len(valid), len(positions)), -1)
            positions = positions.expand(len(valid), -1, -1).masked_fill(~valid[..., None], 0)
            weights = None if weights is None else weights.masked_fill(~valid, 0)
        radius, causal = self.radius(), self.regular.causal
        at = positions if queries is None else queries.expand(len(positions), -1, -1)
        if neighbours is None:
            neighbours = find_neighbours(
                positions, at, radius=radius, nearest=self.nearest, causal=causal, valid=valid
            )
        elif neighbours.index.shape[:2] != at.shape[:2]:
            raise ValueError(
                f"neighbours must be of {tuple(at.shape[:2])} (batch, queries), "
                f"got {tuple(neighbours.index.shape[:2])}; find them for these positions and queries"
            )
        offsets = _pick(positions, neighbours.index) - at[:, :, None]  # (batch, queries, k, D)
        inside = neighbours.found & (offsets.abs() <= offsets.new_tensor(radius)).all(-1)
        if causal:
            inside = inside & (offsets[..., 0] <= 0)
        features = self._features(offsets.masked_fill(~inside[..., None], 0), inside)
        given = x.transpose(1, 2).to(features.dtype)
        if weights is not None:
            given = given * weights[..., None].to(features.dtype)
        given = _pick(given, neighbours.index)  # (batch, queries, k, in)
        y = self._output(torch.einsum("bqkh,bqki->bqhi", features, given)).to(x.dtype)
        return y if valid is None or queries is not None else y.masked_fill(~valid[:, None], 0)

    def _features(self, offsets: Tensor, inside: Tensor) -> Tensor:
        """`gain mask (h, 1)`, or 0 if not inside: (batch, queries, k, D) -> (batch, queries, k, H + 1)."""
        layer = self.regular
        points = offsets / offsets.new_tensor(self.reach)
        points = (2 * points + 1 if layer.causal else points).flatten(0, 2).to(layer.gain.dtype)
        with torch.autocast(points.device.type, enabled=False):  # as the regular kernel
            scale = layer.gain if layer.mask is None else layer.gain * layer.mask(points)
            features = torch.cat((_hidden(layer.generator, points), torch.ones_like(points[:, :1])), dim=-1)
            features = features * (scale * inside.flatten())[:, None]
        return features.view(*inside.shape, -1)

    def _output(self, sums: Tensor) -> Tensor:
        """Last map of the generator, and bias: sums (batch, queries, H + 1, in) -> (batch, out, queries)."""
        layer, last = self.regular, _last(self.regular.generator)
        maps = torch.cat((last.weight, last.bias[:, None]), dim=-1)  # (out * in, H + 1)
        if layer.depthwise:
            y = torch.einsum("bqhi,ih->biq", sums, maps)
        else:
            y = torch.einsum("bqhi,oih->boq", sums, maps.view(layer.out_channels, layer.in_channels, -1))
        return y if layer.bias is None else y + layer.bias[:, None]

    def _check(
        self,
        x: Tensor,
        positions: Tensor,
        queries: Tensor | None,
        valid: Tensor | None,
        weights: Tensor | None,
    ) -> None:
        axes, channels = len(self.reach), self.regular.in_channels
        if x.ndim != 3 or x.shape[1] != channels:
            raise ValueError(f"x must be (batch, {channels}, points), got {tuple(x.shape)}")
        batch, _, points = x.shape
        _one_of("positions", positions, (batch, points, axes), (1, points, axes))
        if queries is not None:
            _one_of("queries", queries, (len(positions), *queries.shape[1:2], axes))
        if valid is not None:
            _one_of("valid", valid, (batch, points), (1, points))
            if valid.dtype != torch.bool:
                raise ValueError(f"valid must be bool, got {valid.dtype}; use valid > 0")
        if weights is not None:
            _one_of("weights", weights, (batch, points), (1, points))


def _one_of(name: str, tensor: Tensor, *shapes: tuple[int, ...]) -> None:
    if tensor.shape not in shapes:
        raise ValueError(f"{name} must be {' or '.join(map(str, shapes))}, got {tuple(tensor.shape)}")


def _hidden(generator: nn.Module, points: Tensor) -> Tensor:
    """Last hidden features (K, H) at `points` (K, D): what is left if the last map does nothing."""
    last = _last(generator)
    nothing = {
        "output.weight": torch.eye(last.in_features, dtype=points.dtype, device=points.device),
        "output.bias": points.new_zeros(last.in_features),
    }
    hidden: Tensor = torch.func.functional_call(generator, nothing, (points,))
    return hidden.T


def _last(generator: nn.Module) -> nn.Linear:
    last = generator.get_submodule("output")
    assert isinstance(last, nn.Linear)
    return last


def _pick(values: Tensor, index: Tensor) -> Tensor:
    """`values` (batch, points, C) at `index` (batch or 1, queries, k): (batch, queries, k, C)."""
    first = torch.arange(0, values.shape[0] * values.shape[1], values.shape[1], device=index.device)
    rows = index + first[:, None, None]
    return values.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, -1)
