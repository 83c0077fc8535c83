"""Metrics of a classifier from its stored probabilities, each with a 95 % interval over the rows.

Everything here follows from labels and probabilities alone, so that anyone can compute it again from the
predictions that a finalist leaves. Conventions:

- **error**: share of rows whose most probable class (the first of equals) is not the label. Its interval is
  Wilson's: of no error in n rows a bootstrap gives [0, 0], which is untrue, and Wilson [0, 3.8 / (n + 3.8)].
- **loss**: mean of -ln p(label) in nats, p at least `SMALLEST`, the resolution of a float32 near 1: no row
  costs more than 15.9 nats.
- **balanced accuracy**: mean over classes of the share of their rows that is right.
- **AUROC**: chance that a row of a class has a higher probability of it than a row of another, ties one half.
  Two classes: of the second. More: of each class against the rest, their plain mean.

The last two are means over the classes that the rows have; AUROC needs two of them. The intervals of the last
three are percentiles of a bootstrap over rows; a class that a resample lacks is left out of its mean.
Simulated with 100 to 2,000 rows of 2 to 50 classes, they cover 91 to 95 % (loss), 91 to 96 % (balanced
accuracy) and 88 to 95 % (AUROC), but far less, down to 0, where nearly all rows are right: with fewer than
`FEWEST_WRONG` wrong rows balanced accuracy and AUROC have no interval. Rows count as independent: of a few
speakers or patients with many rows each, all intervals are too narrow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from trials.record import Interval, TestMetrics

LEVEL = 0.95
SMALLEST = float(np.finfo(np.float32).eps)
FEWEST_WRONG = 10
RESAMPLES = (200, 1000)
"""Of the bootstrap: the fewest and the most."""
WORK = 10**9
"""Rows x classes x resamples, above which there are fewer resamples: ten seconds."""
AT_ONCE = 16
"""Resamples computed together: so many of 10,000 rows stay in a processor's cache."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Scores(NamedTuple):
    """The measures under each of several weightings of the rows, (weightings,) each; NaN: not defined."""

    error: Floats
    loss: Floats
    balanced_accuracy: Floats
    auroc: Floats


def measure(
    labels: Ints,
    probabilities: NDArray[np.floating],
    *,
    seed: int = 0,
    resamples: int | None = None,
) -> TestMetrics:
    """Error, loss, balanced accuracy and AUROC with their intervals.

    Args:
        labels: (rows,), in [0, classes).
        probabilities: (rows, classes), in [0, 1].
        seed: of the resamples.
        resamples: of the bootstrap. Time grows with rows x classes x resamples: 10,000 x 10 x 1,000 take
            about a second. None: `affordable`.

    Raises:
        ValueError: no rows, shapes that do not fit, a label or probability out of range.
    """
    rows = _Rows(labels, probabilities)
    point = rows.scores(np.ones((rows.count, 1)))
    rng = np.random.default_rng(seed)
    if resamples is None:
        resamples = affordable(*probabilities.shape)
    drawn = [
        rows.scores(_resampled(rng, rows.count, min(AT_ONCE, resamples - done)))
        for done in range(0, resamples, AT_ONCE)
    ]
    auroc = float(point.auroc[0])
    wrong = int((~rows.right).sum())
    enough = wrong >= FEWEST_WRONG
    return TestMetrics(
        error=float(point.error[0]),
        loss=float(point.loss[0]),
        rows=rows.count,
        resamples=resamples,
        balanced_accuracy=float(point.balanced_accuracy[0]),
        auroc=None if np.isnan(auroc) else auroc,
        error_interval=wilson(wrong, rows.count),
        loss_interval=_interval([each.loss for each in drawn]),
        balanced_accuracy_interval=_interval([each.balanced_accuracy for each in drawn]) if enough else None,
        auroc_interval=_interval([each.auroc for each in drawn]) if enough else None,
    )


def wilson(wrong: int, rows: int) -> Interval:
    """Wilson's interval of an error of so many wrong rows, at least one row."""
    found = binomtest(wrong, rows).proportion_ci(LEVEL, method="wilson")
    return Interval(low=float(found.low), high=float(found.high))


