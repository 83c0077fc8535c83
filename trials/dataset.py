"""What a task is made from: labelled parts of a dataset, inputs decoded only for the rows that are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Inputs = NDArray[np.uint8] | NDArray[np.float32]
"""uint8 stands for value / 255."""


class Part(Protocol):
    """One official split: its size is known at once, labels and inputs are read when asked for."""

    @property
    def size(self) -> int:
        """Number of rows."""

    def labels(self) -> Ints:
        """Class of each row, in [0, classes); shape (size,)."""

    def groups(self) -> NDArray[np.generic] | None:
        """What each row may not be separated from (a speaker, a drawer), or None; shape (size,)."""

    def inputs(self, rows: Ints) -> Floats:
        """Decoded inputs of some rows, in that order; shape (len(rows), channels, *extent)."""


@dataclass(frozen=True, eq=False, slots=True)
class ArrayPart:
    """A part that is in memory already.

    Attributes:
        all_inputs: float32 (rows, channels, *extent), 1 to 3 axes of extent.
        all_labels: int64 (rows,).
        all_groups: any type, (rows,), or None.
    """

    all_inputs: Floats
    all_labels: Ints
    all_groups: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        if self.all_inputs.dtype != np.float32 or not 3 <= self.all_inputs.ndim <= 5:
            raise ValueError(
                "inputs must be float32 of shape (rows, channels, *extent) with 1 to 3 axes of extent, "
                f"got {self.all_inputs.dtype} {self.all_inputs.shape}"
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

    def inputs(self, rows: Ints) -> Floats:
        return self.all_inputs[rows]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Dataset:
    """Data before it is split: what a function in `TASKS`, or one of a user's own, returns.

    Attributes:
        train: rows to learn from; validation and test are carved from it where there is no official one.
        validation, test: official splits.
        class_names: label 0 is the first.
        origin: where the data come from, in one line.
        licence: of the data, if known.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    class_names: tuple[str, ...]
    origin: str = ""
    licence: str = ""
