"""Which backend convolves a shape in less time: a rule with its constants in one table. No torch.

The constants are what `benchmarks/measure_costs.py` prints; it also prints how well the rule chooses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Nanoseconds on one type of device. The choice depends on their ratios only."""

    dense: float  # a multiply-add of a dense spatial convolution, counted once, backward included or not
    dense_wide: float  # of one with a longer kernel than `WIDE`
    depthwise_1d: float  # a multiply-add of a depthwise spatial convolution
    depthwise_2d: float
    depthwise_3d: float
    moved: float  # a number of the input or the output of a spatial convolution
    spatial_call: float  # a spatial convolution, however small
    butterfly: float  # a point of a real transform along the last axis, times the logarithm of its length
    butterfly_across: float  # of a complex transform along another axis, whose points lie apart in memory
    response: float  # a frequency of one kernel: transform and transpose
    product: float  # a complex multiply-add of the dense product of spectra
    fft_call: float  # a convolution by FFT, however small

    def total(self, terms: dict[str, float]) -> float:
        """Nanoseconds of so many of each."""
        return math.fsum([getattr(self, name) * count for name, count in terms.items()])  # a list: compiled


# taps of an axis from which on the dense spatial convolution of CPUs leaves its best code
WIDE = 14

# By (type of device, with the backward pass). Those of the CPU: one core of an AMD EPYC with AVX-512, torch
# 2.13. Measured again, the choice cost more than 10 % with 19 of 572 shapes, forward only with 6; most,
# twice alike, with 5x5x5 depthwise at batch 64 (1.6 times the better one) and 7x7 on 16x16 (1.3 times).
COSTS = {
    ("cpu", True): Costs(
        dense=0.0235,
        dense_wide=0.0539,
        depthwise_1d=0.272,
        depthwise_2d=0.283,
        depthwise_3d=0.549,
        moved=2.08,
        spatial_call=1.88e5,
        butterfly=0.314,
        butterfly_across=1.61,
        response=6.84,
        product=0.486,
        fft_call=1.88e5,
    ),
    ("cpu", False): Costs(
        dense=0.00668,
        dense_wide=0.00965,
        depthwise_1d=0.0156,
        depthwise_2d=0.0299,
        depthwise_3d=0.0194,
        moved=0.48,
        spatial_call=3.53e4,
        butterfly=0.118,
        butterfly_across=0.548,
        response=3.08,
        product=0.189,
        fft_call=5.21e4,
    ),
    # Not measured yet: an estimate for a data centre card from 30e12 float32 multiply-adds and 2.5e12 bytes
    # per second (the vendors' figures), 10 us per launch of about 3 spatial or 25 FFT operations, half the
    # peak for dense convolutions, a tenth for batched complex products, transforms bound by memory in about
    # 4 passes, and depthwise convolutions 20 times as dear per multiply-add as dense ones.
    ("cuda", True): Costs(
        dense=2e-4,
        dense_wide=2e-4,
        depthwise_1d=4e-3,
        depthwise_2d=4e-3,
        depthwise_3d=4e-3,
        moved=6e-3,
        spatial_call=3e4,
        butterfly=5e-3,
        butterfly_across=1e-2,
        response=4e-2,
        product=4e-3,
        fft_call=2.5e5,
    ),
    ("cuda", False): Costs(
        dense=7e-5,
        dense_wide=7e-5,
        depthwise_1d=1.4e-3,
        depthwise_2d=1.4e-3,
        depthwise_3d=1.4e-3,
        moved=2e-3,
        spatial_call=1e4,
        butterfly=2.5e-3,
        butterfly_across=5e-3,
        response=2e-2,
        product=1.3e-3,
        fft_call=1e5,
    ),
}


def cheaper(
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    groups: int = 1,
    causal: bool = False,
    stride: int = 1,
    device: str = "cpu",
    training: bool = True,
) -> Literal["spatial", "fft"]:
    """The backend that should take less time, from what is given alone: nothing is measured.

    It reads the batch, since kernels are transformed once whatever the batch: the last, smaller batch of an
    epoch may go by the other backend, with the same numbers up to rounding.

    Args:
        x, kernel: shapes (batch, in, *extent) and (out, in / groups, *size), as `convolution.convolve` takes.
        groups, causal, stride: see there.
        device: type of device; one that the table lacks is taken for cuda.
        training: with the backward pass, or forward only.
    """
    costs = COSTS.get((device, training), COSTS["cuda", training])
    spatial = spatial_terms(x, kernel, groups, stride)
    fft = fft_terms(x, kernel, groups, causal)
    return "fft" if costs.total(fft) < costs.total(spatial) else "spatial"


def spatial_terms(x: tuple[int, ...], kernel: tuple[int, ...], groups: int, stride: int) -> dict[str, float]:
    """How many of each of the `Costs` a spatial convolution has; arguments as of `cheaper`."""
    (batch, inputs, *extent), (outputs, _, *size) = x, kernel
    positions = batch * math.prod([-(-n // stride) for n in extent])
    dense = "dense_wide" if max(size) >= WIDE else "dense"
    return {
        dense if groups == 1 else f"depthwise_{len(size)}d": positions * math.prod(kernel),
        "moved": batch * math.prod(extent) * inputs + positions * outputs,
        "spatial_call": 1,
    }


def fft_terms(x: tuple[int, ...], kernel: tuple[int, ...], groups: int, causal: bool) -> dict[str, float]:
    """How many of each of the `Costs` a convolution by FFT has; arguments as of `cheaper`."""
    (batch, inputs, *extent), (outputs, per_group, *size) = x, kernel
    points = transform_lengths(extent, [n - 1 if causal else n // 2 for n in size])
    frequencies = [*points[:-1], points[-1] // 2 + 1]
    signals = batch * (inputs + outputs)
    responses = math.prod(frequencies) * outputs * per_group
    across = 0.0
    for axis, n in enumerate(points[:-1]):  # the axes before it are not padded yet
        across += math.prod(extent[:axis]) * math.prod(frequencies[axis:]) * math.log2(n)
    return {
        "butterfly": signals * math.prod(extent[:-1]) * points[-1] * math.log2(points[-1]),
        "butterfly_across": signals * across,
        "response": responses,
        "product": batch * responses if groups == 1 else 0,
        "fft_call": 1,
    }


def transform_lengths(extent: Sequence[int], front: Sequence[int]) -> list[int]:
    """Points per axis of the transforms of `fourier.correlate`, see there."""
    return [fast_length(n + min(f, n - 1)) for n, f in zip(extent, front, strict=True)]


def fast_length(n: int) -> int:
    """Smallest multiple of 4 of at least n without a prime factor above 7.

    Measured with MKL: 1299 points take 7 times as long as 1344, and 34 longer than 40.
    """
    n += -n % 4
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 4
