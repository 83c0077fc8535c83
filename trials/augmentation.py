"""Augmentation of training batches: every row by its own draw, of values that are normalised (0 is the mean).

Draws come from a generator on the CPU whatever the device, so that a trial draws the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from trials.loading import Batch
from trials.reference import AUGMENTATIONS

NOISE = 0.05
"""Standard deviation of the noise, in those of the channel."""


def applied(wanted: Iterable[str], allowed: Iterable[str], axes: int) -> tuple[str, ...]:
    """Which augmentations a trial applies, in the order it does.

    Args:
        wanted: by the recipe.
        allowed: by the task: they do not change its labels.
        axes: of the inputs; 1 for series, 2 for images, 3 for volumes.
    """
    both = set(wanted) & set(allowed) & FITTING[axes]
    return tuple(name for name in AUGMENTATIONS if name in both)


def augmented(batches: Iterable[Batch], names: tuple[str, ...], generator: Generator) -> Iterator[Batch]:
    """The batches with these augmentations, in their order; labels stay."""
    for inputs, labels in batches:
        for name in names:
            inputs = BY_NAME[name](inputs, generator)
        yield inputs, labels


def crop(x: Tensor, generator: Generator) -> Tensor:
    """Pads every axis by an eighth of it on both sides, with 0, and cuts the extent back at a random place.

    Axes of fewer than 8 samples stay as they are.

    Args:
        x: (batch, channels, *extent); as the others take it and give it back.
        generator: on the CPU.
    """
    rows, _, *extent = x.shape
    reach = [n // 8 for n in extent]
    windows = functional.pad(x, [side for n in reversed(reach) for side in (n, n)])
    for axis, n in enumerate(extent):
        windows = windows.unfold(2 + axis, n, 1)  # a view: (batch, channels, *places, *extent)
    places = [_to(x.device, _integers(0, 2 * n + 1, rows, generator)) for n in reach]
    chosen: Any = (torch.arange(rows, device=x.device), slice(None), *places)
    return windows[chosen]


def flip(x: Tensor, generator: Generator) -> Tensor:
    """Mirrors the last axis of half of the rows."""
    chosen = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(_by_row(chosen, x), x.flip(-1), x)


def cutout(x: Tensor, generator: Generator) -> Tensor:
    """Sets a square or cube of a quarter of each axis to 0, anywhere inside (arXiv 1708.04552)."""
    inside = torch.ones((), dtype=torch.bool, device=x.device)
    for axis, n in enumerate(x.shape[2:]):
        side = max(1, n // 4)
        start = _by_row(_integers(0, n - side + 1, len(x), generator), x)
        place = torch.arange(n, device=x.device).view(-1, *[1] * (x.ndim - 3 - axis))
        inside = inside & (place >= start) & (place < start + side)
    return x.masked_fill(inside, 0)


def shift(x: Tensor, generator: Generator) -> Tensor:
    """Moves each series by at most an eighth of its own length, with 0 where nothing comes from.

    NaN after the end of a series stays where it is.
    """
    length = (~x[:, :1].isnan()).sum(2, keepdim=True)  # (batch, 1, 1)
    share = torch.rand(len(x), generator=generator, dtype=torch.float64)
    moved = (_by_row(share, x) * (2 * (length // 8) + 1)).long() - length // 8
    place = torch.arange(x.shape[2], device=x.device)
    source = place - moved
    values = x.gather(2, source.clamp(0, x.shape[2] - 1).expand_as(x))
    values = values.masked_fill((source < 0) | (source >= length), 0)
    return values.masked_fill(place >= length, torch.nan)


def noise(x: Tensor, generator: Generator) -> Tensor:
    """Adds Gaussian noise of standard deviation `NOISE` to every value."""
    return x + NOISE * _to(x.device, torch.randn(x.shape, generator=generator))


def _integers(low: int, high: int, count: int, generator: Generator) -> Tensor:
    return torch.randint(low, high, (count,), generator=generator)


def _by_row(values: Tensor, x: Tensor) -> Tensor:
    """(batch,) as it acts on `x`, on its device."""
    return _to(x.device, values).view(-1, *[1] * (x.ndim - 1))


def _to(device: torch.device, values: Tensor) -> Tensor:
    """A copy from pinned memory does not wait for the steps before it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


BY_NAME: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "crop": crop,
    "flip": flip,
    "cutout": cutout,
    "shift": shift,
    "noise": noise,
}
_IMAGES = {"crop", "flip", "cutout", "noise"}
FITTING = {1: {"shift", "noise"}, 2: _IMAGES, 3: _IMAGES}
"""What can be done to inputs of so many axes."""
