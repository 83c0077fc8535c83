"""The FlexNet skeleton as plain numbers. No torch.

Stem convolution, residual blocks of two convolutions, global average, linear; no stride, no pooling
(FlexConv, arXiv 2110.08059).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from search_spaces.architecture import Architecture, Option, Setting
from search_spaces.families.flexible import FLEX, Kernel, check_settings, size
from search_spaces.families.reading import read_settings
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Affine, Convolution, KernelFunction, Linear, Part
from search_spaces.space import Choice, TaskShape, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class FlexNet:
    """The settings of family ``"flexnet"``.

    Attributes:
        width: channels of the stem.
        factors: channels of each block as a multiple of `width`.
        kernels: one per convolution, the stem's, then two per block: odd taps of every axis, or of each, cut
            to the axis's extent; or ``"flex"``, a FlexConv as large as the input. No extent of a task is ever
            named, so a design is the same on every task.
        hidden, layers, frequency, learn_mean, learn_size: of the FlexConvs (see `parts.KernelFunction`);
            given only if there are any.
        sigma: of their masks at the start: of all, or one per convolution; None: the default.
        mask_factor: learning rate of the masks as a share of the recipe's; None: the recipe's own share.
        reference: the longest axis of the task that `kernels` were chosen on, see `carrying`; None: of none.
    """

    width: int
    factors: tuple[float, ...]
    kernels: tuple[Kernel, ...]
    hidden: int = 32
    layers: int = 3
    frequency: float = 0.5
    learn_mean: bool = True
    learn_size: bool = True
    sigma: float | tuple[float, ...] | None = None
    mask_factor: float | None = None
    reference: int | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if not isinstance(self.factors, tuple):
            raise ValueError(f"factors must be a list, got {self.factors!r}")
        if len(self.kernels) != 2 * len(self.factors) + 1:
            raise ValueError(
                f"{len(self.factors)} blocks need {2 * len(self.factors) + 1} kernels (the stem's and two "
                f"per block), got {len(self.kernels)}: {self.kernels}"
            )
        if min(self.widths) < 1:
            raise ValueError(f"every block's width must be positive, got {self.widths}")
        if isinstance(self.sigma, tuple) and len(self.sigma) != len(self.kernels):
            raise ValueError(f"sigma must be one number or one per kernel, got {self.sigma}")
        self.functions()

    @classmethod
    def read(cls, architecture: Architecture) -> FlexNet:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the stem, then of each block."""
        return self.width, *(round(self.width * factor) for factor in self.factors)

    def functions(self) -> tuple[KernelFunction, ...]:
        """What a FlexConv in the place of each convolution would be."""
        sigmas = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * len(self.kernels)
        shared = KernelFunction(
            hidden=self.hidden,
            layers=self.layers,
            frequency=self.frequency,
            learn_mean=self.learn_mean,
            learn_size=self.learn_size,
        )
        return tuple(replace(shared, sigma=sigma) for sigma in sigmas)

    def convolutions(self, shape: TaskShape) -> tuple[Convolution, ...]:
        """Every convolution wider than 1 on a task of this shape, in the order they act."""
        cover = tuple(odd_cover(n) for n in shape.extent)
        channels = [shape.channels, self.width]
        for width in self.widths[1:]:
            channels += [width, width]
        # no bias: a norm follows every convolution
        return tuple(
            Convolution(
                inputs=inputs,
                outputs=outputs,
                extent=shape.extent,
                size=size(kernel, cover),
                function=function if kernel == FLEX else None,
            )
            for inputs, outputs, kernel, function in zip(
                channels, channels[1:], self.kernels, self.functions(), strict=False
            )
        )

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        convolutions = self.convolutions(shape)
        norms = tuple(Affine(channels=each.outputs) for each in convolutions)
        positions = math.prod(shape.extent)
        shortcuts = tuple(
            Linear(inputs=a, outputs=b, positions=positions, bias=False)
            for a, b in zip(self.widths, self.widths[1:], strict=False)
            if a != b
        )
        return *convolutions, *norms, *shortcuts, Linear(inputs=self.widths[-1], outputs=shape.classes)


CONVOLUTIONS = 5
"""Of the skeleton that the spaces share: a stem and two blocks."""
GENERATOR: dict[str, Setting] = {"hidden": 32, "layers": 3, "frequency": 0.5, "sigma": None}
"""Of the FlexConvs of these spaces."""


def kernel_choices(*options: Option) -> tuple[Choice, ...]:
    """One choice per convolution of the shared skeleton: ``kernel_1`` to ``kernel_5``."""
    return tuple(Choice(name=f"kernel_{i}", options=options) for i in range(1, CONVOLUTIONS + 1))


def design(values: Values, **settings: Setting) -> Architecture:
    """The skeleton with the kernels ``kernel_1`` to ``kernel_5``, 16 channels unless `settings` say."""
    kernels = tuple(values[f"kernel_{i}"] for i in range(1, CONVOLUTIONS + 1))
    generator = GENERATOR if FLEX in kernels else {}
    known: dict[str, Setting] = {"width": 16, "factors": (1.0, 1.0), "kernels": kernels, **generator}
    return Architecture.of("flexnet", **{**known, **settings})
