"""Resampling against what it must be by theory: waves below the new limit stay, waves above it vanish."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trials import resampling
from trials.dataset import Floats

RATIOS = [Fraction(1, 2), Fraction(1, 7), Fraction(2, 3), Fraction(160, 441), Fraction(3, 2), Fraction(2)]


def wave(frequency: float, times: NDArray[np.float64], phase: float = 0.7) -> Floats:
    return np.sin(2 * np.pi * frequency * times + phase).astype(np.float32)


def inner(signal: Floats) -> Floats:
    cut = len(signal) // 8
    return signal[cut:-cut]


def rms(signal: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("part", [0.05, 0.4, 0.8])
def test_a_wave_below_the_new_limit_keeps_amplitude_and_phase(ratio: Fraction, part: float) -> None:
    frequency = part * 0.5 * min(1.0, float(ratio))  # cycles per old sample; 0.5 is the old limit
    found = resampling.resample(wave(frequency, np.arange(2000.0)), ratio)
    expected = wave(frequency, np.arange(len(found)) / float(ratio))
    assert rms(inner(found - expected)) < 0.01 * rms(expected)


@pytest.mark.parametrize("ratio", [ratio for ratio in RATIOS if ratio < 1])
def test_a_wave_above_the_new_limit_vanishes(ratio: Fraction) -> None:
    for frequency in np.linspace(1.2 * 0.5 * float(ratio), 0.5, 7):
        signal = wave(frequency, np.arange(2000.0))
        assert rms(inner(resampling.resample(signal, ratio))) < 0.01 * rms(signal)


def test_dropping_samples_would_not_pass() -> None:
    signal = wave(0.4, np.arange(2000.0))
    assert rms(signal[::2]) > 0.9 * rms(signal)


@given(
    ratio=st.sampled_from(RATIOS),
    length=st.integers(1, 60),
    value=st.floats(-1e6, 1e6, width=32),
)
def test_a_constant_stays_constant_up_to_its_ends(ratio: Fraction, length: int, value: float) -> None:
    signal = np.full((2, length), value, dtype=np.float32)
    found = resampling.resample(signal, ratio)
    assert found.dtype == np.float32
    assert found.shape == (2, math.ceil(length * ratio))
    assert (found == np.float32(value)).all()


def test_a_slope_is_nearly_kept_up_to_its_ends() -> None:
    found = resampling.resample(np.arange(100, dtype=np.float32), Fraction(1, 2))
    assert np.abs(found - np.arange(0, 100, 2)).max() < 0.5  # a quarter of a new sample's step


@given(length=st.integers(1, 400), ratio=st.sampled_from(RATIOS))
def test_lengths_are_rounded_up(length: int, ratio: Fraction) -> None:
    found = resampling.resample(np.zeros((1, length), dtype=np.float32), ratio)
    assert found.shape[1] == resampling.resampled_length(length, ratio) == math.ceil(length * ratio)


def test_signals_of_a_block_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(0)
    block = rng.normal(size=(3, 2, 50)).astype(np.float32)
    found = resampling.resample(block, Fraction(2, 3))
    alone = resampling.resample(block[1, 1], Fraction(2, 3))
    assert np.allclose(found[1, 1], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (16000, 44100, Fraction(160, 441)),
        (8000, 11025, Fraction(320, 441)),
        (0.5, 1, Fraction(1, 2)),
        (0.1, 1, Fraction(1, 10)),
        (0.333333, 1, Fraction(1, 3)),
        (0.001, 1, Fraction(1, 1000)),
        (48000, 16000, Fraction(3)),
        (8000, 8000, Fraction(1)),
    ],
)
def test_ratios_of_rates(new: float, old: float, expected: Fraction) -> None:
    assert resampling.rate_ratio(new, old) == expected


@given(st.floats(0.001, 1000))
def test_ratios_are_close_and_short(rate: float) -> None:
    ratio = resampling.rate_ratio(rate)
    assert math.isclose(ratio, rate, rel_tol=1e-4)
    assert max(ratio.numerator, ratio.denominator) <= 10_001


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, 1e-4, 1e4])
def test_rates_out_of_range_are_refused(rate: float) -> None:
    with pytest.raises(
        ValueError, match=r"between 1/1000 and 1000 times that of the data, 1, got .*; change"
    ):
        resampling.rate_ratio(rate)


def grid(resolution: int) -> NDArray[np.float64]:
    """Centres of the samples in a box from 0 to 1."""
    return (np.arange(resolution) + 0.5) / resolution


def waves(resolution: int, axis: int, cycles: int) -> Floats:
    shape = [1, 1, 1]
    shape[axis] = resolution
    along = wave(cycles, grid(resolution)).reshape(shape)
    return np.broadcast_to(100 * along + 128, (resolution,) * 3).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_keeps_slow_waves_and_loses_fast_ones(axis: int) -> None:
    slow = np.rint(waves(32, axis, 3)).astype(np.uint8)
    error = resampling.resize(slow, 16) - waves(16, axis, 3)
    assert rms(error[2:-2, 2:-2, 2:-2]) < 0.02 * 100
    fast = np.rint(waves(32, axis, 14)).astype(np.uint8)  # 16 samples hold less than 8 cycles
    error = resampling.resize(fast, 16) - np.float32(128)
    assert rms(error[2:-2, 2:-2, 2:-2]) < 0.01 * 100 / math.sqrt(2) + 0.5  # and half of a rounding


@pytest.mark.parametrize("resolution", [1, 5, 16, 40])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_volume_stays_constant(resolution: int, value: int) -> None:
    found = resampling.resize(np.full((20, 9, 13), value, dtype=np.uint8), resolution)
    assert found.shape == (resolution,) * 3 and (found == value).all()


def test_a_volume_does_not_wrap_around_at_black_and_white() -> None:
    step = np.zeros((16, 16, 16), dtype=np.uint8)
    step[8:] = 255
    found = resampling.resize(step, 10)
    assert (found[:3] < 40).all() and (found[-3:] > 215).all()


def test_a_volume_of_the_right_size_is_left_alone() -> None:
    volume = np.random.default_rng(0).integers(0, 256, (6, 6, 6)).astype(np.uint8)
    assert (resampling.resize(volume, 6) == volume).all()
