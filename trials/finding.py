"""From the source of a task to its dataset: a registered name, Parquet files, a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from search_spaces.lookup import absolute, lookup
from trials import archive, controls, embedded
from trials.dataset import Dataset
from trials.reference import Task
from trials.resizing import resized

EMBEDDED: dict[str, Callable[[], Dataset]] = {
    "digits": embedded.digits,
    "digits_sequence": embedded.digits_sequence,
    "mnist5k": embedded.mnist5k,
    "mnist5k_sequence": embedded.mnist5k_sequence,
    "mnist5k_permuted": embedded.mnist5k_permuted,
}
CONTROLS: dict[str, Callable[[], Dataset]] = {
    "order_sequence": controls.order_sequence,
    "order_sequence_near": controls.order_sequence_near,
    "order_image": controls.order_image,
    "pattern_sequence": controls.pattern_sequence,
    "pattern_image": controls.pattern_image,
    "adding": controls.adding,
}
"""Built so that the answer is known."""
ARCHIVE: dict[str, Callable[[], Dataset]] = {
    "osuleaf": archive.osuleaf,
    "acsf1": archive.acsf1,
    "japanese_vowels": archive.japanese_vowels,
}
TASKS = {**EMBEDDED, **CONTROLS, **ARCHIVE}
"""The tasks that ship with the product. A user's own function of this type is a task as well."""

Progress = Callable[[int, int], None]
"""Told how much of how much is done: bytes while files are fetched, rows while they are decoded."""


def is_parquet(source: str) -> bool:
    """Whether a source names files: a directory or a file that exists, a glob, or a URL."""
    if source in TASKS or "://" in source or "*" in source:
        return source not in TASKS
    path = Path(source).expanduser()
    return path.is_dir() or (path.suffix == ".parquet" and path.is_file())


def everywhere(task: Task) -> Task:
    """The task with a source that means the same in any working directory."""
    source = task.source
    if "://" in source or source in TASKS:
        return task
    if is_parquet(source):
        return task.at(str(Path(source).expanduser().absolute()))
    return task.at(absolute(source))


def find(task: Task, progress: Progress | None = None) -> Dataset:
    """The dataset of a task, before it is divided; little is read yet.

    Raises:
        ValueError: nothing has this name, it is no dataset, or the files are not as they must be.
    """
    if is_parquet(task.source):
        from trials import parquet  # pyarrow is not needed for the embedded tasks

        return parquet.open_parquet(task, progress)
    for column in ("input", "label", "group"):
        if getattr(task, column) is not None:
            raise ValueError(
                f"{column} names a column of Parquet files, got {task}; {task.source} has no columns"
            )
    try:
        function = lookup("task", task.source, TASKS)
    except ValueError as error:
        raise ValueError(
            f"{error}; or a file, directory or glob of Parquet files, by its path or URL"
        ) from error
    try:
        dataset = function() if callable(function) else function
    except Exception as error:  # the user's own code
        if task.source in TASKS:
            raise
        said = (str(error).strip().splitlines() or ["nothing"])[0]
        raise ValueError(
            f"task {task.source!r} must be a function without arguments that returns a "
            f"trials.dataset.Dataset, but calling it fails ({type(error).__name__}: {said}); correct it there"
        ) from error
    if not isinstance(dataset, Dataset):
        raise ValueError(
            f"task {task.source!r} must be a function without arguments that returns a "
            f"trials.dataset.Dataset, got {type(dataset).__name__}"
        )
    for part in (dataset.train, dataset.validation, dataset.test):
        if part is not None and part.size > task.max_rows:
            raise ValueError(
                f"{task.dataset} has {part.size} rows, more than max_rows={task.max_rows}; "
                f"raise it, as in {task.source}@max_rows={part.size}"
            )
    return resized(dataset, task)
