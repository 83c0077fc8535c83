"""FlexConv: a convolution whose kernel is a function, and whose size is learned (arXiv 2110.08059)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.layers.convolution import Backend, PlainConv, convolve
from search_spaces.layers.grid import check_size, initial_sigma, step
from search_spaces.layers.kernel_generators import generator_class
from search_spaces.layers.masks import GaussianMask


class FlexConv(nn.Module):
    """`kernel(x) = mask(x) * generator(x)` on the grid of [-1, 1]^D, cropped to where the mask exceeds 0.1.

    Dense, zero-padded, stride 1. The grid is centred for every D (the published 1-D layer is causal).

    The kernel is multiplied by a constant `gain`, set once, here, so that white noise of variance 1 comes
    out with variance 1, whatever the size: the purpose of Chang et al. (2020), whose factor
    sqrt(1 / (in_channels * taps)) (used by CCNN, arXiv 2301.10540) presumes a generator of variance 1.
    MAGNet's is far below: with that factor outputs start at a sd of 1e-2 to 1e-4 and drown in the epsilon
    of the norm that follows. A constant, and not larger output weights, since those would learn slower.

    Args:
        in_channels, out_channels: of the convolution.
        size: most taps along each axis, odd; 1 to 3 axes.
        sigma: initial width of the mask on every axis, in units of the [-1, 1] coordinate, positive; None:
            0.075 as published, more on small grids so that 5 taps fit (`grid.initial_sigma`).
        generator: its name, see `kernel_generators`.
        hidden, layers, frequency: of the generator.
        bias: whether a learned (out_channels,) bias is added.

    Raises:
        ValueError: an even or non-positive size, not 1 to 3 axes, sigma not positive, an unknown generator.
    """

    gain: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, ...],
        *,
        sigma: float | None = None,
        generator: str = "magnet",
        hidden: int = 32,
        layers: int = 3,
        frequency: float = 0.5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_size(size)
        if sigma is not None and not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, got {sigma}; use None for the default")
        self.in_channels, self.out_channels, self.size = in_channels, out_channels, size
        sigmas = tuple(initial_sigma(n) if sigma is None else float(sigma) for n in size)
        self.mask = GaussianMask(size, sigmas)
        self.generator = generator_class(generator)(
            size, sigmas, out_channels * in_channels, hidden=hidden, layers=layers, frequency=frequency
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.backend: Backend = "auto"
        self.register_buffer("gain", torch.ones(()))
        with torch.no_grad():
            self.gain.copy_((out_channels / self.kernel().square().sum()).sqrt())

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis at the present mask."""
        return tuple(2 * half + 1 for half in self.mask.half_widths())

    def kernel(self) -> Tensor:
        """The masked, cropped kernel: (out, in, *kernel_size)."""
        halves = self.mask.half_widths()
        like = self.mask.sigma
        axes = [
            torch.arange(-half, half + 1, device=like.device).to(like.dtype) * step(points)
            for half, points in zip(halves, self.size, strict=True)
        ]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        points = grid.flatten(0, -2)  # (K, D)
        taps: Tensor = self.generator(points) * (self.gain * self.mask(points))[:, None]  # (K, out * in)
        return taps.T.reshape(self.out_channels, self.in_channels, *grid.shape[:-1])

    def freeze(self) -> PlainConv:
        """The same function with its taps written out: exact, and rid of the generator's cost."""
        bias = None if self.bias is None else self.bias.detach().clone()
        taps = self.kernel().detach().clone(memory_format=torch.contiguous_format)
        return PlainConv(taps, bias, self.backend)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, *extent) -> (batch, out, *extent)."""
        return convolve(x, self.kernel(), self.bias, self.backend)
