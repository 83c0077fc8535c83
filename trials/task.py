"""A task: one dataset with its split and shape. Test rows come through `open_test` and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_spaces.lookup import lookup
from search_spaces.space import TaskShape
from trials import embedded, splits
from trials.dataset import Dataset, Floats, Ints, Part

TASKS: dict[str, Callable[[], Dataset]] = {
    "digits": embedded.digits,
    "digits_sequence": embedded.digits_sequence,
    "mnist5k": embedded.mnist5k,
    "mnist5k_sequence": embedded.mnist5k_sequence,
}
"""The tasks that ship with the product. A user's own function of this type is a task as well."""


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Labelled rows of a task, as decoded (not normalised).

    Attributes:
        inputs: float32 (rows, channels, *extent); images and volumes in [0, 1], series in their own unit.
        labels: int64 (rows,), in [0, classes).
    """

    inputs: Floats
    labels: Ints

    def __len__(self) -> int:
        return len(self.labels)


class TrainRows(Rows):
    """Weights are fitted to these."""

    __slots__ = ()


class SelectRows(Rows):
    """The half of validation by which designs are chosen and trials stopped."""

    __slots__ = ()


class ReportRows(Rows):
    """The half of validation that is shown of a chosen design."""

    __slots__ = ()


class TestRows(Rows):
    """Seen once, by finalists."""

    __slots__ = ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Task:
    """What trials are scored on.

    Attributes:
        name: in records; ends in ``@rows`` if only so many rows are used.
        shape: extent, channels and classes.
        class_names: label 0 is the first.
        test_rows: size of the test split, counted and not opened.
        mean, std: of each channel over the training rows; std is positive.
        digest: sha256 (hexadecimal) of the train, select and report rows.
        origin, licence: of the data, in one line each, if known.
    """

    name: str
    shape: TaskShape
    class_names: tuple[str, ...]
    train: TrainRows
    select: SelectRows
    report: ReportRows
    test_rows: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    origin: str = ""
    licence: str = ""

    @property
    def majority_error(self) -> float:
        """Validation error, in [0, 1], of always answering the most frequent training class."""
        answer = np.bincount(self.train.labels).argmax()
        return float(np.mean(np.concatenate((self.select.labels, self.report.labels)) != answer))


def task_name(source: str, rows: int | None = None) -> str:
    """The name a task has in records, from its source alone; nothing is opened.

    Args:
        source: as in `open_task`.
        rows: as in `open_task`.
    """
    if source in TASKS:
        name = source
    elif ":" in source and not Path(source).is_dir():
        name = source.rpartition(":")[2]
    else:
        name = Path(source).expanduser().resolve().name
    return name if rows is None else f"{name}@{rows}"


def open_task(source: str, rows: int | None = None) -> Task:
    """Opens a task: train and validation rows, the test rows only counted.

    Args:
        source: a name in `TASKS`, a directory of Parquet files in the Hugging Face layout, or
            ``module:attribute`` / ``file.py:name``, a function without arguments that returns a `Dataset`.
        rows: use at most so many of the training and validation rows, classes in proportion; None for all.

    Raises:
        ValueError: nothing has this name, the data are broken, or too few rows are left to divide.
    """
    dataset = _dataset(source)
    train, validation = _learning_rows(dataset, rows, task_name(source))
    select, report = splits.halve(validation.rows, validation.labels)
    fitted = _read(train, train.rows, dataset)
    train_rows = TrainRows(fitted.inputs, fitted.labels)
    held_out = _read(validation, np.concatenate((select, report)), dataset, fitted)
    select_rows = SelectRows(held_out.inputs[: len(select)], held_out.labels[: len(select)])
    report_rows = ReportRows(held_out.inputs[len(select) :], held_out.labels[len(select) :])
    mean, std = _moments(fitted.inputs)
    return Task(
        name=task_name(source, rows),
        shape=_shape(fitted, dataset),
        class_names=dataset.class_names,
        train=train_rows,
        select=select_rows,
        report=report_rows,
        test_rows=dataset.test.size if dataset.test is not None else len(splits.carve_test(dataset)[1]),
        mean=mean,
        std=std,
        digest=_digest(train_rows, select_rows, report_rows),
        origin=dataset.origin,
        licence=dataset.licence,
    )


def open_test(source: str, rows: int | None = None) -> TestRows:
    """The test rows of a task: for finalists, once. The only door to them.

    Args:
        source: as in `open_task`.
        rows: as in `open_task`; the test split is whole whatever it says.

    Raises:
        ValueError: as `open_task`; also a test row that does not fit the training rows.
    """
    dataset = _dataset(source)
    _, carved = splits.carve_test(dataset)
    learning = _Chosen(dataset.train, _labels(dataset.train, dataset), carved)
    if dataset.test is None:
        found = _read(learning, carved, dataset)
    else:
        test = _Chosen(dataset.test, _labels(dataset.test, dataset), np.arange(dataset.test.size))
        found = _read(test, test.rows, dataset, like=_read(learning, np.arange(1), dataset))
    return TestRows(found.inputs, found.labels)


def describe(task: Task) -> dict[str, str]:
    """What a task looks like, as names and texts in the order to print them."""
    counts = np.bincount(task.train.labels, minlength=task.shape.classes)
    moments = [f"{mean:.4g} +- {std:.4g}" for mean, std in zip(task.mean, task.std)]
    found = {
        "name": task.name,
        "shape": f"{task.shape} (channels x extent)",
        "classes": f"{task.shape.classes}: {_shortened(task.class_names)}",
        "training rows": f"{len(task.train)} ({counts.min()} to {counts.max()} a class)",
        "validation rows": f"{len(task.select)} to select by, {len(task.report)} to report",
        "test rows": str(task.test_rows),
        "majority error": f"{100 * task.majority_error:.1f} %",
        "channels (mean +- std)": _shortened(moments),
        "digest": task.digest[:12],
        "origin": task.origin,
        "licence": task.licence,
    }
    return {name: text for name, text in found.items() if text}


@dataclass(frozen=True, eq=False, slots=True)
class _Chosen:
    """Some rows of a part, with the labels of the whole part."""

    part: Part
    labels: Ints
    rows: Ints


def _dataset(source: str) -> Dataset:
    if source not in TASKS and Path(source).expanduser().is_dir():
        from trials import parquet  # pyarrow is not needed for the embedded tasks

        return parquet.open_directory(Path(source).expanduser())
    try:
        function = lookup("task", source, TASKS)
    except ValueError as error:
        raise ValueError(f"{error}; or a directory of Parquet files, by its path") from error
    dataset = function() if callable(function) else function
    if not isinstance(dataset, Dataset):
        raise ValueError(
            f"task {source!r} must be a function without arguments that returns a trials.dataset.Dataset, "
            f"got {type(dataset).__name__}"
        )
    return dataset


def _labels(part: Part, dataset: Dataset) -> Ints:
    labels = part.labels()
    if labels.size and not 0 <= labels.min() <= labels.max() < len(dataset.class_names):
        raise ValueError(
            f"labels must be in [0, {len(dataset.class_names)}), the number of class names, "
            f"got {labels.min()} to {labels.max()}"
        )
    return labels


def _learning_rows(dataset: Dataset, rows: int | None, name: str) -> tuple[_Chosen, _Chosen]:
    """Training and validation rows, of the same part or of two."""
    labels = _labels(dataset.train, dataset)
    official, carved_test = dataset.validation, dataset.test is None
    check_least = 1 if official is not None or dataset.train.groups() is not None else 3
    splits.check_classes(labels, dataset.class_names, check_least + carved_test, f"training rows of {name}")
    left, _ = splits.carve_test(dataset)
    if official is None:
        kept, held_out = splits.carve(left, labels, dataset.train.groups(), least=2)
        train, validation = _Chosen(dataset.train, labels, kept), _Chosen(dataset.train, labels, held_out)
        splits.check_classes(labels[kept], dataset.class_names, 1, f"training rows of {name} after the split")
    else:
        train = _Chosen(dataset.train, labels, left)
        validation = _Chosen(official, _labels(official, dataset), np.arange(official.size))
    if len(validation.rows) < 2:
        raise ValueError(
            f"{name} must have at least 2 validation rows, one a half, got {len(validation.rows)}"
        )
    return (train, validation) if rows is None else _fewer(train, validation, rows, name)


def _fewer(train: _Chosen, validation: _Chosen, rows: int, name: str) -> tuple[_Chosen, _Chosen]:
    everything = len(train.rows) + len(validation.rows)
    needed = splits.rows_needed(
        ((train.labels[train.rows], 1), (validation.labels[validation.rows], 2)),
    )
    if rows >= everything:
        return train, validation
    if rows < needed:
        raise ValueError(
            f"rows must be at least {needed} for {name}, so that every class is in training and in both "
            f"halves of validation, got {rows}; it has {everything} rows to train and validate with"
        )
    ours, theirs = splits.share_rows(train.rows, validation.rows, rows)
    return (
        _Chosen(train.part, train.labels, splits.subset(train.rows, train.labels, ours, 1)),
        _Chosen(
            validation.part, validation.labels, splits.subset(validation.rows, validation.labels, theirs, 2)
        ),
    )


def _read(chosen: _Chosen, rows: Ints, dataset: Dataset, like: Rows | None = None) -> Rows:
    """Some rows of a part, checked: finite, inputs of the shape of `like`."""
    found = Rows(chosen.part.inputs(rows), chosen.labels[rows])
    if like is not None and _shape(found, dataset) != _shape(like, dataset):
        raise ValueError(
            f"all splits must have inputs of one shape, {_shape(like, dataset)} in training, "
            f"got {_shape(found, dataset)}; resize or pad them"
        )
    finite = np.isfinite(found.inputs).reshape(len(found), -1).all(axis=1)
    if not finite.all():
        row = rows[int(np.argmin(finite))]
        raise ValueError(
            f"inputs must be finite, got NaN or infinity in row {row}; replace it or drop the row"
        )
    return found


def _shape(rows: Rows, dataset: Dataset) -> TaskShape:
    _, channels, *extent = rows.inputs.shape
    return TaskShape(extent=tuple(extent), channels=channels, classes=len(dataset.class_names))


def _moments(inputs: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    means, stds = [], []
    for channel in range(inputs.shape[1]):
        values = inputs[:, channel]
        mean = float(values.mean(dtype=np.float64))
        std = float(np.sqrt(np.square(values - np.float32(mean)).mean(dtype=np.float64)))
        means.append(mean)
        stds.append(std if std > 0 else 1.0)
    return tuple(means), tuple(stds)


def _digest(*parts: Rows) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part.inputs).data)
        digest.update(np.ascontiguousarray(part.labels).data)
    return digest.hexdigest()


def _shortened(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) if len(names) <= 10 else f"{', '.join(names[:9])}, ... {names[-1]}"
