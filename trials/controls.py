"""Control tasks: generated data whose answer is known, so that a comparison on them must come out as built.

All are balanced, drawn from a fixed seed and divided officially: 2,000 rows to train, 500 to validate and 500
to test. Events and patterns have Euclidean norm 1, noise a standard deviation of 1/8, so that the Bayes error
is nearly 0: matched filters err on less than 1 % of the rows. No augmentation is declared safe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trials.dataset import ArrayPart, Dataset, Floats, Ints

PAIRS = (1000, 250, 250)
"""Pairs of rows, one a class, in train, validation and test."""
NOISE = 0.125
LENGTH = 128
EXTENT = (12, 44)

# pairs of events or patterns: (2, *extent), each of norm 1
EVENTS_1D = np.array([[1, 1, 0, -1, -1], [1, -1, 1, -1, 1]]) / np.sqrt([[4], [5]])
EVENTS_2D = np.stack((np.outer([1, -2, 1], [1, -2, 1]) / 6, np.outer([1, 0, -1], [1, 0, -1]) / 2))
PATTERNS_1D = np.array([[1, 0, -1], [-1, 0, 1]]) / np.sqrt(2)
_BAR = np.outer([1, 1, 1], [-1, 2, -1]) / np.sqrt(18)
PATTERNS_2D = np.stack((_BAR, _BAR.T))

_Extent = tuple[int, ...]
_Draw = Callable[[np.random.Generator, int], tuple[Floats, Ints]]
"""Generator and number of pairs -> inputs and labels; rows 2i and 2i + 1 are of class 0 and 1."""


@cache
def order_sequence() -> Dataset:
    """Series of 1 channel, 128 long: which of two events comes first? Reach needed: 45 samples.

    Two events of 5 noisy samples, 48 from centre to centre, in silence; the pair starts anywhere that leaves
    32 samples or more to either end. Every row has a partner in the same part, of the other class, with the
    contents of the two places exchanged.

    Why local features that are averaged over all positions are of no use up to a receptive field of 33: no
    feature then sees both events (43 samples of silence lie between them), nor an event and an end. Each sees
    one event, or one end, or silence, so that exchanging the events only moves features about. Their average,
    and with it the answer, is the same for both partners: one of the two is wrong, an error of exactly 1/2
    whatever the weights (up to the rounding of sums, and where strides divide 48). From 34 to 44 a network
    may tell an event that is near an end, by the zeros beyond; from 45 on, it may see both events. That it
    may does not mean that it learns to: nothing short of the answer lowers the loss. (Trees and linear models
    know positions, not features, and need no reach: the pair starts at one of 12 places.)
    """
    return _dataset(
        lambda rng, pairs: _ordered(rng, pairs, EVENTS_1D, (LENGTH,), distance=48, margin=32),
        ("slow event first", "fast event first"),
        "order of two events 48 samples apart",
    )


@cache
def order_sequence_near() -> Dataset:
    """`order_sequence` with events 32 apart from centre to centre. Reach needed: 29 samples.

    27 samples of silence lie between them: exactly 1/2 up to a receptive field of 28.
    """
    return _dataset(
        lambda rng, pairs: _ordered(rng, pairs, EVENTS_1D, (LENGTH,), distance=32, margin=32),
        ("slow event first", "fast event first"),
        "order of two events 32 samples apart",
    )


@cache
def order_image() -> Dataset:
    """Images of 12x44: which of two patterns is on the left? Reach needed: 15 columns.

    `order_sequence` across columns: patterns of 3x3 noisy pixels in silence, 16 apart in the same row, which
    is drawn from all; 11 columns or more to the left and right edge. Up to a receptive field of 12 columns
    the error is exactly 1/2 for the same reason (13 columns lie between the patterns; both are equally near
    to the upper and lower edge). At 13 and 14 a pattern near a side may be told, from 15 on both are seen.
    Five convolutions of 3x3 see 11, of 5x5 see 21. Strides must divide 16.
    """
    return _dataset(
        lambda rng, pairs: _ordered(rng, pairs, EVENTS_2D, EXTENT, distance=16, margin=11),
        ("even pattern on the left", "odd pattern on the left"),
        "order of two patterns 16 pixels apart",
    )


@cache
def pattern_sequence() -> Dataset:
    """Series of 1 channel, 128 long, of noise: is a step of 3 samples in it falling? Reach needed: 3.

    ``1 0 -1`` or ``-1 0 1``, by class, is added to noise at a place drawn from all. Both hold the same
    values, so that with a receptive field of 1 the expected error is 1/2.
    """
    return _dataset(
        lambda rng, pairs: _hidden(rng, pairs, PATTERNS_1D, (LENGTH,)),
        ("falling", "rising"),
        "a pattern of 3 samples in noise",
    )


@cache
def pattern_image() -> Dataset:
    """Images of 12x44 of noise: is a bar of 3x3 pixels in it upright? Reach needed: 3x3.

    As `pattern_sequence`: both bars hold the same values, so that with a receptive field of 1 the expected
    error is 1/2.
    """
    return _dataset(
        lambda rng, pairs: _hidden(rng, pairs, PATTERNS_2D, EXTENT),
        ("upright", "level"),
        "a pattern of 3x3 pixels in noise",
    )


@cache
def adding() -> Dataset:
    """The adding problem as classification: do the two marked values sum to more than 1? Reach needed: 1.

    Series of 2 channels, 64 long: values uniform in [0, 1], and marks, 0 but for one 1 in either half
    (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015, arXiv 1504.00941). There the
    sum is regressed; tasks here are classifications, and 1 is the sum's median. No gap is left around 1, so
    rows near it are hard. Every row has a partner with each value x replaced by 1 - x, of the other class.

    What is far apart for a recurrent network is not for a global average: the sum is 64 times that of
    ``max(0, value + mark - 1)``, at a receptive field of 1. So reach must make no difference here. Without
    the marks the best guide is the mean value: an expected error of 1/2 - arcsin(sqrt(2 / 64)) / pi = 0.44.
    """
    return _dataset(_adding, ("at most 1", "above 1"), "adding problem, is the sum of the marked above 1")


def _dataset(draw: _Draw, class_names: tuple[str, ...], origin: str) -> Dataset:
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(sum(PAIRS)), 2)  # partners are a group: no split divides them
    groups = np.split(numbers, 2 * np.cumsum(PAIRS)[:-1])
    parts = (ArrayPart(*draw(rng, pairs), group) for pairs, group in zip(PAIRS, groups))
    train, validation, test = parts
    return Dataset(
        train=train,
        validation=validation,
        test=test,
        class_names=class_names,
        origin=f"generated: {origin}",
        licence="none needed",
        keeps=(),
    )


def _ordered(
    rng: np.random.Generator,
    pairs: int,
    events: NDArray[np.float64],
    extent: _Extent,
    distance: int,
    margin: int,
) -> tuple[Floats, Ints]:
    """Two noisy events along the last axis; partners hold the same two, exchanged."""
    size = events.shape[1:]
    low = np.array([0] * (len(extent) - 1) + [margin])
    high = np.array(extent) - size - low
    high[-1] -= distance
    starts = rng.integers(low, high, size=(pairs, len(extent)), endpoint=True)
    noisy = events + NOISE * rng.standard_normal((pairs, *events.shape))
    inputs = np.zeros((pairs, 2, 1, *extent), dtype=np.float32)
    for pair, start in enumerate(starts):
        for place in (0, 1):
            start[-1] += place * distance
            for label in (0, 1):
                inputs[pair, label, 0][_window(start, size)] = noisy[pair, label ^ place]
    return inputs.reshape(2 * pairs, 1, *extent), _labels(pairs)


def _hidden(
    rng: np.random.Generator, pairs: int, patterns: NDArray[np.float64], extent: _Extent
) -> tuple[Floats, Ints]:
    """Noise, and the pattern of the class at a place drawn from all."""
    size = patterns.shape[1:]
    labels = _labels(pairs)
    starts = rng.integers(0, np.array(extent) - size, size=(2 * pairs, len(extent)), endpoint=True)
    inputs = NOISE * rng.standard_normal((2 * pairs, 1, *extent))
    for row, start, label in zip(inputs, starts, labels):
        row[0][_window(start, size)] += patterns[label]
    return inputs.astype(np.float32), labels


def _adding(rng: np.random.Generator, pairs: int, length: int = 64) -> tuple[Floats, Ints]:
    values = rng.random((pairs, length))
    marked = rng.integers(0, length // 2, size=(pairs, 2)) + np.array([0, length // 2])
    marks = np.zeros((pairs, length))
    np.put_along_axis(marks, marked, 1, axis=1)
    # the partner with the smaller sum comes first
    above = (values * marks).sum(1, keepdims=True) > 1
    low = np.where(above, 1 - values, values)
    inputs = np.stack([np.stack((each, marks), axis=1) for each in (low, 1 - low)], axis=1)
    return inputs.reshape(2 * pairs, 2, length).astype(np.float32), _labels(pairs)


def _labels(pairs: int) -> Ints:
    return np.tile(np.arange(2), pairs)


def _window(start: Ints, size: _Extent) -> tuple[slice, ...]:
    return tuple(slice(at, at + n) for at, n in zip(start.tolist(), size))
