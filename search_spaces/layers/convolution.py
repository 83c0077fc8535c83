"""Zero-padded cross-correlation in 1 to 3 dimensions, spatially or by FFT: the same numbers."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers import fourier
from search_spaces.layers.costs import cheaper
from search_spaces.layers.grid import check_size

Backend = Literal["auto", "spatial", "fft", "fft_chunked"]


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

    @torch.no_grad()
    def cropped(self, tolerance: float) -> PlainConv:
        """The same with fewer taps: of kernels within this one, one axis after another, the smallest that
        keeps all but `tolerance` of the norm of this one.

        A centred kernel loses taps at both ends of an axis, a causal one the oldest.

        Args:
            tolerance: norm (root of the sum of squares) of what goes over that of all taps, in [0, 1).

        Raises:
            ValueError: a tolerance out of its range.
        """
        if not 0 <= tolerance < 1:
            raise ValueError(
                f"a crop's tolerance must be in [0, 1), got {tolerance}; 0.01 is 1 % of the norm"
            )
        taps = self.weight.detach()
        allowed = (tolerance * taps.double().norm()) ** 2 / len(self.kernel_size)  # energy, by axis
        for axis in range(2, taps.ndim):
            energy = taps.double().square().transpose(0, axis).flatten(1).sum(1)  # by position
            if not self.causal:
                energy = torch.stack((energy, energy.flip(0)))[:, : len(energy) // 2].sum(0)
            spent = (energy[:-1] if self.causal else energy).cumsum(0)  # the last tap, or the middle, stays
            drop = int((spent <= allowed).sum())
            taps = taps.narrow(axis, drop, taps.shape[axis] - (drop if self.causal else 2 * drop))
        bias = None if self.bias is None else self.bias.detach().clone()
        return PlainConv(
            taps.clone(memory_format=torch.contiguous_format),
            bias,
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
        x: (batch, in, *extent), 1 to 3 axes. In half precision the spatial backend runs in it (float16
            on CPUs in float32), FFT in float32; the output is in the type of `x`.
        kernel: (out, in / groups, *size), odd sizes unless causal; an axis may be longer than the input's.
        bias: (out,) or None.
        backend: ``"spatial"``; ``"fft"``; ``"fft_chunked"``, with about the memory of a spatial convolution
            and several times the time of an FFT; ``"auto"``: the first or the second, never the third, by
            `costs.cheaper`, which reads shapes, the type of device and whether gradients are wanted. A
            smaller batch may go by the other one, with the same numbers up to rounding. Dilated
            convolutions go by the first.
        groups: 1 (dense), or the number of channels, in and out (depthwise).
        causal: all padding in front, so that the last tap meets the present sample; 1 axis only.
        stride: of every axis, positive.
        dilation: distance between taps on every axis, in samples, positive.

    Returns:
        (batch, out, *ceil(extent / stride)).

    Raises:
        ValueError: other groups, axes that do not fit or are empty, an even size, a stride below 1, an
            unknown backend.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"unknown backend {backend!r}; there are: {', '.join(get_args(Backend))}")
    _check(x, kernel, groups, causal, stride, dilation)
    if backend == "auto" and dilation > 1:
        backend = "spatial"  # few taps, far apart
    elif backend == "auto":
        # a graph serves all batches: where one is traced, a usual one stands for them
        batch = 16 if torch.compiler.is_compiling() else len(x)
        backend = cheaper(
            (batch, *x.shape[1:]),
            tuple(kernel.shape),
            groups=groups,
            causal=causal,
            stride=stride,
            device=x.device.type,
            training=torch.is_grad_enabled() and (x.requires_grad or kernel.requires_grad),
        )
    # zeros in front of each axis; centred kernels have as many behind
    front = [dilation * (n - 1 if causal else n // 2) for n in kernel.shape[2:]]
    if backend != "spatial":
        kernel = kernel if dilation == 1 else _spread(kernel, dilation)
        return _fft(x, kernel, bias, front, groups, stride, backend == "fft_chunked")
    dtype = x.dtype
    if dtype in HALF:
        # oneDNN never returns from a depthwise one in float16 where the processor has AVX512-FP16
        runs = torch.float32 if dtype == torch.float16 and x.device.type == "cpu" else dtype
        x, kernel, bias = x.to(runs), kernel.to(runs), None if bias is None else bias.to(runs)
    geometry = {"stride": stride, "dilation": dilation, "groups": groups}
    y = _spatial(x, kernel, bias, front, causal, geometry)
    return y.to(dtype) if dtype in HALF else y


HALF = (torch.float16, torch.bfloat16)


def _spread(kernel: Tensor, dilation: int) -> Tensor:
    """The kernel with its taps apart and zeros between."""
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
    if 0 in x.shape[2:]:
        raise ValueError(f"an input needs at least one sample on every axis, got {tuple(x.shape)}")


def _spatial(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    front: list[int],
    causal: bool,
    geometry: dict[str, Any],
) -> Tensor:
    axes = len(front)
    convolution = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    # wide padding by the convolution itself leaves the vectorised code of CPUs: up to 27 times slower
    if causal or (x.device.type == "cpu" and max(front) > 6 and axes < 3):
        x, front = F.pad(x, [pad for n in reversed(front) for pad in (n, 0 if causal else n)]), [0] * axes
    # the gradient of a depthwise kernel takes a third of the time with channels last
    last = geometry["groups"] > 1 and axes > 1 and kernel[0].numel() > 9 and torch.is_grad_enabled()
    if last and x.device.type == "cpu":
        x = x.contiguous(memory_format=torch.channels_last if axes == 2 else torch.channels_last_3d)
    y: Tensor = convolution(x, kernel, bias, padding=front, **geometry)
    return y if y.is_cuda else y.contiguous()  # GPUs keep channels last through a network


def _fft(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    front: list[int],
    groups: int,
    stride: int,
    chunked: bool,
) -> Tensor:
    dtype, device = x.dtype, x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)  # what the spatial backend returns
    if x.dtype in HALF or kernel.dtype in HALF:
        x, kernel = x.float(), kernel.float()
    y = fourier.correlate(x, kernel, front, groups, chunked)
    if stride > 1:
        y = y[(slice(None), slice(None), *[slice(None, None, stride) for _ in front])]
    y = y if bias is None else y + bias.view(-1, *[1] * len(front))
    return y.to(dtype)
