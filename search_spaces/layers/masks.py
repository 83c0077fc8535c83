"""The Gaussian mask that gives a continuous kernel its size (FlexConv, arXiv 2110.08059)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.layers.grid import smallest_sigma, taps


class GaussianMask(nn.Module):
    """`exp(-1/2 sum_d ((x_d - mean_d) / sigma_d)^2)`, one mean and one sigma per axis.

    Sigma is kept positive by projection: whenever the mask is evaluated in training, values below
    `smallest_sigma` are set to it, in place. In evaluation the parameter is read as if it were.

    Args:
        size: points of the grid along each axis, odd.
        sigma: initial width along each axis, in units of the [-1, 1] coordinate; may exceed 1.
        learn_mean: whether the centre is a parameter (as published for images) or stays where it starts.
        causal: whether the centre starts at 1, which is now, instead of 0.
    """

    mean: Tensor
    floor: Tensor

    def __init__(
        self,
        size: tuple[int, ...],
        sigma: tuple[float, ...],
        learn_mean: bool = True,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        mean = torch.full((len(size),), 1.0 if causal else 0.0)
        if learn_mean:
            self.mean = nn.Parameter(mean)
        else:
            self.register_buffer("mean", mean)
        self.sigma = nn.Parameter(torch.tensor(sigma))
        self.register_buffer("floor", torch.zeros(len(size)), persistent=False)
        self.set_size(size)

    def set_size(self, size: tuple[int, ...]) -> None:
        """Take another grid; mean and sigma stay."""
        self.size = size
        self.floor.copy_(torch.tensor([smallest_sigma(points) for points in size]))

    def width(self) -> Tensor:
        """Sigma per axis (D,), not below its floor; projects the parameter in training."""
        # only when needed: a write would invalidate an earlier forward whose backward is still to come
        if self.training and bool((self.sigma < self.floor).any()):
            with torch.no_grad():
                self.sigma.clamp_(min=self.floor)
        return self.sigma.clamp(min=self.floor)

    def kernel_size(self) -> tuple[int, ...]:
        """Taps kept per axis at the present mean and sigma, see `grid.taps`."""
        mean, sigma = self.mean.tolist(), self.width().tolist()
        return tuple(taps(n, m, s, self.causal) for n, m, s in zip(self.size, mean, sigma, strict=True))

    def forward(self, points: Tensor) -> Tensor:
        """Mask at `points` (K, D) in [-1, 1]: (K,), in (0, 1]."""
        distance = (points - self.mean) / self.width()
        return torch.exp(-0.5 * distance.square().sum(-1))
