"""Decoded rows of a part: checked, and measured for normalisation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import TaskShape
from trials.dataset import Decoded, Inputs, Ints, Part
from trials.reference import Task


@dataclass(frozen=True, eq=False, slots=True)
class Store:
    """Rows of a part that are decoded: `rows` are their positions in the part, ascending."""

    rows: Ints
    decoded: Decoded

    @property
    def inputs(self) -> Inputs:
        return self.decoded.inputs

    @property
    def extent(self) -> tuple[int, ...]:
        return cast(tuple[int, ...], self.inputs.shape[2:])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Values of each row's first channel that are not filling."""
        return self.decoded.moments[:, 0, 0].astype(np.int64)

    def places(self, rows: Ints) -> Ints:
        """Where positions in the part are in this store."""
        return np.searchsorted(self.rows, rows)


def read(part: Part, rows: Ints, what: str) -> Store:
    """Decodes rows of a part.

    Args:
        part: of a dataset.
        rows: ascending.
        what: the part's word in messages.

    Raises:
        ValueError: values are infinite or NaN anywhere but after the end of a series.
    """
    store = Store(rows, part.decoded(rows))
    sums, lengths = store.decoded.moments[:, :, 1:], store.lengths
    whole = int(np.prod(store.extent))
    broken = ~np.isfinite(sums).all(axis=(1, 2)) | (store.decoded.moments[:, :, 0] != lengths[:, None]).any(1)
    broken |= (lengths < whole) if len(store.extent) > 1 else (lengths == 0)
    if len(store.extent) == 1:
        for row in np.flatnonzero((lengths < whole) & ~broken):
            broken[row] = np.isnan(store.inputs[row, 0, : lengths[row]]).any()
    if broken.any():
        raise ValueError(
            f"inputs must be finite, with NaN only after the end of a shorter series, got NaN or infinity in "
            f"{what} row {rows[int(np.argmax(broken))]}; replace it or drop the row"
        )
    return store


def shape_of(stores: Sequence[Store], classes: int, name: str) -> TaskShape:
    """What training and validation rows have in common.

    Raises:
        ValueError: they differ in channels, or images and volumes in their extent.
    """
    first, *others = stores
    channels = first.inputs.shape[1]
    for other in others:
        alike = other.inputs.shape[1] == channels and len(other.extent) == len(first.extent)
        if not alike or (len(first.extent) > 1 and other.extent != first.extent):
            raise differing(first, other, name)
    longest = max(store.extent[0] for store in stores)
    variable = len(first.extent) == 1 and min(int(s.lengths.min()) for s in stores) < longest
    extent = (longest, *first.extent[1:])
    return TaskShape(extent=extent, channels=channels, classes=classes, variable=variable)


def check_alike(shape: TaskShape, store: Store, first: Store, name: str) -> None:
    """Refuses test rows that a network for the shape cannot take.

    Raises:
        ValueError: other channels or another extent; a series of variable length may be longer or shorter.
    """
    short = bool((store.lengths < np.prod(shape.extent)).any())
    differs = store.extent != shape.extent or short
    if store.inputs.shape[1] != shape.channels or (differs and not shape.variable):
        raise differing(first, store, name)


def differing(first: Store, other: Store, name: str) -> ValueError:
    """The error of a task `name` whose splits are not of one shape."""
    ours, theirs = ("x".join(map(str, store.inputs.shape[1:])) for store in (first, other))
    theirs = theirs if theirs != ours else f"{theirs} with shorter series among them"
    return ValueError(
        f"all splits of {name} must have inputs of one shape, {ours} (channels x extent) in training, "
        f"got {theirs}; resize, cut or pad them"
    )


def mean_and_std(moments: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each channel over all values of some rows; a constant channel has a std of 1.

    Sums of deviations are combined by the formula of Chan, Golub and LeVeque (1979), so that a large mean
    leaves a small deviation alone.
    """
    counts, means, squares = np.moveaxis(moments, -1, 0)
    total = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / total
    variances = (squares + counts * (means - mean) ** 2).sum(axis=0) / total
    constant = variances <= (1e-15 * mean) ** 2  # what rounding leaves of equal numbers
    return tuple(mean.tolist()), tuple(np.where(constant, 1.0, np.sqrt(variances)).tolist())


def digest(
    task: Task, shape: TaskShape, names: Sequence[str], parts: Sequence[tuple[Store, Ints, Ints]]
) -> str:
    """sha256 (hexadecimal) over what a trial and its test see: rows, labels, sizes, names of classes.

    Args:
        task: how rows are resampled.
        shape: of the inputs.
        names: of the classes.
        parts: (store, which of its rows, their labels).
    """
    about = task.resolution, task.rate, shape.extent, shape.channels, tuple(names)
    found = hashlib.sha256(repr(about).encode())
    for store, index, labels in parts:
        found.update(store.inputs.dtype.str.encode())
        found.update(np.ascontiguousarray(store.decoded.fingerprints[index]).data)
        found.update(np.ascontiguousarray(labels).data)
    return found.hexdigest()


def shared(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> int:
    """How many of our rows are among theirs, by their fingerprints."""
    here, there = (np.ascontiguousarray(each).view("V16").ravel() for each in (ours, theirs))
    return int(np.isin(here, there).sum())
