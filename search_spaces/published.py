"""Published networks as named designs. No torch.

FlexConv (arXiv 2110.08059) and CCNN (arXiv 2206.03398, 2301.10540), as their authors released them. What is
not theirs: the frequency of kernel generators is a share of Nyquist, where they tuned a number per task, and
FlexNets lack dropout (0.2 there) and the biases of convolutions and shortcuts, which the norms' shifts make
redundant.
"""

from __future__ import annotations

from search_spaces.architecture import Architecture
from search_spaces.families.ccnn import flexible
from search_spaces.families.flexible import FLEX


def _flexnet(width: int, factors: tuple[float, ...], kernel: int | str = FLEX) -> Architecture:
    kernels = (kernel,) * (2 * len(factors) + 1)
    if kernel != FLEX:
        return Architecture.of("flexnet", width=width, factors=factors, kernels=kernels)
    return Architecture.of(
        "flexnet",
        width=width,
        factors=factors,
        kernels=kernels,
        hidden=32,
        layers=3,
        frequency=0.5,
        sigma=None,
        learn_mean=True,
    )


SEVEN = (1.0, 1.0, 1.5, 1.5, 1.5, 2.0, 2.0)
FIVE = (1.0, 1.5, 1.5, 2.0, 2.0)
"""Widths of a FlexNet's blocks as multiples of the stem's."""

PUBLISHED: dict[str, Architecture] = {
    "FlexNet-7": _flexnet(24, SEVEN),
    "FlexNet-5": _flexnet(22, FIVE),
    "FlexNet-7 3x3": _flexnet(24, SEVEN, 3),
    "FlexNet-7 33x33": _flexnet(24, SEVEN, 33),
    "CCNN-4,140": flexible(4, width=140),
    "CCNN-6,380": flexible(6, width=380, hidden=64),
}
"""The designs by the names of their papers; they serve any task shape."""
