"""Temporal convolutional networks for series (Bai et al., arXiv 1803.01271). No torch.

Residual blocks of two dilated convolutions, then the mean over time, linear. No stem: the first block takes
the input's channels. Beside the paper: batch norm for weight norm, as many parameters; and the mean over
time, which every family here predicts from, for the last step, so that families differ in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.families.reading import check_reference, read_settings
from search_spaces.layers.grid import odd_cover
from search_spaces.parts import Affine, Convolution, Linear, Part
from search_spaces.space import Choice, Space, TaskShape, Values


@dataclass(frozen=True, kw_only=True, slots=True)
class TCN:
    """The settings of family ``"tcn"``.

    Block i convolves twice with dilation ``growth ** i``, less where its window of ``(taps - 1) * dilation
    + 1`` samples would exceed the series. An output sees ``1 + 2 * sum((taps - 1) * dilation)`` samples:
    itself and earlier ones if causal, else as many on both sides.

    Attributes:
        width: channels of every block.
        kernels: taps of both convolutions of each block, cut to the series; odd unless `causal`.
        growth: of the dilation from block to block, at least 1.
        causal: whether outputs see no later samples.
        reference: length of the series that the kernels were chosen for, in samples; None: for no task.
    """

    width: int
    kernels: tuple[int, ...]
    growth: int = 2
    causal: bool = True
    reference: int | None = None

    def __post_init__(self) -> None:
        check_reference(self.reference)
        for name, value in (("width", self.width), ("growth", self.growth)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        if not isinstance(self.kernels, tuple) or not self.kernels:
            raise ValueError(f"kernels must be a list of taps, one per block, got {self.kernels!r}")
        for taps in self.kernels:
            if not isinstance(taps, int) or taps < 1 or (taps % 2 == 0 and not self.causal):
                rule = "positive" if self.causal else "positive and odd, or causal true"
                raise ValueError(f"kernels must be whole numbers, {rule}; got {self.kernels}")

    @classmethod
    def read(cls, architecture: Architecture) -> TCN:
        """The settings of a design.

        Raises:
            ValueError: a setting is missing, unknown or out of range.
        """
        return read_settings(cls, architecture)

    def blocks(self, shape: TaskShape) -> tuple[tuple[Convolution, Convolution, Linear | None], ...]:
        """Both convolutions of every block and, where channels change, the shortcut's linear map.

        Raises:
            ValueError: the task is no series.
        """
        (length,) = series("family 'tcn'", shape)
        found = []
        for i, kernel in enumerate(self.kernels):
            taps = min(kernel, odd_cover(length))
            dilation = min(self.growth**i, max(1, (odd_cover(length) - 1) // max(1, taps - 1)))
            inputs = self.width if i else shape.channels
            first, second = (
                Convolution(
                    inputs=channels,
                    outputs=self.width,
                    size=(taps,),
                    extent=shape.extent,
                    dilation=dilation,
                    causal=self.causal,
                )
                for channels in (inputs, self.width)
            )
            changed = inputs != self.width
            shortcut = Linear(inputs=inputs, outputs=self.width, positions=length) if changed else None
            found.append((first, second, shortcut))
        return tuple(found)

    def parts(self, shape: TaskShape) -> tuple[Part, ...]:
        """Everything with parameters on a task of this shape."""
        norm = Affine(channels=self.width)
        found: list[Part] = []
        for first, second, shortcut in self.blocks(shape):
            found += [first, norm, second, norm]
            found += [] if shortcut is None else [shortcut]
        return *found, Linear(inputs=self.width, outputs=shape.classes)


def series(name: str, shape: TaskShape) -> tuple[int, ...]:
    """The extent of a series.

    Raises:
        ValueError: the task has more axes; `name` is what was asked to serve it.
    """
    if shape.dimensions > 1:
        raise ValueError(
            f"{name} is for series, of 1 axis, got {shape} (channels x extent); use resnet, convnext or cell"
        )
    return shape.extent


CENTRED, CAUSAL = (3, 5, 7, 9, 15), (2, 3, 5, 7, 15)
"""Taps to choose from; those longer than the series are left out."""


def tcn(shape: TaskShape) -> Space:
    """Depth, width, growth of the dilation, causal or not, and the kernels of either half of the blocks.

    On short series growths that are capped alike make one network of designs with several ids: on 16
    samples there are 1,785 networks of 2,400 designs, from 64 on as many as designs.
    """
    (length,) = series("space 'tcn'", shape)
    taps = {
        causal: tuple(k for k in options if k <= odd_cover(length)) or (1,)
        for causal, options in ((False, CENTRED), (True, CAUSAL))
    }
    kernels = tuple(
        Choice(name=f"{kind}_kernel_{half}", options=taps[causal], when=("causal", (causal,)))
        for kind, causal in (("centred", False), ("causal", True))
        for half in ("early", "late")
    )
    choices = (
        Choice(name="blocks", options=(2, 4, 6, 8)),
        Choice(name="width", options=(8, 16, 32)),
        Choice(name="growth", options=(1, 2, 3, 4)),
        Choice(name="causal", options=(False, True)),
        *kernels,
    )

    def assemble(values: Values) -> Architecture:
        half = int(str(values["blocks"])) // 2
        early, late = (values[choice.name] for choice in kernels if choice.name in values)
        kept = {name: values[name] for name in ("width", "growth", "causal")}
        return Architecture.of("tcn", **kept, kernels=(early,) * half + (late,) * half, reference=length)

    return Space(
        name="tcn",
        choices=choices,
        assemble=assemble,
        summary="2 to 8 residual blocks of dilated convolutions over time, one kernel per half; series only",
    )


def tcn_standard(shape: TaskShape) -> Space:
    """Eight blocks of 25 channels, 7 taps, dilation 1 to 128, causal: the paper's on sequential MNIST."""
    series("space 'tcn_standard'", shape)
    design = Architecture.of("tcn", width=25, kernels=(7,) * 8, growth=2, causal=True)
    return Space(
        name="tcn_standard",
        choices=(Choice(name="blocks", options=(8,)),),
        assemble=lambda values: design,
        summary="one design: 8 causal residual blocks of 7 taps, dilation doubling; series only",
    )
