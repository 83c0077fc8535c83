"""Zero-padded cross-correlation by discrete Fourier transforms, with its own backward pass.

A product of spectra is a circular correlation. With `front` zeros before the input and a transform of at
least extent + front, whatever wraps around meets those zeros again; longer, the linear one is not needed.

torch would do too, but differentiates a real transform by a complex one of the whole padded array. Here the
backward pass is made of real transforms, of what is needed only, and axis by axis: the zeros that pad one
axis are never transformed along the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.layers.costs import transform_lengths


def correlate(x: Tensor, kernel: Tensor, front: Sequence[int], groups: int, chunked: bool = False) -> Tensor:
    """Cross-correlation that keeps the extent: ``y[t] = sum_j kernel[j] x[t + j - front]``.

    Args:
        x: (batch, in, *extent), 1 to 3 axes, float32 or float64.
        kernel: (out, in / groups, *size), of the same type.
        front: zeros in front of each axis, size // 2 to size - 1.
        groups: 1, or the number of channels, in and out.
        chunked: piece by piece over the batch and the outputs; the backward pass computes spectra anew
            instead of keeping them.

    Returns:
        (batch, out, *extent). Differentiable once.

    Raises:
        ValueError: in the backward pass, when it shall be differentiated itself (``create_graph=True``).
    """
    # taps that reach beyond the whole input meet zeros only
    for axis, n in enumerate(x.shape[2:]):
        before = min(front[axis], n - 1)
        behind = min(kernel.shape[2 + axis] - 1 - front[axis], n - 1)
        kernel = kernel.narrow(2 + axis, front[axis] - before, before + 1 + behind)
    front = [min(f, n - 1) for f, n in zip(front, x.shape[2:], strict=True)]
    traced = torch.compiler.is_compiling()  # a graph of plain operations, whole, so that any batch fits
    # an empty batch, which torch.fft refuses, has no pieces
    chunked = not traced and (chunked or x.numel() == 0)
    plan = Plan(tuple(x.shape[2:]), tuple(kernel.shape[2:]), tuple(front), groups == 1, chunked)
    if traced or not (torch.is_grad_enabled() and (x.requires_grad or kernel.requires_grad)):
        return plan.forward(x, kernel)
    return _correlation(x, kernel, plan)


@dataclass(frozen=True)
class Plan:
    """What is transformed and multiplied, for one shape.

    Spectra are (frequencies, batch, channels) in a dense convolution, where each frequency is a product of
    matrices, and (batch, channels, *frequencies) in a depthwise one.
    """

    extent: tuple[int, ...]
    size: tuple[int, ...]
    front: tuple[int, ...]
    dense: bool
    chunked: bool

    @property
    def points(self) -> list[int]:
        """Length of the transform of each axis."""
        return transform_lengths(self.extent, self.front)

    @property
    def frequencies(self) -> list[int]:
        """Of each axis; real input has no need of the upper half of the last."""
        return [*self.points[:-1], self.points[-1] // 2 + 1]

    def forward(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The correlation, of (batch, in, *extent) and (out, in / groups, *size)."""
        if not self.chunked:
            return self.output(self.input(x), self.response(kernel))
        y = x.new_empty(len(x), len(kernel), *self.extent)
        for outputs in self.pieces(len(kernel), x, kernel):
            inputs = slice(None) if self.dense else outputs
            response = self.response(kernel[outputs])
            for some in self.pieces(len(x), x, x):
                y[some, outputs] = self.output(self.input(x[some, inputs]), response)
        return y

    def input(self, x: Tensor) -> Tensor:
        """Spectrum of the input behind its zeros."""
        return self._spectrum(x, self.front)

    def response(self, kernel: Tensor) -> Tensor:
        """Spectrum of the kernel: (frequencies, out, in) or (channels, 1, *frequencies)."""
        if not self.dense:
            return self._spectrum(kernel, (0,) * len(self.size))
        # there are many dense kernels and they are short: along all axes but one, a matrix is quicker
        rows = torch.fft.rfft(kernel, self.points[-1])
        k = rows.flatten(0, 1).movedim(0, -1).contiguous()
        for axis, matrix in reversed(list(enumerate(self._matrices(kernel)))):
            k = matrix.mT @ k.flatten(axis + 1)
        response: Tensor = k.reshape(-1, *kernel.shape[:2])
        return response

    def output(self, x: Tensor, response: Tensor) -> Tensor:
        """(batch, out, *extent) from both spectra."""
        product = torch.matmul if self.dense else torch.mul
        kernel = response.mH if self.dense else response[:, 0].conj()
        return self._signal(product(x, kernel), (0,) * len(self.extent), self.extent)

    def gradient(self, y: Tensor) -> Tensor:
        """Spectrum of the gradient of the output."""
        return self._spectrum(y, (0,) * len(self.extent))

    def input_gradient(self, y: Tensor, response: Tensor) -> Tensor:
        """(batch, in, *extent) from the spectra of the output's gradient and of the kernel."""
        return self._signal(y @ response if self.dense else y * response[:, 0], self.front, self.extent)

    def kernel_gradient(self, y: Tensor, x: Tensor) -> Tensor:
        """Spectrum of the kernel's gradient from those of the output's gradient and of the input."""
        return y.mH @ x if self.dense else (y.conj() * x).sum(0)[:, None]

    def kernel(self, response: Tensor) -> Tensor:
        """(out, in / groups, *size): what `response` transforms."""
        if not self.dense:
            return self._signal(response, (0,) * len(self.size), self.size)
        k = response
        for axis, matrix in enumerate(self._matrices(response.real)):
            k = k.reshape(*self.size[:axis], self.points[axis], -1)
            k = (matrix.conj() / self.points[axis]) @ k
        k = k.reshape(*self.size[:-1], self.frequencies[-1], -1).movedim(-1, 0)
        taps: Tensor = torch.fft.irfft(k, self.points[-1])[..., : self.size[-1]]
        return taps.reshape(*response.shape[1:], *self.size)

    def pieces(self, count: int, x: Tensor, whole: Tensor) -> Iterator[slice]:
        """Slices of the first axis of `whole`, each with a spectrum of a third of the input's memory."""
        spectrum = 2 * math.prod(self.frequencies) * whole.shape[1]
        step = max(1, x.numel() // (3 * spectrum))
        return (slice(i, i + step) for i in range(0, count, step))

    def _matrices(self, like: Tensor) -> list[Tensor]:
        """(taps, frequencies) of the transform of every axis but the last."""
        axes = zip(self.size[:-1], self.points[:-1], strict=True)
        return [torch.fft.fft(torch.eye(k, dtype=like.dtype, device=like.device), n) for k, n in axes]

    def _spectrum(self, x: Tensor, front: Sequence[int]) -> Tensor:
        for axis in reversed(range(len(front))):
            transform = torch.fft.fft if x.is_complex() else torch.fft.rfft
            x = transform(_embed(x, 2 + axis, front[axis], self.points[axis]), dim=2 + axis)
        return x.flatten(2).permute(2, 0, 1).contiguous() if self.dense else x

    def _signal(self, y: Tensor, front: Sequence[int], length: Sequence[int]) -> Tensor:
        # every step takes the name of the one before, for as long as a name holds it, memory does
        if self.dense:
            y = y.permute(1, 2, 0).reshape(*y.shape[1:], *self.frequencies)
        last = len(front) - 1
        for axis in range(last):
            y = torch.fft.ifft(y, dim=2 + axis).narrow(2 + axis, front[axis], length[axis])
        y = torch.fft.irfft(y, self.points[-1])
        return y.narrow(2 + last, front[last], length[last])


def _embed(x: Tensor, axis: int, front: int, points: int) -> Tensor:
    """Zeros in front of an axis and behind it, up to `points`."""
    behind = points - front - x.shape[axis]
    return F.pad(x, [0, 0] * (x.ndim - 1 - axis) + [front, behind])


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, plan: Plan) -> Tensor:
        ctx.plan = plan
        if plan.chunked:
            ctx.save_for_backward(x, kernel)
            return plan.forward(x, kernel)
        needs_x, needs_kernel, _ = ctx.needs_input_grad
        spectrum, response = plan.input(x), plan.response(kernel)
        # the gradient of one needs the spectrum of the other
        ctx.save_for_backward(spectrum if needs_kernel else None, response if needs_x else None)
        return plan.output(spectrum, response)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if torch.is_grad_enabled():
            raise ValueError(
                "a convolution by FFT is differentiable once, got create_graph=True; "
                "use the spatial backend for second derivatives"
            )
        plan, (first, second) = ctx.plan, ctx.saved_tensors
        needs_x, needs_kernel, _ = ctx.needs_input_grad
        if plan.chunked:
            return *_chunked_gradients(plan, first, second, y, needs_x, needs_kernel), None
        y = plan.gradient(y)
        x = plan.input_gradient(y, second) if needs_x else None
        kernel = plan.kernel(plan.kernel_gradient(y, first)) if needs_kernel else None
        return x, kernel, None


_correlation: Callable[..., Tensor] = _Correlation.apply


def _chunked_gradients(
    plan: Plan, x: Tensor, kernel: Tensor, y: Tensor, needs_x: bool, needs_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    dx = torch.zeros_like(x) if needs_x else None
    dkernel = torch.zeros_like(kernel) if needs_kernel else None
    for outputs in plan.pieces(len(kernel), x, kernel):
        inputs = slice(None) if plan.dense else outputs
        response = plan.response(kernel[outputs]) if needs_x else None
        total: Tensor | None = None
        for some in plan.pieces(len(x), x, x):
            gradient = plan.gradient(y[some, outputs])
            if dx is not None and response is not None:
                dx[some, inputs] += plan.input_gradient(gradient, response)
            if needs_kernel:
                part = plan.kernel_gradient(gradient, plan.input(x[some, inputs]))
                total = part if total is None else total.add_(part)
        if dkernel is not None and total is not None:
            dkernel[outputs] = plan.kernel(total)
    return dx, dkernel
