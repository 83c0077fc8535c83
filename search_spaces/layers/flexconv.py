"""FlexConv: a convolution whose kernel is a function, and whose size is learned (arXiv 2110.08059)."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from search_spaces.layers.convolution import Backend, PlainConv, convolve
from search_spaces.layers.filters import GeneratorSettings
from search_spaces.layers.grid import ROOT, check_size, initial_sigma, step
from search_spaces.layers.kernel_cache import KernelCache
from search_spaces.layers.kernel_generators import make_generator
from search_spaces.layers.masks import GaussianMask


class FlexConv(nn.Module):
    """`kernel(x) = mask(x) * generator(x)` on the grid of [-1, 1]^D, cropped to where the mask exceeds 0.1.

    Without a mask the kernel is the whole grid: CKConv (arXiv 2102.02611).

    The kernel is multiplied by a constant `gain`, set once, here, so that white noise of variance 1 comes
    out with variance 1, whatever the size: the purpose of Chang et al. (2020), whose factor
    sqrt(1 / (in_channels * taps)) (used by CCNN, arXiv 2301.10540) presumes a generator of variance 1.
    MAGNet's is far below: with that factor outputs start at a sd of 1e-2 to 1e-4 and drown in the epsilon
    of the norm that follows. A constant, and not larger output weights, since those would learn slower.

    The rule of the crop is the one of `grid.taps`. Released codes differ by a tap (CCNN's causal layer keeps
    one more, below the threshold). `crop`, None by default, holds the number of taps per axis fixed instead:
    to reproduce theirs, or to differentiate at a fixed size.

    Reading the mask would make a GPU wait at every step. In training it is read at the forwards 0,
    `REFRESH`, 2 `REFRESH`, ... alone; taps are sampled `ROOM` beyond where it ends, and those that the mask
    of the moment would crop are multiplied by 0: the same function as in evaluation until the mask outgrows
    that room. The taps and the count of forwards are saved with the weights, so that a training that is
    resumed takes the same steps. In evaluation without gradients the kernel is generated once and used until
    a parameter changes.

    Args:
        in_channels, out_channels: of the convolution.
        size: most taps along each axis; 1 to 3 axes; odd, or any if causal.
        sigma: initial width of the mask on every axis, in units of the [-1, 1] coordinate, positive, may
            exceed 1; None: 0.075 as published, more on small grids so that 5 taps fit
            (`grid.initial_sigma`).
        mask: ``"gaussian"``, or None for a kernel that keeps its size.
        learn_mean, learn_size: whether the centre and the width of the mask are learned.
        causal: the last tap is now, the mask starts there, and padding is on the left; 1-D.
        depthwise: one kernel per channel instead of one per pair; needs out_channels = in_channels.
        stride: of every axis.
        generator: its name, see `kernel_generators`.
        hidden, layers, frequency: of the generator.
        bias: whether a learned (out_channels,) bias is added, from 0.

    Raises:
        ValueError: an even or non-positive size, not 1 to 3 axes (1 if causal), sigma not positive or given
            without a mask, an unknown mask or generator, depthwise with different channels, a stride below 1.
    """

    gain: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, ...],
        *,
        sigma: float | None = None,
        mask: Literal["gaussian"] | None = "gaussian",
        learn_mean: bool = True,
        learn_size: bool = True,
        causal: bool = False,
        depthwise: bool = False,
        stride: int = 1,
        generator: str = "magnet",
        hidden: int = 32,
        layers: int = 3,
        frequency: float = 0.5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_size(size, causal)
        _check_mask(mask, sigma)
        if depthwise and in_channels != out_channels:
            raise ValueError(
                f"a depthwise layer keeps its channels, got {in_channels} and {out_channels}; "
                "use SeparableFlexConv to change them"
            )
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        self.in_channels, self.out_channels, self.size = in_channels, out_channels, size
        self.causal, self.depthwise, self.stride = causal, depthwise, stride
        self.mask: GaussianMask | None = None
        sigmas = (math.inf,) * len(size)
        if mask is not None:
            sigmas = tuple(initial_sigma(n, causal) if sigma is None else float(sigma) for n in size)
            self.mask = GaussianMask(size, sigmas, learn_mean, causal, learn_size)
        settings = GeneratorSettings(
            size=size,
            sigma=sigmas,
            out_features=out_channels if depthwise else out_channels * in_channels,
            hidden=hidden,
            layers=layers,
            frequency=frequency,
            causal=causal,
        )
        self.generator = make_generator(generator, settings)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.backend: Backend = "auto"
        self._crop: tuple[int, ...] | None = None
        self._cache = KernelCache()
        self.register_buffer("gain", torch.ones(()))
        with torch.no_grad():
            energy = self.kernel().square().sum()
            if energy > 0:  # few ReLUs may all be dead
                self.gain.copy_((out_channels / energy).sqrt())
        self._forwards = 0
        self._sampled: tuple[int, ...] | None = None  # until the first look

    @property
    def crop(self) -> tuple[int, ...] | None:
        """Taps along each axis that are held whatever the mask, or None.

        Raises:
            ValueError: set to sizes that a kernel cannot have, or that exceed the grid's.
        """
        return self._crop

    @crop.setter
    def crop(self, taps: tuple[int, ...] | None) -> None:
        if taps is not None:
            check_size(taps, self.causal)
            if len(taps) != len(self.size) or any(k > n for k, n in zip(taps, self.size, strict=True)):
                raise ValueError(
                    f"a crop must be at most the grid's {self.size} on each axis, got {taps}; "
                    "make the layer with a larger size"
                )
        self._crop = taps

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis, at the present mask unless `crop` holds them."""
        if self.crop is not None:
            return self.crop
        return self.size if self.mask is None else self.mask.kernel_size()

    @property
    def sampled_size(self) -> tuple[int, ...]:
        """Taps along each axis that a training step computes: `kernel_size` and its room to grow."""
        if self.crop is not None:
            return self.crop
        return self._room() if self._sampled is None else self._sampled

    def set_size(self, size: tuple[int, ...]) -> None:
        """Sample the same function on another grid, see `resolution.at_rate`; a held crop is released.

        Raises:
            ValueError: not as many axes, or a size that `FlexConv` refuses.
        """
        check_size(size, self.causal)
        if len(size) != len(self.size):
            raise ValueError(f"a layer of {len(self.size)} axes takes as many sizes, got {size}")
        self.size, self.crop = size, None
        if self.mask is not None:
            self.mask.set_size(size)
        self._look_next()

    def get_extra_state(self) -> Tensor:
        """Part of `state_dict`: training forwards so far, the grid, the taps that they sample (0: none)."""
        return torch.tensor([self._forwards, *self.size, *(self._sampled or (0,) * len(self.size))])

    def set_extra_state(self, state: Tensor) -> None:
        """Go on as the layer whose state it was; on another grid, from a look at the mask."""
        forwards, *sizes = state.tolist()
        axes = len(self.size)
        self._look_next()
        if tuple(sizes[:axes]) == self.size and sizes[-1] > 0:
            self._forwards, self._sampled = forwards, tuple(sizes[axes:])

    def _look_next(self) -> None:
        self._forwards, self._sampled = 0, None
        self._cache.clear()

    def train(self, mode: bool = True) -> FlexConv:
        """As of any module; a kernel kept for evaluation is forgotten."""
        self._cache.clear()
        return super().train(mode)

    def coordinates(self, kernel_size: tuple[int, ...]) -> list[Tensor]:
        """Where a kernel of that size is sampled, (taps,) per axis, in units of the [-1, 1] coordinate."""
        like, axes = self.gain, []
        for taps, n in zip(kernel_size, self.size, strict=True):
            if self.causal:
                whole = torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device)
                axes.append(whole[n - taps :] if n > 1 else -whole)  # one point: now
            else:
                half = taps // 2
                steps = torch.arange(-half, half + 1, device=like.device).to(like.dtype)
                axes.append(steps * step(n))
        return axes

    def kernel(self) -> Tensor:
        """The masked, cropped kernel: (out, in, *kernel_size), (1, channels, *kernel_size) if depthwise.

        In the precision of the parameters, autocast or not: phases reach hundreds of radians.
        """
        return self._sample(self.kernel_size)

    def freeze(self) -> PlainConv:
        """The layer of evaluation with its taps written out: exact, and rid of the generator's cost."""
        bias = None if self.bias is None else self.bias.detach().clone()
        taps = self._laid_out(self.kernel()).detach().clone(memory_format=torch.contiguous_format)
        return PlainConv(taps, bias, self.backend, **self._geometry())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, *extent) -> (batch, out, *ceil(extent / stride)).

        Raises:
            ValueError: `x` has other axes or channels.
        """
        if self.training and self.mask is not None and self.crop is None:
            self._count(self.mask)
            kernel = self._sample(self.sampled_size, cropped=True)
        elif self.training or torch.compiler.is_compiling() or self._learns():
            kernel = self.kernel()
        else:
            kernel = self._cache.get(self.crop, (*self.parameters(), *self.buffers()), self.kernel)
        return convolve(x, self._laid_out(kernel), self.bias, self.backend, **self._geometry())

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _count(self, mask: GaussianMask) -> None:
        """Count a training forward, and look at the mask if it is time."""
        if torch._C._current_graph_task_id() != -1:
            return  # activation checkpointing repeats a forward inside a backward, with the same taps
        if self._forwards % REFRESH == 0 or self._sampled is None:
            mask.project()
            self._sampled = self._room()
        self._forwards += 1

    def _learns(self) -> bool:
        return torch.is_grad_enabled() and any(each.requires_grad for each in self.parameters())

    def _room(self) -> tuple[int, ...]:
        return self.kernel_size if self.mask is None else self.mask.kernel_size(ROOM)

    def _sample(self, taps: tuple[int, ...], cropped: bool = False) -> Tensor:
        """The kernel at so many taps; with zeros, if `cropped`, for those that the present mask drops."""
        axes = self.coordinates(taps)
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)  # (K, D)
        with torch.autocast(points.device.type, enabled=False):
            scale = self.gain
            if self.mask is not None:
                scale = scale * self.mask(points)
                if cropped:
                    scale = scale * self.mask.inside(points)
            values: Tensor = self.generator(points) * scale  # (out * in, K)
        outputs = 1 if self.depthwise else self.out_channels
        return values.view(outputs, self.in_channels, *taps)

    def _laid_out(self, kernel: Tensor) -> Tensor:
        """A kernel as torch takes it: (out, in / groups, *kernel_size)."""
        return kernel.transpose(0, 1) if self.depthwise else kernel

    def _geometry(self) -> dict[str, Any]:
        groups = self.in_channels if self.depthwise else 1
        return {"groups": groups, "causal": self.causal, "stride": self.stride}


class SeparableFlexConv(nn.Module):
    """A depthwise FlexConv, then a 1x1 convolution, as in CCNN (arXiv 2301.10540).

    The 1x1 weights are Kaiming-normal of gain 1, so that noise keeps its scale, their biases 0.

    Args:
        in_channels, out_channels, size: see `FlexConv`.
        bias: whether both convolutions add a learned bias.
        settings: the others of `FlexConv`, but `depthwise`.

    Raises:
        ValueError: as `FlexConv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, ...],
        *,
        bias: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.depthwise = FlexConv(in_channels, in_channels, size, depthwise=True, bias=bias, **settings)
        pointwise = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(size) - 1]
        self.pointwise = pointwise(in_channels, out_channels, 1, bias=bias)
        nn.init.kaiming_normal_(self.pointwise.weight, nonlinearity="linear")
        if self.pointwise.bias is not None:
            nn.init.zeros_(self.pointwise.bias)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis of the depthwise kernel."""
        return self.depthwise.kernel_size

    def kernel(self) -> Tensor:
        """The depthwise kernel: (1, in, *kernel_size)."""
        return self.depthwise.kernel()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, *extent) -> (batch, out, *ceil(extent / stride))."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


REFRESH = 8
"""Training forwards from one look at the mask to the next."""
ROOM = REFRESH * 0.001 * ROOT
"""How far beyond the mask's end taps are sampled, in units of the coordinate: so far does it grow in between
at a learning rate of 0.001, a tenth of the recipe's. A faster one is cropped short until the next look."""


def _check_mask(mask: str | None, sigma: float | None) -> None:
    if mask not in ("gaussian", None):
        raise ValueError(f"unknown mask {mask!r}; there are: 'gaussian', None")
    if mask is None and sigma is not None:
        raise ValueError(f"sigma is the width of a mask and there is none, got {sigma}; leave it None")
    if sigma is not None and not 0 < sigma < math.inf:
        raise ValueError(f"sigma must be positive and finite, got {sigma}; use None for the default")
