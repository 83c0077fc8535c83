"""The anti-aliasing regulariser of FlexNet-A (FlexConv, arXiv 2110.08059)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from search_spaces.layers.filters import nyquist
from search_spaces.layers.flexconv import FlexConv
from search_spaces.layers.kernel_generators import FilterNetwork

DEVIATIONS = 2.0
"""Standard deviations at which the spectrum of a Gaussian is taken to end, as published."""


def aliasing_penalty(network: nn.Module, target: Literal["gabor", "gabor+mask"] = "gabor") -> Tensor:
    """Sum over layers and filters of relu(f_l - f_N / (L + 1))^2, to be added to the loss times 0.1.

    f_l is the highest frequency of filter l, `max_cd (|w_lcd| + 2 |gamma_lcd|) / 2 pi`, where 2 gamma / 2 pi
    is what a Gaussian envelope adds; f_N = (N - 1) / 4 is the grid's Nyquist frequency, all in cycles per
    unit of the [-1, 1] coordinate. Products add frequencies, so each of the L + 1 filters may have an equal
    part of f_N: the sum over filters meets Nyquist, not the first. On a rectangular grid each axis is held
    against its own limit and the worst counts. The published weight of the term is 0.1.

    Args:
        network: any module; its FlexConvs are regularised.
        target: ``"gabor+mask"`` counts the mask too, `max_d 2 / (2 pi sigma_d)` in equal parts.

    Returns:
        A scalar, 0 if nothing aliases or there is no FlexConv; differentiable.

    Raises:
        ValueError: another target, or a generator without filters (SIREN, RFF), whose highest frequency
            their first layer does not bound.
    """
    if target not in ("gabor", "gabor+mask"):
        raise ValueError(f"target must be 'gabor' or 'gabor+mask', got {target!r}")
    layers = [module for module in network.modules() if isinstance(module, FlexConv)]
    penalties = [_layer_penalty(layer, target == "gabor+mask") for layer in layers]
    return torch.stack(penalties).sum() if penalties else torch.zeros(())


def _layer_penalty(layer: FlexConv, with_mask: bool) -> Tensor:
    if not isinstance(layer.generator, FilterNetwork):
        raise ValueError(
            f"the regulariser needs a generator of filters, got {type(layer.generator).__name__}; "
            "use 'magnet', 'steerable_magnet', 'gabor' or 'fourier'"
        )
    filters = layer.generator.filters
    share = nyquist(layer.size).to(layer.gain) / len(filters.weight)  # (D,)
    if with_mask and layer.mask is not None:
        share = share - DEVIATIONS / (2 * math.pi) / layer.mask.width().abs().min() / len(filters.weight)
    highest = filters.weight.abs()  # (filters, channels, D)
    if filters.gamma is not None:
        highest = highest + DEVIATIONS * filters.gamma.abs()
    excess = (highest / (2 * math.pi) - share).amax(1)  # (filters, D)
    sampled = [axis for axis, points in enumerate(layer.size) if points > 1]  # one point has no frequency
    return excess[:, sampled].relu().amax(1).square().sum() if sampled else excess.new_zeros(())
