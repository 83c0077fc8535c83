"""Series of variable length: how a network of them does not depend on how far they are padded.

NaN after the end of a series says where it ends, once, at the entrance. What looks at several positions
looks at valid ones alone: convolutions see zeros after the end, as they see zeros beyond the border; batch
norm and pooling count valid positions. All else acts on every position by itself, and nobody reads what it
makes of invalid ones.

Which positions are valid goes through a network as an argument, None for series of one length, and is no
state of its modules: copies, exports and activation checkpointing have nothing to keep in step.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from search_spaces.layers.convolution import PlainConv
from search_spaces.layers.flexconv import FlexConv
from search_spaces.parts import Convolution, Part
from search_spaces.space import TaskShape

Valid = tuple[Tensor, ...] | None
"""(batch, 1, extent) for every extent in a network: 1 where a position is valid, 0 after the end; float32."""


def total_strides(parts: Iterable[Part], shape: TaskShape) -> tuple[int, ...] | None:
    """Strides from the input to every level of a network, for `entered`; None if series have one length."""
    if not shape.variable:
        return None
    strides = (part.stride for part in parts if isinstance(part, Convolution))
    return tuple(dict.fromkeys(itertools.accumulate(strides, operator.mul, initial=1)))


def entered(x: Tensor, strides: tuple[int, ...] | None) -> tuple[Tensor, Valid]:
    """A batch (batch, channels, extent), NaN after the end of each series: with zeros there; what is valid.

    A stride keeps positions 0, `stride`, ...: of valid ones and of all alike.
    """
    if strides is None:
        return x, None
    inside = ~x[:, :1].isnan()
    return x.where(inside, 0.0), tuple(inside[..., ::stride].float() for stride in strides)


def valid_at(valid: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """The mask for `x`; levels of equal extent have one position, which is valid."""
    return next(mask for mask in valid if mask.shape[-1] == x.shape[-1])


def zeroed(x: Tensor, valid: tuple[Tensor, ...]) -> Tensor:
    """(batch, channels, extent) with zeros after the end of each series."""
    return x * valid_at(valid, x).to(x.dtype)


def mean(x: Tensor, valid: Valid) -> Tensor:
    """(batch, channels, *extent) -> (batch, channels): over valid positions."""
    if valid is None:
        return x.flatten(2).mean(2)
    mask = valid_at(valid, x)
    return (x * (mask / mask.sum(2, keepdim=True)).to(x.dtype)).sum(2)


def averaged(pool: Callable[[Tensor], Tensor], x: Tensor, valid: Valid) -> Tensor:
    """An average pool of at most 3 positions: over the valid ones among them; 0 where there are none."""
    if valid is None:
        return pool(x)
    share = pool(valid_at(valid, x))
    return pool(zeroed(x, valid)) / share.clamp(min=1 / 3).to(x.dtype)


class BatchNorm1d(nn.BatchNorm1d):
    """torch's own, and told which positions are valid, with the statistics of those (arXiv 1502.03167)."""

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        """(batch, channels, extent) -> the same shape."""
        if valid is None or not (self.training or self.running_mean is None):
            return super().forward(x)
        mask = valid_at(valid, x)  # in float32: what it meets is too
        with torch.no_grad():
            count = mask.sum()
            average = (x * mask).sum((0, 2)) / count
            variance = (x - average[:, None]).mul_(mask).square_().sum((0, 2)) / count
            self._follow(average, variance, count)
        moments = average, variance, count
        return _standardised(x, self.weight, self.bias, mask, moments, self.eps)

    def _follow(self, average: Tensor, variance: Tensor, count: Tensor) -> None:
        """Running averages, of the variance the unbiased one."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1).clamp(min=1)  # of one position the variance is 0
        self.running_mean.add_(share * (average - self.running_mean))
        self.running_var.add_(share * (unbiased - self.running_var))


class _Standardised(torch.autograd.Function):
    """(x - mean) / sd * weight + bias, whose gradient knows that mean and sd are of valid positions.

    Step by step it would take a tenth to a third longer, of a whole training step, and more memory. Nothing
    may read invalid outputs: their gradient must be 0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mask: Tensor,
        moments: tuple[Tensor, Tensor, Tensor],
        eps: float,
    ) -> Tensor:
        mean, variance, count = moments
        ctx.save_for_backward(x, weight, mask, mean, (variance + eps).rsqrt(), count)
        weight, bias = (None if each is None else each.to(mean.dtype) for each in (weight, bias))
        return nn.functional.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Section 3 of the paper, with sums over valid positions."""
        x, weight, mask, mean, scale, count = ctx.saved_tensors
        standard = (x - mean[:, None]).mul_(scale[:, None])
        by_bias, by_weight = gradient.sum((0, 2)), (gradient * standard).sum((0, 2))
        by_x = (
            (gradient - (by_bias / count)[:, None])
            .addcmul_(standard, (by_weight / count)[:, None], value=-1)
            .mul_(mask)
        )
        if weight is None:
            return by_x.mul_(scale[:, None]), None, None, None, None, None
        return by_x.mul_((scale * weight)[:, None]), by_weight, by_bias, None, None, None


_standardised: Callable[..., Tensor] = _Standardised.apply


class Chain(nn.Sequential):
    """Layers one after the other, each told which positions are valid, as far as it needs to know."""

    def forward(self, x: Tensor, valid: Valid = None) -> Tensor:
        """What the last layer makes of it."""
        for layer in self:
            x = through(layer, x, valid)
        return x


def through(layer: nn.Module, x: Tensor, valid: Valid) -> Tensor:
    """What a layer of a network makes of `x`.

    A layer that is not known here takes `valid` too: one that does not fails, and nothing leaks unseen.
    """
    if valid is None or isinstance(layer, BY_POSITION) or _is_pointwise(layer):
        y: Tensor = layer(x)
    elif isinstance(layer, CONVOLUTIONS) or _is_padded(layer):
        y = layer(zeroed(x, valid))
    elif isinstance(layer, nn.AvgPool1d):
        y = averaged(layer, x, valid)
    else:
        y = layer(x, valid)
    return y


BY_POSITION = (nn.Identity, nn.ReLU, nn.GELU, nn.Dropout1d, nn.LayerNorm, nn.Linear)
CONVOLUTIONS = (PlainConv, FlexConv, nn.Conv1d)


def _is_pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv1d) and layer.kernel_size == (1,)


def _is_padded(layer: nn.Module) -> bool:
    """Whether it is a causal convolution in its portable form."""
    return isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.ConstantPad1d)