def affordable(rows: int, classes: int) -> int:
    """Resamples of the bootstrap that `WORK` allows, within `RESAMPLES`."""
    fewest, most = RESAMPLES
    return min(max(WORK // (rows * classes), fewest), most)


def weighted(labels: Ints, probabilities: NDArray[np.floating], weights: Floats) -> Scores:
    """The measures with weighted rows.

    Args:
        labels, probabilities: as in `measure`.
        weights: (rows, weightings), not negative, each column of a positive sum.
    """
    rows = _Rows(labels, probabilities)
    return rows.scores(weights[rows.order])


def _resampled(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """(rows, count): how often each row was drawn in `count` bootstrap samples."""
    drawn = rng.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
    return (
        np.bincount(drawn.ravel(), minlength=count * rows)
        .reshape(count, rows)
        .T.astype(np.float64, order="C")
    )


class _Rows:
    """Rows in the order of their labels, sorted once by the probability of each class.

    Attributes:
        order: which row as given is at each position here.
    """

    def __init__(self, labels: Ints, probabilities: NDArray[np.floating]) -> None:
        _check(labels, probabilities)
        self.order = np.argsort(labels, kind="stable")
        labels, probabilities = labels[self.order], probabilities[self.order]
        self.count = len(labels)
        self.right = probabilities.argmax(axis=1) == labels
        answers = probabilities[np.arange(self.count), labels].astype(np.float64)
        self._losses = -np.log(np.maximum(answers, SMALLEST))
        present, self._starts = np.unique(labels, return_index=True)
        ends = np.append(self._starts[1:], self.count)
        two = probabilities.shape[1] == 2
        self._sorted = [
            (slice(start, end), *_ranks(probabilities[:, name], slice(start, end)))
            for name, start, end in zip(present, self._starts, ends)
            if len(present) > 1 and not (two and name == 0)
        ]

    def scores(self, weights: Floats) -> Scores:
        """The measures under weights (rows, weightings), rows in the order here."""
        total = weights.sum(axis=0)
        of_class = np.add.reduceat(weights, self._starts, axis=0)
        right = np.add.reduceat(weights * self.right[:, None], self._starts, axis=0)
        areas = [self._area(weights, total, *each) for each in self._sorted]
        return Scores(
            error=(weights * ~self.right[:, None]).sum(axis=0) / total,
            loss=self._losses @ weights / total,
            balanced_accuracy=_mean_where_defined(right, of_class),
            auroc=_mean_where_defined(*map(np.stack, zip(*areas))) if areas else np.full(len(total), np.nan),
        )

    def _area(
        self, weights: Floats, total: Floats, own: slice, order: Ints, below: Ints, upto: Ints
    ) -> tuple[Floats, Floats]:
        """Weight of pairs in the right order, and of all pairs, of a class against the rest."""
        running = np.zeros((self.count + 1, weights.shape[1]))
        np.cumsum(weights[order], axis=0, out=running[1:])
        inside = weights[own]
        positive = inside.sum(axis=0)
        ranked = np.einsum("ij,ij->j", inside, running[below] + running[upto]) / 2
        return ranked - positive**2 / 2, positive * (
            total - positive
        )  # pairs within the class: one half each


def _ranks(probabilities: NDArray[np.floating], own: slice) -> tuple[Ints, Ints, Ints]:
    """The order of all rows; for each of a class's own, how many rows are below it, and not above it."""
    order = np.argsort(probabilities, kind="stable")
    ascending, values = probabilities[order], probabilities[own]
    return order, np.searchsorted(ascending, values, "left"), np.searchsorted(ascending, values, "right")


def _mean_where_defined(parts: Floats, wholes: Floats) -> Floats:
    """Mean over classes (first axis) of parts / wholes, without those of weight 0; NaN if there is none."""
    there = wholes > 0
    shares = np.divide(parts, wholes, out=np.zeros_like(parts), where=there)
    classes = there.sum(axis=0)
    means: Floats = np.divide(
        shares.sum(axis=0), classes, out=np.full(len(classes), np.nan), where=classes > 0
    )
    return means


def _interval(drawn: list[Floats]) -> Interval | None:
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if not len(values) or np.ptp(values) < 1e-12:
        return None
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(low=float(low), high=float(high))


def _check(labels: Ints, probabilities: NDArray[np.floating]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "labels must be (rows,) and probabilities (rows, classes) of the same rows, at least one, "
            f"got {labels.shape} and {probabilities.shape}"
        )
    if not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise ValueError(
            f"labels must be in [0, {probabilities.shape[1]}), the number of classes, "
            f"got {labels.min()} to {labels.max()}"
        )
    possible = ((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
    if not possible.all():
        row = int(np.argmin(possible))
        raise ValueError(f"probabilities must be in [0, 1], got {probabilities[row].tolist()} in row {row}")
