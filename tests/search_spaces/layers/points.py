"""Points at random, and a count of what is computed with them."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def series(batch=2, points=20, channels=2, axes=1):
    """Random points, about five to a unit on each axis."""
    positions = torch.rand(batch, points, axes, dtype=torch.float64) * (points / 5) ** (1 / axes)
    return torch.randn(batch, channels, points, dtype=torch.float64), positions


class Elements(TorchDispatchMode):
    """Counts the elements of everything computed, and of the largest."""

    total = largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(each, torch.Tensor):
                self.total += each.numel()
                self.largest = max(self.largest, each.numel())
        return out
