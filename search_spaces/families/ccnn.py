"""The CCNN skeleton as plain numbers, and its spaces. No torch.

Stem: separable convolution (depthwise, then 1x1), norm, GELU. Residual blocks, pre-norm: norm, separable
convolution, GELU, dropout, 1x1, GELU. Norm, global average, linear; no stride, no pooling
(CCNN, arXiv 2206.03398 and 2301.10540).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from search_spaces.architecture import Architecture, Setting
from search_spaces.discrete import kernel_options
from search_spaces.families.flexible import FLEX, Kernel, check_settings, size
from search_spaces.families.reading import read_settings
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Affine, Convolution, KernelFunction, Linear, Part
from search_spaces.space import Choice, Space, TaskShape, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class CCNN:
    """The settings of family ``"ccnn"``.

    Attributes:
        width: channels of the stem and of every block.
        kernels: one per separable convolution, the stem's, then one per block: odd taps of every axis, or of
            each, cut to the axis's extent; or ``"flex"``, a FlexConv as large as the input.
        hidden, layers, frequency, learn_mean, sigma: of the FlexConvs (see `parts.KernelFunction`).
        causal: whether kernels look back only, where there is one axis, as the released series do; images
            and volumes are centred always.
        dropout: probability that a channel is dropped in a block, in [0, 1); published: tuned per task.
        mask_factor: learning rate of masks as a share of the weights'; None: the recipe's.
        reference: longest axis of the task that the kernels were chosen for; None: chosen for none.
    """

    width: int
    kernels: tuple[Kernel, ...]
    hidden: int = 32
    layers: int = 3
    frequency: float = 0.5
    learn_mean: bool = False
    sigma: float | None = None
    causal: bool = True
    dropout: float = 0.0
    mask_factor: float | None = None
    reference: int | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.kernels) < 2:
            raise ValueError(
                f"kernels must be a list, the stem's and one per block, at least one, got {self.kernels!r}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}; 0 leaves it out")
        self.function()

    @classmethod
    def read(cls, architecture: Architecture) -> CCNN:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    def function(self) -> KernelFunction:
        """What every FlexConv is."""
        return KernelFunction(
            hidden=self.hidden,
            layers=self.layers,
            frequency=self.frequency,
            sigma=self.sigma,
            learn_mean=self.learn_mean,
        )

    def convolutions(self, shape: TaskShape) -> tuple[Convolution, ...]:
        """The depthwise convolutions on a task of this shape, in the order they act."""
        cover = tuple(odd_cover(n) for n in shape.extent)
        channels = shape.channels, *(self.width,) * (len(self.kernels) - 1)
        return tuple(
            Convolution(
                inputs=inputs,
                outputs=inputs,
                groups=inputs,
                extent=shape.extent,
                size=size(kernel, cover),
                causal=self.causal and shape.dimensions == 1,
                bias=True,
                function=self.function() if kernel == FLEX else None,
            )
            for inputs, kernel in zip(channels, self.kernels, strict=True)
        )

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        stem, *rest = self.convolutions(shape)
        positions, norm = math.prod(shape.extent), Affine(channels=self.width)
        first = Linear(inputs=shape.channels, outputs=self.width, positions=positions)
        each = Linear(inputs=self.width, outputs=self.width, positions=positions)
        blocks = (part for convolution in rest for part in (norm, convolution, each, each))
        return stem, first, norm, *blocks, norm, Linear(inputs=self.width, outputs=shape.classes)


WIDTH, BLOCKS = 140, 4
"""Of CCNN-4,140, the skeleton that the spaces below share."""
KERNELS = tuple(f"kernel_{i}" for i in range(1, BLOCKS + 2))


def flexible(blocks: int, **settings: Setting) -> Architecture:
    """A CCNN of FlexConvs; `settings` are those that differ from CCNN-4,140's."""
    common: dict[str, Setting] = {"width": WIDTH, "causal": True, "learn_mean": False, "sigma": None}
    common |= {"kernels": (FLEX,) * (blocks + 1), "hidden": 32, "layers": 3, "frequency": 0.5}
    return Architecture.of("ccnn", **{**common, **settings})


def ccnn(shape: TaskShape) -> Space:
    """CCNN-4,140, one design, the same on every task (equal ids): 5 separable FlexConvs."""
    return Space(
        name="ccnn",
        choices=tuple(Choice(name=name, options=(FLEX,)) for name in KERNELS),
        assemble=lambda values: flexible(BLOCKS),
        summary=f"one design: CCNN-4,140, {len(KERNELS)} separable FlexConvs, kernel sizes learned",
    )


def ccnn_twin(shape: TaskShape) -> Space:
    """CCNN-4,140 with a discrete kernel size per convolution instead, and nothing else changed."""
    options = kernel_options(shape.extent)
    return Space(
        name="ccnn_twin",
        choices=tuple(Choice(name=name, options=options) for name in KERNELS),
        assemble=partial(_twin, reference=max(shape.extent)),
        summary=f"the CCNN skeleton, each kernel one of {', '.join(map(str, options))} taps per axis",
    )


def ccnn_tuned(shape: TaskShape) -> Space:
    """What one would tune of CCNN on a task; the design of `ccnn` is one of them.

    Depth and width span the published nets' (4 blocks of 140, 6 of 380), sigma theirs from 0.075 up. None is
    `ccnn`'s own: the published sigma (`grid.initial_sigma`), the recipe's share for the masks' rate.
    """
    return Space(
        name="ccnn_tuned",
        choices=(
            Choice(name="width", options=(70, 140, 280)),
            Choice(name="blocks", options=(2, 4, 6)),
            Choice(name="sigma", options=(None, 0.15, 0.3, 0.6)),
            Choice(name="frequency", options=(0.25, 0.5, 1.0)),
            Choice(name="mask_factor", options=(None, 0.03, 0.3, 1.0)),
        ),
        assemble=_tuned,
        summary="CCNN with width, depth, first kernel size, frequency and mask learning rate as choices",
    )


def _tuned(values: Values) -> Architecture:
    settings: dict[str, Setting] = {**values}
    blocks = settings.pop("blocks")
    assert isinstance(blocks, int)
    if settings["mask_factor"] is None:
        del settings["mask_factor"]  # so that the default is the same design as in `ccnn`
    return flexible(blocks, **settings)


def _twin(values: Values, reference: int) -> Architecture:
    kernels = tuple(values[name] for name in KERNELS)
    return Architecture.of("ccnn", width=WIDTH, kernels=kernels, causal=True, reference=reference)
