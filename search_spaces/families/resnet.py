"""Residual networks as plain numbers. No torch.

Stem convolution, stages of residual blocks, global average, linear (He et al., arXiv 1512.03385, its form for
CIFAR). Where a block changes width or resolution its shortcut is a strided 1x1 convolution with a norm (their
option B), since their option A, which adds zero channels, cannot narrow.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from search_spaces.architecture import Architecture, Setting
from search_spaces.families import stages
from search_spaces.families.reading import check_reference, read_settings
from search_spaces.parts import Affine, Convolution, Linear, Part, reduced
from search_spaces.space import Choice, Space, TaskShape, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class Residual:
    """One block: `body` with a norm after every part, plus the input, through `shortcut` if given."""

    body: tuple[Convolution | Linear, ...]
    shortcut: Linear | None
    stride: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet:
    """The settings of family ``"resnet"``.

    Attributes:
        blocks: of each stage.
        widths: channels that each stage's blocks put out; the stem has the first stage's.
        kernels: odd taps of every axis: the stem's, then each stage's; cut to what is left of an axis: with
            their dilation they span at most its odd cover.
        strides: of each stage's first block; 1 where it would leave a single position of an axis.
        dilations: distance between taps, of each stage.
        bottleneck: blocks of 1x1, kernel, 1x1 with a quarter of the width inside, instead of two kernels.
        reference: longest axis of the task that the kernels were chosen for, in samples; None: of no task.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    bottleneck: bool = False
    reference: int | None = None

    def __post_init__(self) -> None:
        per_stage = {
            "blocks": self.blocks,
            "widths": self.widths,
            "strides": self.strides,
            "dilations": self.dilations,
        }
        stages.check_counts(**per_stage, kernels=self.kernels)
        stages.check_kernels(self.kernels)
        check_reference(self.reference)
        for name, values in per_stage.items():
            if len(values) != len(self.blocks):
                raise ValueError(f"{len(self.blocks)} stages need as many {name}, got {values}")
        if len(self.kernels) != len(self.blocks) + 1:
            raise ValueError(
                f"{len(self.blocks)} stages need {len(self.blocks) + 1} kernels (the stem's and one per "
                f"stage), got {self.kernels}"
            )
        if not isinstance(self.bottleneck, bool):
            raise ValueError(f"bottleneck must be true or false, got {self.bottleneck!r}")

    @classmethod
    def read(cls, architecture: Architecture) -> ResNet:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    def stem(self, shape: TaskShape) -> Convolution:
        """The first convolution on a task of this shape."""
        return Convolution(
            inputs=shape.channels,
            outputs=self.widths[0],
            size=stages.cut(self.kernels[0], shape.extent),
            extent=shape.extent,
        )

    def residuals(self, shape: TaskShape) -> tuple[Residual, ...]:
        """The blocks on a task of this shape, in the order they act."""
        found = []
        channels, extent = self.widths[0], shape.extent
        strides = stages.acting(extent, self.strides)
        for i, (count, width, stride) in enumerate(zip(self.blocks, self.widths, strides, strict=True)):
            for _ in range(count):
                found.append(self._residual(i, channels, extent, stride))
                channels, extent, stride = width, reduced(extent, stride), 1
        return tuple(found)

    def _residual(self, stage: int, channels: int, extent: tuple[int, ...], stride: int) -> Residual:
        width, dilation, left = self.widths[stage], self.dilations[stage], reduced(extent, stride)
        size = stages.cut(self.kernels[stage + 1], left, dilation)

        def wide(inputs: int, outputs: int, extent: tuple[int, ...], stride: int) -> Convolution:
            return Convolution(
                inputs=inputs, outputs=outputs, size=size, extent=extent, stride=stride, dilation=dilation
            )

        def pointwise(inputs: int, outputs: int, extent: tuple[int, ...]) -> Linear:
            return Linear(inputs=inputs, outputs=outputs, positions=math.prod(extent), bias=False)

        body: tuple[Convolution | Linear, ...]
        if self.bottleneck:
            inner = max(1, width // 4)
            body = (
                pointwise(channels, inner, extent),
                wide(inner, inner, extent, stride),
                pointwise(inner, width, left),
            )
        else:
            body = wide(channels, width, extent, stride), wide(width, width, left, 1)
        same = channels == width and stride == 1
        return Residual(body=body, shortcut=None if same else pointwise(channels, width, left), stride=stride)

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        found: list[Part] = []
        for residual in self.residuals(shape):
            for part in (*residual.body, residual.shortcut):
                if part is not None:
                    found += [part, Affine(channels=part.outputs)]
        stem, head = self.stem(shape), Linear(inputs=self.widths[-1], outputs=shape.classes)
        return stem, Affine(channels=stem.outputs), *found, head


STAGES, BLOCKS, WIDTHS, DILATIONS = 3, (1, 2, 3), (8, 16, 32, 64), (1, 2, 4)


def resnet(shape: TaskShape) -> Space:
    """Residual networks of 1 to 3 stages.

    The first choice, ``strides``, is the number of stages and where they halve the resolution, such as
    ``"1-2-2"``; one that would leave a single position of an axis is not offered. Everything of a stage is
    asked only if it exists, its kernel among sizes up to what is left of the input there, its dilation only
    where taps so far apart span no more than that. Stages alike in all but their blocks, with no stride
    between, are the same network as one long stage: 1 to 3 % of the designs on inputs of 32 to 257 samples
    have such, and are counted by their settings.
    """
    paths = (path for n in range(1, STAGES + 1) for path in itertools.product((1, 2), repeat=n))
    options = stages.offered(shape.extent, paths)
    choices = [
        Choice(name="strides", options=options),
        Choice(name="block", options=("plain", "bottleneck")),
        Choice(name="kernel_stem", options=stages.kernel_sizes(shape.extent)),
    ]
    for stage in range(1, STAGES + 1):
        if exists := stages.staged(options, stage):
            choices += [
                Choice(name=f"blocks_{stage}", options=BLOCKS, when=("strides", exists)),
                Choice(name=f"width_{stage}", options=WIDTHS, when=("strides", exists)),
            ]
        for kernel in stages.kernel_choices(shape.extent, options, stage):
            choices += [kernel, *_dilation(kernel)]

    def assemble(values: Values) -> Architecture:
        return _design(values, max(shape.extent))

    return Space(
        name="resnet",
        choices=tuple(choices),
        assemble=assemble,
        summary="residual networks of 1 to 3 stages: blocks, width, kernel, stride and dilation of each",
    )


def _dilation(kernel: Choice) -> tuple[Choice, ...]:
    """The dilation asked after a kernel: up to 4 where that fits, else up to 2, else not asked."""
    most = max(int(str(option)) for option in kernel.options)  # the stage's odd cover
    for options in (DILATIONS, DILATIONS[:2]):
        fitting = tuple(k for k in kernel.options if 1 < int(str(k)) <= 2 * (most // 2 // options[-1]) + 1)
        if fitting:
            name = kernel.name.replace("kernel", "dilation")
            return (Choice(name=name, options=options, when=(kernel.name, fitting)),)
    return ()


def _design(values: Values, reference: int) -> Architecture:
    strides = stages.strides(values["strides"])
    every = range(1, len(strides) + 1)
    where = [stages.at(stage, values["strides"]) for stage in every]
    settings: dict[str, Setting] = {
        "blocks": tuple(values[f"blocks_{stage}"] for stage in every),
        "widths": tuple(values[f"width_{stage}"] for stage in every),
        "kernels": (values["kernel_stem"], *(values[f"kernel_{place}"] for place in where)),
        "strides": strides,
        "dilations": tuple(values.get(f"dilation_{place}", 1) for place in where),
        "bottleneck": values["block"] == "bottleneck",
        "reference": reference,
    }
    return Architecture.of("resnet", **settings)


def resnet_20(shape: TaskShape) -> Space:
    """The published ResNet-20 for CIFAR-10, but for its shortcuts (see above): a default, one design."""
    design = Architecture.of(
        "resnet",
        blocks=(3, 3, 3),
        widths=(16, 32, 64),
        kernels=(3, 3, 3, 3),
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        bottleneck=False,
    )
    return Space(
        name="resnet_20",
        choices=(Choice(name="design", options=("resnet_20",)),),
        assemble=lambda values: design,
        summary="one design: ResNet-20, 3 stages of 3 blocks of 16, 32, 64 channels, 3 taps per axis",
    )
