"""The FlexNet skeleton as plain numbers: what `network` builds and `complexity` counts. No torch.

Stem convolution, residual blocks of two convolutions, global average, linear; no stride, no pooling
(FlexConv, arXiv 2110.08059).
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.layers.grid import odd_cover
from search_spaces.space import TaskShape, Values

FLEX = "flex"
"""Stands for a FlexConv where a number stands for the taps of a discrete kernel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """One convolution of the skeleton, on one task.

    Attributes:
        inputs, outputs: channels.
        size: taps along each axis; the most there can be, if `flexible`.
        flexible: FlexConv or discrete.
    """

    inputs: int
    outputs: int
    size: tuple[int, ...]
    flexible: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FlexNet:
    """The settings of family ``"flexnet"``.

    Attributes:
        width: channels of the stem.
        factors: channels of each block as a multiple of `width`.
        kernels: one per convolution, the stem's, then two per block: odd taps per axis, cut to the axis's
            extent; or ``"flex"``, a FlexConv as large as the input. No extent of a task is ever named, so a
            design is the same on every task.
        hidden, layers, frequency, sigma: of the FlexConvs (see `layers.flexconv`); given only if there are
            any.
    """

    width: int
    factors: tuple[float, ...]
    kernels: tuple[int | str, ...]
    hidden: int = 32
    layers: int = 3
    frequency: float = 0.5
    sigma: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.width, int) or self.width < 1:
            raise ValueError(f"width must be a positive whole number, got {self.width!r}")
        if not isinstance(self.factors, tuple) or not isinstance(self.kernels, tuple):
            raise ValueError(f"factors and kernels must be lists, got {self.factors!r} and {self.kernels!r}")
        if len(self.kernels) != 2 * len(self.factors) + 1:
            raise ValueError(
                f"{len(self.factors)} blocks need {2 * len(self.factors) + 1} kernels (the stem's and two "
                f"per block), got {len(self.kernels)}: {self.kernels}"
            )
        for kernel in self.kernels:
            if kernel != FLEX and not (isinstance(kernel, int) and kernel > 0 and kernel % 2):
                raise ValueError(f"a kernel must be a positive odd number or {FLEX!r}, got {kernel!r}")
        if min(self.widths) < 1 or min(self.hidden, self.layers) < 1 or self.frequency <= 0:
            raise ValueError(
                "every block's width, hidden, layers and frequency must be positive, got "
                f"{self.widths}, {self.hidden}, {self.layers}, {self.frequency}"
            )

        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive, or null for the default, got {self.sigma}")

    @classmethod
    def read(cls, architecture: Architecture) -> FlexNet:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        try:
            return cls(**dict(architecture.settings))  # type: ignore[arg-type]
        except TypeError as error:
            known = ", ".join(inspect.signature(cls).parameters)
            raise ValueError(f"family 'flexnet' has the settings {known}: {error}") from error

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the stem, then of each block."""
        return self.width, *(round(self.width * factor) for factor in self.factors)

    def convolutions(self, shape: TaskShape) -> tuple[Convolution, ...]:
        """Every convolution wider than 1 on a task of this shape, in the order they act."""
        cover = tuple(odd_cover(n) for n in shape.extent)
        channels = [shape.channels, self.width]
        for width in self.widths[1:]:
            channels += [width, width]
        return tuple(
            Convolution(
                inputs=inputs,
                outputs=outputs,
                size=cover if isinstance(kernel, str) else tuple(min(kernel, n) for n in cover),
                flexible=isinstance(kernel, str),
            )
            for inputs, outputs, kernel in zip(channels, channels[1:], self.kernels, strict=False)
        )


CONVOLUTIONS = 5
"""Of the skeleton that the spaces below share: a stem and two blocks."""


def design(values: Values) -> Architecture:
    """The shared skeleton, 16 channels everywhere, with the kernels ``kernel_1`` to ``kernel_5``."""
    kernels = tuple(values[f"kernel_{i}"] for i in range(1, CONVOLUTIONS + 1))
    architecture = Architecture.of("flexnet", width=16, factors=(1.0, 1.0), kernels=kernels)
    if FLEX not in kernels:
        return architecture
    generator = {"hidden": 32, "layers": 3, "frequency": 0.5, "sigma": None}
    return Architecture.of("flexnet", **dict(architecture.settings), **generator)
