"""Zero-padded "same" cross-correlation in 1 to 3 dimensions, spatially or by FFT: the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers.grid import check_size

Backend = Literal["auto", "spatial", "fft"]


class PlainConv(nn.Module):
    """A convolution with given taps: what a discrete kernel is, and what a FlexConv freezes to.

    Args:
        weight: taps (out, in, *odd kernel size).
        bias: (out,) or None.
        backend: how to convolve, see `convolve`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, backend: Backend = "auto") -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.backend: Backend = backend

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis."""
        return tuple(self.weight.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, *extent) -> (batch, out, *extent)."""
        return convolve(x, self.weight, self.bias, self.backend)


def plain_conv(in_channels: int, out_channels: int, size: tuple[int, ...]) -> PlainConv:
    """A convolution of odd `size` per axis without bias, initialised as torch initialises its own."""
    check_size(size)
    weight = torch.empty(out_channels, in_channels, *size)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return PlainConv(weight)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None, backend: Backend = "auto") -> Tensor:
    """Cross-correlation with zero padding that keeps the extent, stride 1.

    Args:
        x: (batch, in, *extent), 1 to 3 axes.
        kernel: (out, in, *odd size); an axis may be longer than the input's.
        bias: (out,) or None.
        backend: ``"auto"`` takes the cheaper one by `cheaper`, which reads shapes only.

    Returns:
        (batch, out, *extent).
    """
    if backend == "auto":
        backend = cheaper(tuple(x.shape[2:]), tuple(kernel.shape))
    return _fft(x, kernel, bias) if backend == "fft" else _spatial(x, kernel, bias)


def cheaper(extent: tuple[int, ...], kernel: tuple[int, ...]) -> Backend:
    """The backend that should be quicker for an input of `extent` and a (out, in, *size) kernel.

    A rule fitted to forward and backward on one CPU core (torch 2.13, float32), in units of one spatial
    multiply-add there: its choice is at most 2 times slower than the better one.
    It reads neither batch nor device, so that a network computes the same numbers wherever it runs.
    """
    outputs, inputs, *size = kernel
    pairs = outputs * inputs
    slow = 6 if max(size) > 15 else 1  # longer kernels have no vectorised spatial code
    spatial = slow * pairs * math.prod(size) * math.prod(extent)
    points = math.prod(_transform_lengths(extent, size))
    uncached = 2 if points > 4096 else 1
    fft = uncached * points * (14 * (inputs + outputs) * math.log2(points) + 50 * pairs)
    return "fft" if fft < spatial else "spatial"


def _spatial(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    padding = [n // 2 for n in kernel.shape[2:]]
    convolution = (F.conv1d, F.conv2d, F.conv3d)[len(padding) - 1]
    y: Tensor = convolution(x, kernel, bias, padding=padding)
    return y


def _fft(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    extent, size = x.shape[2:], kernel.shape[2:]
    axes = tuple(range(2, x.ndim))
    # zeros in front put the first output at index 0; what wraps around meets those zeros again
    points = _transform_lengths(extent, size)
    front = [pad for k in reversed(size) for pad in (k // 2, 0)]
    spectrum = torch.fft.rfftn(F.pad(x, front), points, dim=axes)
    response = torch.fft.rfftn(kernel, points, dim=axes).conj()
    y: Tensor = torch.fft.irfftn(torch.einsum("bi...,oi...->bo...", spectrum, response), points, dim=axes)
    for axis, n in zip(axes, extent, strict=True):
        y = y.narrow(axis, 0, n)
    return y if bias is None else y + bias.view(-1, *[1] * len(axes))


def _transform_lengths(extent: Sequence[int], size: Sequence[int]) -> list[int]:
    return [_fast_length(max(n + k // 2, k)) for n, k in zip(extent, size, strict=True)]


def _fast_length(n: int) -> int:
    """Smallest even length of at least n without a prime factor above 5."""
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
