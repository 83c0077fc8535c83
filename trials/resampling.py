"""Other numbers of samples, anti-aliased: what the new rate cannot hold is filtered out, not folded back."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from trials.dataset import Floats, Inputs

LARGEST_RATIO = 1000
"""Of two rates, either way."""
_LARGEST_NUMBER = 10_000
"""In the fraction that stands for a ratio: the filter has 20 times as many coefficients."""


def rate_ratio(new: float, old: float = 1) -> Fraction:
    """`new` / `old` as a fraction of numbers up to 10,000, at most 1e-4 from it (relative).

    Raises:
        ValueError: a rate is not positive and finite, or they differ by more than a factor of 1000.
    """
    ratio = new / old if math.isfinite(new) and math.isfinite(old) and old > 0 else math.nan
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        raise ValueError(
            f"the rate must lie between 1/{LARGEST_RATIO} and {LARGEST_RATIO} times that of the data, "
            f"{old:g}, got {new:g}; change the rate"
        )
    large = max(ratio, 1 / ratio)
    fraction = Fraction(large).limit_denominator(int(_LARGEST_NUMBER / large))
    return fraction if ratio >= 1 else 1 / fraction


def resampled_length(length: int, ratio: Fraction) -> int:
    """Samples that `length` samples become: ceil(length * ratio)."""
    return math.ceil(length * ratio)


def resample(signals: Floats, ratio: Fraction) -> Floats:
    """Signals (..., length) at `ratio` times their rate: (..., ceil(length * ratio)).

    Polyphase with the filter of ``scipy.signal.resample_poly`` (Kaiser 5.0): all of the amplitude passes
    below 0.8 of the lower Nyquist frequency, half at it, less than 1 % above 1.2 of it. The first sample
    stays where it is. Beyond its ends a signal is taken to be mirrored, and its mean is kept apart from the
    filter: a constant stays that constant up to the ends.
    """
    from scipy.signal import resample_poly

    if ratio == 1:
        return signals
    # the mean of equal numbers may be off in the last bit, the first of them is not
    level = signals[..., :1] + (signals - signals[..., :1]).mean(axis=-1, keepdims=True)
    filtered = resample_poly(
        signals - level,
        ratio.numerator,
        ratio.denominator,
        axis=-1,
        window=_low_pass(max(ratio.numerator, ratio.denominator)),
        padtype="symmetric",
    )
    return np.asarray(filtered + level, dtype=np.float32)


def resize(values: Inputs, resolution: int) -> Inputs:
    """An image or a volume (*extent) with `resolution` samples along every axis; uint8 rounded and clipped.

    Lanczos along one axis after another, as Pillow resizes images: wider with the factor of a reduction, so
    anti-aliased; the box that the samples fill stays the same; edges lean on what is inside.
    """
    from PIL import Image

    resized: Floats = values.astype(np.float32)
    for _ in range(values.ndim):
        length, *others = resized.shape
        rows = Image.fromarray(np.ascontiguousarray(resized).reshape(length, -1))
        columns = rows.resize((rows.width, resolution), Image.Resampling.LANCZOS)
        resized = np.moveaxis(np.asarray(columns).reshape(resolution, *others), 0, -1)
    return np.rint(resized).clip(0, 255).astype(np.uint8) if values.dtype == np.uint8 else resized


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> Any:  # scipy-stubs know windows by name only
    """Coefficients that `resample_poly` would design anew at every call."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)), dtype=np.float32)
