"""What must be true of a node before a trial runs there, asked once by the first slot on it."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version

from nas.run_directory import RunDirectory
from trials.reference import Task
from trials.surroundings import unseen_accelerators
from trials.task import TaskData


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a node, or the driver, runs with.

    Attributes:
        python, ray, torch, product: versions, of Python without its last number, of torch without its build
            (a driver without an accelerator may have the one for processors).
        trouble: why no trial can run there, else empty.
    """

    python: str
    ray: str
    torch: str
    product: str
    trouble: str = ""


def facts(trouble: str = "") -> Facts:
    """Of this process."""
    return Facts(
        python=".".join(platform.python_version_tuple()[:2]),
        ray=_version("ray"),
        torch=_version("torch").partition("+")[0],
        product=_version("nas-flexconv"),
        trouble=trouble,
    )


def probe(directory: RunDirectory, open_task: Callable[[Task], TaskData]) -> Facts:
    """Look at this node: its versions, whether it can write the run and open its tasks."""
    try:
        if unseen := unseen_accelerators():
            return facts(unseen)
        _write(directory)
        info = directory.info()
        for each in info.tasks if info else ():
            open_task(each.task)
    except Exception as error:  # also what a user's own code raises
        return facts(said(error))
    return facts()


def said(error: Exception) -> str:
    """An error in one line."""
    line = (str(error).strip().splitlines() or ["no message"])[0]
    return line if isinstance(error, ValueError) else f"{type(error).__name__}: {line}"


def trouble(driver: Facts, node: Facts) -> str:
    """Why no trial can run on a node, or an empty text."""
    for field in fields(Facts):
        ours, theirs = getattr(driver, field.name), getattr(node, field.name)
        if field.name != "trouble" and ours != theirs:
            return f"it has {field.name} {theirs or 'none'}, the driver {ours or 'none'}"
    return node.trouble


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _write(directory: RunDirectory) -> None:
    """Put an object, read it back, remove it.

    Raises:
        ValueError: that does not work.
    """
    name, content = f"probe/{uuid.uuid4().hex}", b"can this node write?"
    try:
        directory.storage.put(name, content)
        found = directory.storage.get(name)
        directory.storage.remove(name)
    except OSError as error:
        raise ValueError(f"it cannot write {directory}: {error.strerror or error}") from error
    if found != content:
        raise ValueError(f"what it writes to {directory} cannot be read back")
