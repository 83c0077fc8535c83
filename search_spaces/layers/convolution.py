"""Zero-padded cross-correlation in 1 to 3 dimensions, spatially or by FFT: the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers.grid import check_size

Backend = Literal["auto", "spatial", "fft"]


class PlainConv(nn.Module):
    """A convolution with given taps: what a discrete kernel is, and what a FlexConv freezes to.

    Args:
        weight: taps (out, in / groups, *kernel size), odd unless causal.
        bias: (out,) or None.
        backend, groups, causal, stride, dilation: how to convolve, see `convolve`.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        backend: Backend = "auto",
        *,
        groups: int = 1,
        causal: bool = False,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)
        self.backend: Backend = backend
        self.groups, self.causal, self.stride, self.dilation = groups, causal, stride, dilation

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis."""
        return tuple(self.weight.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, *extent) -> (batch, out, *ceil(extent / stride))."""
        return convolve(
            x,
            self.weight,
            self.bias,
            self.backend,
            groups=self.groups,
            causal=self.causal,
            stride=self.stride,
            dilation=self.dilation,
        )

    def portable(self) -> nn.Module:
        """The same function as torch's own layer, `nn.Conv1d` to `nn.Conv3d`; padded apart if causal."""
        kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(self.kernel_size) - 1]
        same: Any = kind(
            self.weight.shape[1] * self.groups,
            self.weight.shape[0],
            self.kernel_size,
            stride=self.stride,
            padding=0 if self.causal else tuple(self.dilation * (n // 2) for n in self.kernel_size),
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias is not None,
            device="meta",
        )
        same.weight, same.bias = self.weight, self.bias
        layer: nn.Module = same
        return (
            nn.Sequential(nn.ConstantPad1d((self.dilation * (self.kernel_size[0] - 1), 0), 0.0), layer)
            if self.causal
            else layer
        )


def plain_conv(
    in_channels: int, out_channels: int, size: tuple[int, ...], *, bias: bool = False, **geometry: Any
) -> PlainConv:
    """A convolution of `size` per axis, initialised as torch initialises its own.

    Args:
        in_channels, out_channels: of the convolution.
        size: taps along each axis, odd unless causal.
        bias: whether outputs have one.
        geometry: groups, causal, stride, dilation, see `convolve`.
    """
    check_size(size, geometry.get("causal", False))
    weight = torch.empty(out_channels, in_channels // geometry.get("groups", 1), *size)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    offset = None
    if bias:
        bound = 1 / math.sqrt(weight[0].numel())
        offset = torch.empty(out_channels).uniform_(-bound, bound)
    return PlainConv(weight, offset, **geometry)


def convolve(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    backend: Backend = "auto",
    *,
    groups: int = 1,
    causal: bool = False,
    stride: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Cross-correlation with zero padding that keeps the extent, or every `stride`-th position of it.

    Args:
        x: (batch, in, *extent), 1 to 3 axes. In half precision the spatial backend runs in it, FFT in
            float32; the output is in the type of `x`.
        kernel: (out, in / groups, *size), odd sizes unless causal; an axis may be longer than the input's.
        bias: (out,) or None.
        backend: ``"auto"`` takes the cheaper one by `cheaper`, which reads shapes only.
        groups: 1 (dense), or the number of channels, in and out (depthwise).
        causal: all padding in front, so that the last tap meets the present sample; 1 axis only.
        stride: of every axis, positive.
        dilation: distance between taps on every axis, in samples, positive.

    Returns:
        (batch, out, *ceil(extent / stride)).

    Raises:
        ValueError: other groups, axes that do not fit, an even size, a stride below 1.
    """
    _check(x, kernel, groups, causal, stride, dilation)
    if backend == "auto":
        backend = cheaper(tuple(x.shape[2:]), tuple(kernel.shape), groups, causal, dilation)
    # zeros in front of each axis; centred kernels have as many behind
    front = [dilation * (n - 1 if causal else n // 2) for n in kernel.shape[2:]]
    if backend == "fft":  # the taps between are zeros
        return _fft(x, _spread(kernel, dilation) if dilation > 1 else kernel, bias, front, groups, stride)
    if x.dtype in HALF:
        kernel, bias = kernel.to(x.dtype), None if bias is None else bias.to(x.dtype)
    return _spatial(x, kernel, bias, front, groups, causal, stride, dilation)


def cheaper(
    extent: tuple[int, ...],
    kernel: tuple[int, ...],
    groups: int = 1,
    causal: bool = False,
    dilation: int = 1,
) -> Backend:
    """The backend that should be quicker for an input of `extent` and a (out, in / groups, *size) kernel.

    A rule fitted to forward and backward of dense convolutions on one CPU core (torch 2.13, float32), in
    units of one spatial multiply-add there, 16 channels in 1 and 2 axes. Away from that it errs: with 32
    channels it takes FFT for 9x9 on 32x32, 1.5 times slower; with 16, for 7x7x7 on 16x16x16, 5 times slower.
    It reads neither batch nor device, so that a network computes the same numbers wherever it runs.
    """
    outputs, inputs, *size = kernel
    pairs = outputs * inputs
    slow = 6 if max(size) > 15 else 1  # longer kernels have no vectorised spatial code
    spatial = slow * pairs * math.prod(size) * math.prod(extent)
    size = [dilation * (n - 1) + 1 for n in size]
    front = [n - 1 if causal else n // 2 for n in size]
    points = math.prod(_transform_lengths(extent, size, front))
    uncached = 2 if points > 4096 else 1
    fft = uncached * points * (14 * (inputs * groups + outputs) * math.log2(points) + 50 * pairs)
    return "fft" if fft < spatial else "spatial"


HALF = (torch.float16, torch.bfloat16)


def _spread(kernel: Tensor, dilation: int) -> Tensor:
    wide = kernel.new_zeros(*kernel.shape[:2], *(dilation * (n - 1) + 1 for n in kernel.shape[2:]))
    index = (slice(None),) * 2 + (slice(None, None, dilation),) * (kernel.ndim - 2)
    wide[index] = kernel
    return wide


def _check(x: Tensor, kernel: Tensor, groups: int, causal: bool, stride: int, dilation: int) -> None:
    shape = tuple(kernel.shape)
    check_size(shape[2:], causal)
    if x.ndim != kernel.ndim:
        raise ValueError(
            f"a kernel of {kernel.ndim - 2} axes takes (batch, channels, {kernel.ndim - 2} axes), "
            f"got {tuple(x.shape)}"
        )
    if groups not in (1, shape[0]) or x.shape[1] != shape[1] * groups:
        raise ValueError(
            f"groups must be 1 or the number of channels, and the kernel (out, channels / groups, ...); "
            f"got groups {groups}, a kernel {shape} and {x.shape[1]} channels"
        )
    for name, value in (("stride", stride), ("dilation", dilation)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _spatial(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    front: list[int],
    groups: int,
    causal: bool,
    stride: int,
    dilation: int,
) -> Tensor:
    convolution = (F.conv1d, F.conv2d, F.conv3d)[len(front) - 1]
    if causal:
        x, front = F.pad(x, (front[0], 0)), [0]
    y: Tensor = convolution(x, kernel, bias, padding=front, stride=stride, dilation=dilation, groups=groups)
    return y


def _fft(
    x: Tensor, kernel: Tensor, bias: Tensor | None, front: list[int], groups: int, stride: int
) -> Tensor:
    extent, size, dtype = x.shape[2:], kernel.shape[2:], x.dtype
    if dtype in HALF or kernel.dtype in HALF:
        x, kernel = x.float(), kernel.float()
    axes = tuple(range(2, x.ndim))
    # zeros in front put the first output at index 0; what wraps around meets those zeros again
    points = _transform_lengths(extent, size, front)
    spectrum = torch.fft.rfftn(F.pad(x, [pad for n in reversed(front) for pad in (n, 0)]), points, dim=axes)
    response = torch.fft.rfftn(kernel, points, dim=axes).conj()
    if groups == 1:
        product = torch.einsum("bi...,oi...->bo...", spectrum, response)
    else:
        product = spectrum * response[:, 0]
    y: Tensor = torch.fft.irfftn(product, points, dim=axes)
    for axis, n in zip(axes, extent, strict=True):
        y = y.narrow(axis, 0, n)
    if stride > 1:
        y = y[(slice(None), slice(None), *[slice(None, None, stride) for _ in axes])]
    y = y if bias is None else y + bias.view(-1, *[1] * len(axes))
    return y.to(dtype)


def _transform_lengths(extent: Sequence[int], size: Sequence[int], front: Sequence[int]) -> list[int]:
    return [_fast_length(max(n + f, k)) for n, k, f in zip(extent, size, front, strict=True)]


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
