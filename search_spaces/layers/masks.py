"""The Gaussian mask that gives a continuous kernel its size (FlexConv, arXiv 2110.08059)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.layers.grid import ROOT, smallest_sigma, step, taps


class GaussianMask(nn.Module):
    """`exp(-1/2 sum_d ((x_d - mean_d) / sigma_d)^2)`, one mean and one sigma per axis.

    A sigma below `smallest_sigma` is read as if it were that; `project` sets it to it.

    Args:
        size: points of the grid along each axis, odd.
        sigma: initial width along each axis, in units of the [-1, 1] coordinate; may exceed 1.
        learn_mean: whether the centre is a parameter (as published for images) or stays where it starts.
        learn_size: whether the width is.
        causal: whether the centre starts at 1, which is now, instead of 0.
    """

    mean: Tensor
    sigma: Tensor
    floor: Tensor
    least: Tensor

    def __init__(
        self,
        size: tuple[int, ...],
        sigma: tuple[float, ...],
        learn_mean: bool = True,
        causal: bool = False,
        learn_size: bool = True,
    ) -> None:
        super().__init__()
        self.causal = causal
        for name, value, learned in (
            ("mean", torch.full((len(size),), 1.0 if causal else 0.0), learn_mean),
            ("sigma", torch.tensor(sigma), learn_size),
        ):
            if learned:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)
        self.register_buffer("floor", torch.zeros(len(size)), persistent=False)
        self.register_buffer("least", torch.zeros(len(size)), persistent=False)
        self.set_size(size)

    def set_size(self, size: tuple[int, ...]) -> None:
        """Take another grid; mean and sigma stay."""
        self.size = size
        beside_mean = 2.5 if self.causal else 1.5  # 3 taps
        self.floor.copy_(torch.tensor([smallest_sigma(points) for points in size]))
        self.least.copy_(torch.tensor([beside_mean * step(points) for points in size]))

    def width(self) -> Tensor:
        """Sigma per axis (D,), not below its floor."""
        return self.sigma.clamp(min=self.floor)

    def project(self) -> None:
        """Set every sigma below its floor to it, where it has a gradient again."""
        # past autograd: an earlier forward may still wait for its backward
        self.sigma.data.clamp_(min=self.floor)

    def kernel_size(self, growth: float = 1.0) -> tuple[int, ...]:
        """Taps kept per axis at the present mean and sigma, see `grid.taps`; waits for the device."""
        mean, sigma = torch.stack((self.mean, self.width())).tolist()
        return tuple(
            taps(n, m, s, self.causal, growth) for n, m, s in zip(self.size, mean, sigma, strict=True)
        )

    def inside(self, points: Tensor) -> Tensor:
        """Whether the present crop keeps `points` (K, D): bool (K,), found without waiting for the device."""
        with torch.no_grad():
            centre = 1 - self.mean if self.causal else self.mean.abs()
            distance = 1 - points if self.causal else points.abs()
            return (distance < torch.maximum(centre + ROOT * self.width(), self.least)).all(-1)

    def forward(self, points: Tensor) -> Tensor:
        """Mask at `points` (K, D) in [-1, 1]: (K,), in (0, 1]."""
        distance = (points - self.mean) / self.width()
        return torch.exp(-0.5 * distance.square().sum(-1))
