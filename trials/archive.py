"""Three sets of the UCR and UEA archives of time series, as aeon carries them: no network, no download.

aeon comes with the extra ``[tasks]``; from 1.7 on it would download OSULeaf. Divisions are the official ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.dataset import ArrayPart, Dataset, Floats


@cache
def osuleaf() -> Dataset:
    """442 outlines of leaves as series of 427 steps, 6 species; 200 to train and 242 to test (UCR)."""
    return _load("OSULeaf", "UCR")


@cache
def acsf1() -> Dataset:
    """200 power consumptions as series of 1,460 steps, 10 kinds of appliances; 100 and 100 (UCR)."""
    return _load("ACSF1", "UCR")


@cache
def japanese_vowels() -> Dataset:
    """640 utterances as series of 12 cepstral coefficients, 7 to 29 steps, 9 speakers; 270 and 370 (UEA).

    The longest to train with has 26 steps.
    """
    return _load("JapaneseVowels", "UEA")


def aeon(module: str, what: str) -> Any:
    """A module of aeon.

    Raises:
        ValueError: it cannot be imported.
    """
    try:
        return import_module(f"aeon.{module}")
    except ImportError as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"{what} needs aeon: pip install 'nas-flexconv[tasks]' ({why})") from error


def _load(name: str, archive: str) -> Dataset:
    load = aeon("datasets", name).load_classification
    train, train_names = load(name, split="train")
    test, test_names = load(name, split="test")
    class_names, labels = np.unique(train_names, return_inverse=True)
    return Dataset(
        train=ArrayPart(_padded(train), labels.astype(np.int64)),
        test=ArrayPart(_padded(test), np.searchsorted(class_names, test_names).astype(np.int64)),
        class_names=tuple(class_names.tolist()),
        origin=f"aeon load_classification({name!r}), of the {archive} archive",
        licence="not stated by the archive, which asks to be cited",
    )


def _padded(series: Sequence[NDArray[np.float64]]) -> Floats:
    """(rows, channels, longest), NaN after the end of a shorter series."""
    longest = max(each.shape[1] for each in series)
    inputs = np.full((len(series), len(series[0]), longest), np.nan, dtype=np.float32)
    for row, each in zip(inputs, series):
        row[:, : each.shape[1]] = each
    return inputs
