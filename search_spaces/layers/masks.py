"""The Gaussian mask that gives a continuous kernel its size (FlexConv, arXiv 2110.08059)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.layers.grid import ROOT, smallest_sigma, step, taps


class GaussianMask(nn.Module):
    """`exp(-1/2 sum_d ((x_d - mean_d) / sigma_d)^2)`, one mean and one sigma per axis.

    A sigma below `smallest_sigma` is read as if it were that, with the gradient of that; `project` sets it to
    it, and a mean outside the grid to its end.

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
        # the gradient goes straight through: at the floor it could not pass a clamp, and sigma never grow
        below = self.sigma + (self.floor - self.sigma).detach()
        return torch.where(self.sigma < self.floor, below, self.sigma)

    def project(self) -> None:
        """Bring sigma and mean back to where a mask can be."""
        # past autograd: an earlier forward may still wait for its backward
        self.sigma.data.clamp_(min=self.floor)
        self.mean.data.clamp_(-1.0, 1.0)

    @torch.no_grad()
    def kernel_size(self, room: float = 0.0) -> tuple[int, ...]:
        """Taps kept per axis at the present mean and sigma, see `grid.taps`; waits for the device."""
        mean, sigma = torch.stack((self.mean, self.width())).tolist()
        return tuple(taps(n, m, s, self.causal, room) for n, m, s in zip(self.size, mean, sigma, strict=True))

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
