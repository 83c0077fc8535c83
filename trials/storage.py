"""Where a run keeps its objects: a folder of a file system, or of an object store that fsspec knows.

Every object is made in memory and put once, so that a reader sees the old content, the new, or none.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
"""Stores with an exclusive create, and the package each needs; the extras are named like the protocols."""
_NAME = re.compile(r"[A-Za-z0-9_@=,.-]+(/[A-Za-z0-9_@=,.-]+)*")


@dataclass(frozen=True, slots=True)
class Storage:
    """Objects below one root, by names such as ``trials/digits.twin.0/record.json``.

    Attributes:
        root: a path, or a URL such as ``s3://bucket/run``; credentials come from the environment.

    Raises:
        ValueError: the URL holds credentials, or its protocol is none that runs can be kept in.
    """

    root: str

    def __post_init__(self) -> None:
        if "://" not in self.root:
            return
        protocol, _, rest = self.root.partition("://")
        if "@" in rest.partition("/")[0]:
            raise ValueError(
                f"a URL must not hold credentials, got {protocol}://...@{rest.partition('@')[2]}; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS, instead"
            )
        if protocol not in _PACKAGES:
            raise ValueError(f"a run is kept in a folder, s3:// or gs://, got {self.root}")

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine; None in an object store."""
        return None if "://" in self.root else Path(self.root)

    def below(self, name: str) -> Storage:
        """The part of it under a name."""
        return Storage(f"{self.root}/{_checked(name)}")

    def put(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all.

        Raises:
            OSError: it could not be written; what was there before is untouched.
        """
        if self.folder is None:
            _remote(self.root).pipe_file(self._path(name), data)
            return
        target = self.folder / _checked(name)
        with _written(target, data) as temporary:
            os.replace(temporary, target)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that must not be there; False if it is. Of several who try, one succeeds."""
        if self.folder is None:
            try:
                _remote(self.root).pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            return True
        target = self.folder / _checked(name)
        try:
            with _written(target, data) as temporary:
                os.link(temporary, target)  # unlike O_EXCL, never seen empty
        except FileExistsError:
            return False
        return True

    def get(self, name: str) -> bytes | None:
        """An object's content; None if there is none.

        Raises:
            OSError: it cannot be read.
        """
        try:
            if self.folder is None:
                found: bytes = _remote(self.root).cat_file(self._path(name))
                return found
            return (self.folder / _checked(name)).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def get_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The objects among these that are there; from an object store many at a time."""
        if self.folder is not None:
            return {name: data for name in names if (data := self.get(name)) is not None}
        paths = {self._path(name): name for name in names}
        found = _remote(self.root).cat(list(paths), on_error="return") if paths else {}
        for data in found.values():
            if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise data
        return {paths[path]: data for path, data in found.items() if isinstance(data, bytes)}

    def names(self, prefix: str = "") -> list[str]:
        """Objects below a prefix that ends in a slash (or all), sorted; without those half written."""
        if self.folder is None:
            system, root = _remote(self.root), self._path("")
            system.invalidate_cache()
            found = system.find(f"{root}{prefix}") if system.exists(f"{root}{prefix}") else []
            return sorted(path.removeprefix(root) for path in found)
        top = self.folder / prefix
        every = (path.relative_to(self.folder).as_posix() for path in top.rglob("*") if path.is_file())
        return sorted(name for name in every if not name.rpartition("/")[2].startswith("."))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        if self.folder is not None:
            (self.folder / _checked(name)).unlink(missing_ok=True)
            return
        with suppress(FileNotFoundError):
            _remote(self.root).rm_file(self._path(name))

    def _path(self, name: str) -> str:
        path: str = _remote(self.root)._strip_protocol(self.root)
        return f"{path}/{_checked(name) if name else ''}"


@contextmanager
def _written(target: Path, data: bytes) -> Iterator[Path]:
    """A temporary file beside the target that holds the data, gone afterwards if it still has this name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _checked(name: str) -> str:
    """Refuse what could leave the root."""
    if _NAME.fullmatch(name) is None or ".." in name.split("/"):
        raise ValueError(f"names of objects are words joined by /, got {name!r}")
    return name


@cache
def _remote(root: str) -> Any:
    import fsspec

    protocol = root.partition("://")[0]
    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except ImportError as error:
        raise ValueError(
            f"{protocol}:// needs {_PACKAGES[protocol]}: pip install 'nas-flexconv[{protocol}]'"
        ) from error
