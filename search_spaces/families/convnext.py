"""ConvNeXts as plain numbers. No torch.

Stem, stages of blocks (depthwise convolution, norm, pointwise, GELU, pointwise, scale, plus the input),
global average, norm, linear (Liu et al., arXiv 2201.03545). Departures, since convolutions here have odd
sizes: patches are of 3 samples per axis instead of 4, 3 taps with stride 2 halve the resolution instead of 2.
The scale of a block starts at 0.1 (CaiT's for shallow networks, arXiv 2103.17239) instead of 1e-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_spaces.architecture import Architecture, Setting
from search_spaces.families import stages
from search_spaces.families.reading import check_reference, read_settings
from search_spaces.parts import Affine, Convolution, Linear, Part, reduced
from search_spaces.space import Choice, Space, TaskShape, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Depthwise convolution, to more channels, back."""

    depthwise: Convolution
    expand: Linear
    project: Linear


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage: the stem or the convolution that halves the resolution, then its blocks."""

    entry: Convolution
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvNeXt:
    """The settings of family ``"convnext"``.

    Attributes:
        blocks: of each stage.
        widths: channels of each stage, at least 2 (norms are over channels).
        kernels: odd taps of every axis of each stage's depthwise convolutions, cut to what is left of it.
            Stem and halvings have as many taps as their strides need: at least 3.
        strides: of the stem (1: plain, odd: patches of so many samples), then of the convolution before each
            further stage; 1 where one would leave a single position of an axis.
        expansion: channels inside a block as a multiple of its width.
        reference: longest axis of the task that the kernels were chosen for, in samples; None: of no task.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    expansion: int = 4
    reference: int | None = None

    def __post_init__(self) -> None:
        per_stage = {
            "blocks": self.blocks,
            "widths": self.widths,
            "kernels": self.kernels,
            "strides": self.strides,
        }
        stages.check_counts(**per_stage, expansion=(self.expansion,))
        stages.check_kernels(self.kernels)
        check_reference(self.reference)
        for name, values in per_stage.items():
            if len(values) != len(self.blocks):
                raise ValueError(f"{len(self.blocks)} stages need as many {name}, got {values}")
        if min(self.widths) < 2:
            raise ValueError(f"widths must be at least 2, the norms are over channels; got {self.widths}")

    @classmethod
    def read(cls, architecture: Architecture) -> ConvNeXt:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    def stages(self, shape: TaskShape) -> tuple[Stage, ...]:
        """The stages on a task of this shape, in the order they act."""
        found = []
        channels, extent = shape.channels, shape.extent
        per_stage = zip(
            self.blocks, self.widths, self.kernels, stages.acting(extent, self.strides), strict=True
        )
        for count, width, kernel, stride in per_stage:
            entry = Convolution(
                inputs=channels,
                outputs=width,
                size=stages.cut(max(3, stride + 1 - stride % 2), extent),
                extent=extent,
                stride=stride,
                bias=True,
            )
            channels, extent = width, reduced(extent, stride)
            found.append(Stage(entry=entry, blocks=(self._block(width, kernel, extent),) * count))
        return tuple(found)

    def _block(self, width: int, kernel: int, extent: tuple[int, ...]) -> Block:
        inner, positions = width * self.expansion, math.prod(extent)
        return Block(
            depthwise=Convolution(
                inputs=width,
                outputs=width,
                size=stages.cut(kernel, extent),
                extent=extent,
                groups=width,
                bias=True,
            ),
            expand=Linear(inputs=width, outputs=inner, positions=positions),
            project=Linear(inputs=inner, outputs=width, positions=positions),
        )

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        found: list[Part] = []
        for i, stage in enumerate(self.stages(shape)):
            # the stem's norm follows it, the others stand before
            norm = Affine(channels=stage.entry.inputs if i else stage.entry.outputs)
            found += [norm, stage.entry] if i else [stage.entry, norm]
            for block in stage.blocks:
                width = block.depthwise.outputs
                scale = Affine(channels=width, shift=False)
                found += [block.depthwise, Affine(channels=width), block.expand, block.project, scale]
        last = self.widths[-1]
        return *found, Affine(channels=last), Linear(inputs=last, outputs=shape.classes)


STAGES, BLOCKS, WIDTHS, EXPANSIONS = 4, (1, 2, 3), (16, 32, 64, 128), (1, 2, 4)


def convnext(shape: TaskShape) -> Space:
    """ConvNeXts of 1 to 4 stages.

    The first choice, ``strides``, is the number of stages and whether the stem is plain or takes patches,
    such as ``"3-2-2"``: patches of 3, then two halvings. One that would leave a single position of an axis is
    not offered. Everything of a stage is asked only if it exists, its kernel among sizes up to what is left
    of the input there.
    """
    paths = ((stem, *(2,) * n) for n in range(STAGES) for stem in (1, 3))
    options = stages.offered(shape.extent, paths)
    choices = [
        Choice(name="strides", options=options),
        Choice(name="expansion", options=EXPANSIONS),
    ]
    for stage in range(1, STAGES + 1):
        if exists := stages.staged(options, stage):
            choices += [
                Choice(name=f"blocks_{stage}", options=BLOCKS, when=("strides", exists)),
                Choice(name=f"width_{stage}", options=WIDTHS, when=("strides", exists)),
                *stages.kernel_choices(shape.extent, options, stage),
            ]

    def assemble(values: Values) -> Architecture:
        return _design(values, max(shape.extent))

    return Space(
        name="convnext",
        choices=tuple(choices),
        assemble=assemble,
        summary="ConvNeXts of 1 to 4 stages: plain stem or patches; blocks, width and kernel of each stage",
    )


def _design(values: Values, reference: int) -> Architecture:
    strides = stages.strides(values["strides"])
    every = range(1, len(strides) + 1)
    settings: dict[str, Setting] = {
        "blocks": tuple(values[f"blocks_{stage}"] for stage in every),
        "widths": tuple(values[f"width_{stage}"] for stage in every),
        "kernels": tuple(values[f"kernel_{stages.at(stage, values['strides'])}"] for stage in every),
        "strides": strides,
        "expansion": values["expansion"],
        "reference": reference,
    }
    return Architecture.of("convnext", **settings)


def convnext_standard(shape: TaskShape) -> Space:
    """The published ConvNeXt's proportions at a small scale: a default, one design.

    Depths 1:1:3:1, widths doubling, 7 taps, expansion 4; a plain stem, since inputs are small here.
    """
    design = Architecture.of(
        "convnext",
        blocks=(1, 1, 3, 1),
        widths=(16, 32, 64, 128),
        kernels=(7, 7, 7, 7),
        strides=(1, 2, 2, 2),
        expansion=4,
    )
    return Space(
        name="convnext_standard",
        choices=(Choice(name="design", options=("convnext_standard",)),),
        assemble=lambda values: design,
        summary="one design: ConvNeXt of 1, 1, 3, 1 blocks of 16 to 128 channels, 7 taps per axis",
    )
