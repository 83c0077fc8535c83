"""Taps at the rim go as long as their norm may."""

from __future__ import annotations

import pytest
import torch

from search_spaces import TaskShape, build, flexconv, freeze
from search_spaces.layers.convolution import PlainConv
from search_spaces.network import kernel_sizes


def lost(before: PlainConv, after: PlainConv) -> float:
    """Share of the norm that went."""
    kept, whole = (each.weight.detach().double().square().sum() for each in (after, before))
    return float((1 - kept / whole).clamp(min=0).sqrt())


@pytest.mark.parametrize("size", [(21,), (13, 9), (7, 9, 5)])
@pytest.mark.parametrize("tolerance", [0.01, 0.1, 0.5])
def test_no_more_than_the_tolerance_is_lost_and_the_middle_stays(
    size: tuple[int, ...], tolerance: float
) -> None:
    axes = [torch.linspace(-3, 3, n) for n in size]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    taps = torch.exp(-points.square().sum(0)) * torch.randn(4, 2, *size)
    layer = PlainConv(taps)
    cropped = layer.cropped(tolerance)
    assert lost(layer, cropped) <= tolerance
    assert any(kept < n for kept, n in zip(cropped.kernel_size, size, strict=True))
    middle = (slice(None), slice(None), *(n // 2 for n in size))
    kept = (slice(None), slice(None), *(n // 2 for n in cropped.kernel_size))
    assert torch.equal(cropped.weight[kept], taps[middle])
    x = torch.randn(2, 2, *size)
    rest = PlainConv(taps - padded(cropped.weight, size))
    torch.testing.assert_close(layer(x) - cropped(x), rest(x), rtol=1e-3, atol=1e-5)


def padded(taps: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """The taps in the middle of zeros."""
    pads = [(n - kept) // 2 for kept, n in zip(taps.shape[2:], size, strict=True)]
    return torch.nn.functional.pad(taps, [pad for n in reversed(pads) for pad in (n, n)])


def test_a_causal_kernel_loses_its_oldest_taps() -> None:
    taps = torch.ones(1, 1, 10)
    taps[..., :4] = 1e-6
    cropped = PlainConv(taps, causal=True).cropped(0.01)
    assert cropped.kernel_size == (6,) and cropped.causal
    x = torch.randn(1, 1, 30)
    torch.testing.assert_close(cropped(x), PlainConv(taps, causal=True)(x), rtol=1e-3, atol=1e-4)


def test_a_frozen_network_is_cropped_where_kernels_were_functions_and_the_rest_is_left() -> None:
    shape = TaskShape(extent=(48,), channels=1, classes=2)
    torch.manual_seed(0)
    network = build(flexconv.flexconv(shape).decode(flexconv.flexconv(shape).default or only(shape)), shape)
    whole, cropped = kernel_sizes(freeze(network)), kernel_sizes(freeze(network, crop=0.3))
    assert whole == kernel_sizes(network)
    assert all(after <= before for (after,), (before,) in zip(cropped, whole, strict=True))
    assert cropped != whole
    discrete = torch.nn.Sequential(PlainConv(torch.eye(5)[None, 2:3]))
    assert kernel_sizes(freeze(discrete, crop=0.3)) == kernel_sizes(discrete)


def only(shape: TaskShape) -> dict[str, str | int | float | bool | None]:
    """The values of the single design."""
    return {choice.name: choice.options[0] for choice in flexconv.flexconv(shape).choices}


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        PlainConv(torch.ones(1, 1, 3)).cropped(tolerance)
