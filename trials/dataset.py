"""What a task is made from: labelled parts of a dataset, inputs decoded only for the rows that are used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Inputs = NDArray[np.uint8] | Floats
Ints = NDArray[np.int64]
Kind = Literal["series", "image", "volume"]
KINDS: tuple[Kind, ...] = ("series", "image", "volume")
"""By number of axes, from 1."""


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """Rows of a part, decoded: what a cache keeps. Arrays may be memory maps.

    Attributes:
        inputs: (rows, channels, *extent); uint8 stands for value / 255, float32 for itself. NaN, in every
            channel, after the end of a series that is shorter than others.
        fingerprints: uint8 (rows, 16): a hash of each row as it is stored.
        moments: float64 (rows, channels, 3): of each row's values the count, the mean and the sum of squared
            deviations from it.
    """

    inputs: Inputs
    fingerprints: NDArray[np.uint8]
    moments: NDArray[np.float64]

    @staticmethod
    def of(inputs: Inputs) -> Decoded:
        """Rows that are in memory, their hashes taken of the values themselves."""
        hashes = [hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in inputs]
        fingerprints = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 16)
        return Decoded(inputs, fingerprints, moments(inputs))


def moments(inputs: Inputs) -> NDArray[np.float64]:
    """Of each row and channel, NaN left out: count, mean, sum of squared deviations; (rows, channels, 3)."""
    found = np.empty((*inputs.shape[:2], 3))
    for start in range(0, len(inputs), 1024):  # bounded copies of memory maps
        some = inputs[start : start + 1024]
        values = some.reshape(*some.shape[:2], -1).astype(np.float64)
        if inputs.dtype == np.uint8:
            values /= 255
        here = ~np.isnan(values)
        counts = here.sum(axis=2)
        means = np.where(here, values, 0).sum(axis=2) / np.maximum(counts, 1)
        squares = np.square(np.where(here, values - means[..., None], 0)).sum(axis=2)
        found[start : start + 1024] = np.stack((counts, means, squares), axis=2)
    return found


class Part(Protocol):
    """One official split: its size is known at once, labels and inputs are read when asked for."""

    @property
    def size(self) -> int:
        """Number of rows."""

    def labels(self) -> Ints:
        """Class of each row, in [0, classes); shape (size,)."""

    def groups(self) -> NDArray[np.generic] | None:
        """What each row may not be separated from (a speaker, a drawer), or None; shape (size,)."""

    def decoded(self, rows: Ints) -> Decoded:
        """Some rows, ascending, decoded."""


@dataclass(frozen=True, eq=False, slots=True)
class ArrayPart:
    """A part that is in memory already.

    Attributes:
        all_inputs: uint8 or float32 (rows, channels, *extent), 1 to 3 axes of extent; as in `Decoded`.
        all_labels: int64 (rows,).
        all_groups: any type, (rows,), or None.
    """

    all_inputs: Inputs
    all_labels: Ints
    all_groups: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        if self.all_inputs.dtype not in (np.float32, np.uint8) or not 3 <= self.all_inputs.ndim <= 5:
            raise ValueError(
                "inputs must be float32 or uint8 of shape (rows, channels, *extent) with 1 to 3 axes of "
                f"extent, got {self.all_inputs.dtype} {self.all_inputs.shape}"
            )
        if self.all_labels.shape != (len(self.all_inputs),) or self.all_labels.dtype != np.int64:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.all_inputs)},), one a row, "
                f"got {self.all_labels.dtype} {self.all_labels.shape}"
            )

    @property
    def size(self) -> int:
        return len(self.all_labels)

    def labels(self) -> Ints:
        return self.all_labels

    def groups(self) -> NDArray[np.generic] | None:
        return self.all_groups

    def decoded(self, rows: Ints) -> Decoded:
        return Decoded.of(self.all_inputs if len(rows) == self.size else self.all_inputs[rows])


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Dataset:
    """Data before it is split: what a function in `TASKS`, or one of a user's own, returns.

    Attributes:
        train: rows to learn from; validation and test are carved from it where there is no official one.
        validation, test: official splits.
        class_names: label 0 is the first.
        origin: where the data come from, in one line.
        licence: of the data, if known.
        keeps: augmentations that do not change a label, of `trials.reference.AUGMENTATIONS`; None for those
            that are safe for the kind of data.
        columns: how columns of files were understood, one line each, if the data come from files.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    class_names: tuple[str, ...]
    origin: str = ""
    licence: str = ""
    keeps: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
