"""What a task takes without a neural network: a yardstick for learning curves, not a contest."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trials import archive, splits
from trials.dataset import Floats, Ints
from trials.task import Rows, TaskData

ROWS, VALUES = 10_000, 2**25
"""At most so many rows, and so many values in them, are fitted to and scored: minutes on one core."""
ROCKET_ROWS, ROCKET_VALUES, ROCKET_SHORTEST = 4000, 2**23, 9
"""The same of MiniRocket, which has 10,000 features; its kernels have 9 taps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What one baseline reached.

    Attributes:
        name: in words.
        error: on validation rows, both halves, in [0, 1]; None if it could not be tried.
        report_error: of them on those of the report half; None likewise.
        seconds: of fitting and answering.
        note: rows that it was limited to, or why it could not be tried.
    """

    name: str
    error: float | None
    report_error: float | None = None
    seconds: float = 0.0
    note: str = ""


_Fit = Callable[[Floats, Ints, Floats], Ints]
"""Training inputs (rows, channels, *extent), their labels, inputs to answer -> answers."""


def baselines(data: TaskData) -> list[Baseline]:
    """Most frequent class, logistic regression, extra trees, and on series MiniRocket, at usual settings.

    They are fitted to the training rows and scored on both halves of validation; test rows are not opened.
    One that breaks says why in its note.
    Inputs are flattened; logistic regression takes at most 100 steps on scaled ones. Series of variable
    length are filled up with the mean of each channel over the training rows.
    """
    found = [
        _most_frequent(data),
        _score("logistic regression", data, _logistic, ROWS, VALUES),
        _score("extra trees", data, _trees, ROWS, VALUES),
    ]
    if data.shape.dimensions == 1:
        found.append(_rocket(data))
    return found


def _most_frequent(data: TaskData) -> Baseline:
    answer = np.bincount(data.train.labels).argmax()
    report_error = float(np.mean(data.report.labels != answer))
    return Baseline(name="most frequent class", error=data.majority_error, report_error=report_error)


def _score(name: str, data: TaskData, fit: _Fit, rows: int, values: int) -> Baseline:
    started = time.perf_counter()
    try:
        per_row = data.shape.channels * int(np.prod(data.shape.extent))
        most = max(data.shape.classes, min(rows, values // per_row))
        train = _fewer(data.train, most)
        held_out = [_fewer(half, most // 2) for half in (data.select, data.report)]
        labels = np.concatenate([half.labels for half in held_out])
        asked = np.concatenate([_filled(half, data) for half in held_out])
        wrong = fit(_filled(train, data), train.labels, asked) != labels
    except Exception as error:  # out of memory, say: a yardstick ends no run
        return Baseline(name=name, error=None, note=" ".join(f"{type(error).__name__}: {error}".split()))
    return Baseline(
        name=name,
        error=float(np.mean(wrong)),
        report_error=float(np.mean(wrong[len(held_out[0]) :])),
        seconds=time.perf_counter() - started,
        note=_limited(len(train), len(data.train), len(labels), len(data.select) + len(data.report)),
    )


def _limited(fitted: int, train: int, scored: int, validation: int) -> str:
    cut = [f"fitted to {fitted} of {train} rows"] if fitted < train else []
    cut += [f"scored on {scored} of {validation} validation rows"] if scored < validation else []
    return ", ".join(cut)


def _rocket(data: TaskData) -> Baseline:
    name = "MiniRocket"
    if data.shape.extent[0] < ROCKET_SHORTEST:
        return Baseline(name=name, error=None, note=f"needs series of {ROCKET_SHORTEST} steps or more")
    try:
        classifier = archive.aeon("classification.convolution_based", name).MiniRocketClassifier
    except ValueError as error:
        return Baseline(name=name, error=None, note=str(error))

    def fit(inputs: Floats, labels: Ints, asked: Floats) -> Ints:
        answers: Ints = classifier(random_state=0).fit(inputs, labels).predict(asked)
        return answers

    return _score(name, data, fit, ROCKET_ROWS, ROCKET_VALUES)


def _logistic(inputs: Floats, labels: Ints, asked: Floats) -> Ints:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 100 steps are said
        model.fit(_flat(inputs), labels)
    answers: Ints = model.predict(_flat(asked))
    return answers


def _trees(inputs: Floats, labels: Ints, asked: Floats) -> Ints:
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(n_estimators=200, random_state=0).fit(_flat(inputs), labels)
    answers: Ints = model.predict(_flat(asked))
    return answers


def _fewer(rows: Rows, most: int) -> Rows:
    """Classes in proportion."""
    if len(rows) <= most:
        return rows
    kept = splits.subset(np.arange(len(rows)), rows.labels, most, 1, 0)
    return replace(rows, index=rows.index[kept], labels=rows.labels[kept])


def _filled(rows: Rows, data: TaskData) -> Floats:
    inputs = rows.inputs
    means = np.array(data.mean, dtype=np.float32).reshape(-1, *(1 for _ in data.shape.extent))
    return np.where(np.isnan(inputs), means, inputs)


def _flat(inputs: Floats) -> Floats:
    return inputs.reshape(len(inputs), -1)
