"""Where a run keeps its objects: a folder of a file system, or of an object store that fsspec knows.

Every object is made in memory and put once, so that a reader sees the old content, the new, or none.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Unwritten(OSError):
    """What a trial keeps could not be written or read: its record must wait until that is mended."""


_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
"""Stores with an exclusive create, and the package each needs; the extras are named like the protocols."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "max_concurrency": 1,  # of parts; with more, every read first asks how large the object is
        "config_kwargs": {
            "connect_timeout": 2,
            "read_timeout": 4.5,
            "max_pool_connections": 32,
            "retries": {"max_attempts": 0},
        },
    }
}
"""Who tries again is `Storage`, so that it knows how often an exclusive create was tried. All attempts and
their pauses take under 30 s together: a lease that was not renewed counts as dead after 60 s."""
_PUT_SECONDS, _PUT_RATE = 6.0, 2**20
"""What writing an object may take: s3fs waits without end for a server that never says "100 Continue"."""
_THEIRS = ("aiobotocore", "aiohttp", "botocore", "gcsfs", "google", "s3fs")
"""Packages whose exceptions are failures of a store."""
_PAUSES = (0.1, 0.5, 2.0)
"""Seconds before each further attempt at what failed for a reason that may pass."""
_PASSING = {errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ETIMEDOUT, errno.ESTALE}
_FINAL = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_NEVER = {errno.EINVAL, errno.ENOSYS, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
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
        host = rest.partition("/")[0]
        if "@" in host or (":" in host and protocol in _PACKAGES):  # keys may hold a slash themselves
            raise ValueError(
                f"a URL must not hold credentials, got {protocol}://...; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS, instead"
            )
        if protocol not in _PACKAGES:
            raise ValueError(f"a run is kept in a folder, s3:// or gs://, got {protocol}://...")

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine; None in an object store."""
        return None if "://" in self.root else Path(self.root)

    def below(self, name: str) -> Storage:
        """The part of it under a name."""
        return Storage(f"{self.root}/{_checked(name)}")

    def put(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all. What may pass is tried again, for seconds.

        Raises:
            OSError: it could not be written; what was there before is untouched. See `is_full`.
        """
        if self.folder is None:
            path = self._path(name)
            self._again(lambda system: system.pipe_file(path, data, timeout=_seconds(data)))
            return
        target = self.folder / _checked(name)

        def write(_: None) -> None:
            with _written(target, data) as temporary:
                os.replace(temporary, target)

        self._again(write)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object that must not be there; False if it is. Of several who try, one succeeds.

        An object of this very content counts as written by us: an attempt may arrive and yet seem to fail,
        and NFS sends one again by itself. So each of several who try needs a content of its own.

        Raises:
            OSError: as `put`.
        """
        target = None if self.folder is None else self.folder / _checked(name)

        def write(system: Any) -> None:
            if target is None:
                system.pipe_file(self._path(name), data, mode="create", timeout=_seconds(data))
            else:
                with _written(target, data) as temporary:
                    _linked(temporary, target, data)

        try:
            self._again(write)
        except FileExistsError:
            return self.get(name) == data
        return True

    def get(self, name: str) -> bytes | None:
        """An object's content; None if there is none.

        Raises:
            OSError: it cannot be read.
        """
        try:
            if self.folder is None:
                path = self._path(name)
                found: bytes = self._again(lambda system: system.cat_file(path))
                return found
            target = self.folder / _checked(name)
            return self._again(lambda _: target.read_bytes())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def get_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The objects among these that are there; from an object store many at a time.

        Raises:
            OSError: one of them cannot be read.
        """
        if self.folder is not None:
            return {name: data for name in names if (data := self.get(name)) is not None}
        paths = {self._path(name): name for name in names}
        found: dict[str, Any] = {}

        def read(system: Any) -> None:
            missing = [path for path in paths if not isinstance(found.get(path), bytes | FileNotFoundError)]
            found.update(zip(missing, system.cat_ranges(missing, None, None), strict=True))
            for data in found.values():
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise data

        self._again(read)
        return {paths[path]: data for path, data in found.items() if isinstance(data, bytes)}

    def names(self, prefix: str = "") -> list[str]:
        """Objects below a prefix that ends in a slash (or all), sorted; without those half written."""
        return sorted(self.stamps(prefix))

    def stamps(self, prefix: str = "") -> dict[str, str]:
        """What `names` has, with a text for each that another content has another of."""
        if self.folder is not None:
            return dict(_files(self.folder / prefix, prefix))
        root = self._top()
        found: dict[str, Any] = self._again(lambda system: system.find(f"{root}{prefix}", detail=True))
        return {
            path.removeprefix(root): f"{info['size']} {info.get('ETag') or info.get('etag')}"
            for path, info in found.items()
            if path.startswith(root) and not path.endswith("/")
        }

    def top(self) -> set[str]:
        """Names right below the root, of objects and of what is before a slash; empty without a root."""
        if self.folder is not None:
            return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        root = self._top()
        try:
            found: list[str] = self._again(lambda system: system.ls(root, detail=False, refresh=True))
        except FileNotFoundError:
            return set()
        return {path.rstrip("/").rpartition("/")[2] for path in found} - {""}

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        if self.folder is not None:
            (self.folder / _checked(name)).unlink(missing_ok=True)
            return
        path = self._path(name)
        with suppress(FileNotFoundError):
            self._again(lambda system: system.rm_file(path))

    def _again(self, attempt: Callable[[Any], T]) -> T:
        """An attempt, and further ones after a while if its failure may pass."""
        for pause in (*_PAUSES, None):
            try:
                return attempt(None if self.folder is not None else _remote(self.root.partition("://")[0]))
            except Exception as error:
                failure = self._failure(error)
                if pause is None or not _may_pass(failure, remote=self.folder is None):
                    raise failure from error
            time.sleep(pause)
        raise AssertionError("the last attempt returned or raised")

    def _failure(self, error: Exception) -> OSError:
        """What the packages behind a URL raise, as an error of the file system; others as they are."""
        if self.folder is None and isinstance(error, TimeoutError) and error.errno is None:  # fsspec's
            return OSError(errno.ETIMEDOUT, f"{self.root}: no answer in time")
        if isinstance(error, OSError):
            return error
        if self.folder is not None or type(error).__module__.partition(".")[0] not in _THEIRS:
            raise error
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        kind = PermissionError if "Credentials" in type(error).__name__ else OSError
        return kind(errno.EACCES if kind is PermissionError else errno.EIO, f"{self.root}: {said}")

    def _path(self, name: str) -> str:
        return f"{self._top()}{_checked(name)}"

    def _top(self) -> str:
        """What all paths in the store begin with."""
        path: str = _remote(self.root.partition("://")[0])._strip_protocol(self.root)
        return f"{path}/"


@contextmanager
def kept() -> Iterator[None]:
    """Around a write or read that a trial cannot end without: its failure is not one of the trial.

    Raises:
        Unwritten: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise Unwritten(*error.args) from error


def _seconds(data: bytes) -> float:
    return _PUT_SECONDS + len(data) / _PUT_RATE


def is_full(error: BaseException) -> bool:
    """Whether something could not be written for want of room: a full disk, a quota."""
    return isinstance(error, OSError) and error.errno in _FULL


def _may_pass(error: OSError, remote: bool) -> bool:
    if isinstance(error, _FINAL) or is_full(error):
        return False
    return error.errno not in _NEVER if remote else error.errno in _PASSING


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names of all files below a folder, with size, time of change and inode."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):  # gone since it was listed
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(folder / entry.name, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            with suppress(FileNotFoundError):
                found = entry.stat()
                yield f"{prefix}{entry.name}", f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


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


def _linked(temporary: Path, target: Path, data: bytes) -> None:
    """Give a whole file its name, which must be free.

    Where the file system has no links, of several who try one succeeds all the same, but a reader may see
    the file empty.
    """
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            target.unlink(missing_ok=True)
            raise


def _checked(name: str) -> str:
    """Refuse what could leave the root."""
    if _NAME.fullmatch(name) is None or ".." in name.split("/"):
        raise ValueError(f"names of objects are words joined by /, got {name!r}")
    return name


@cache
def _remote(protocol: str) -> Any:
    import fsspec

    try:
        system = fsspec.filesystem(
            protocol, use_listings_cache=False, skip_instance_cache=True, **_OPTIONS.get(protocol, {})
        )
    except ImportError as error:
        raise ValueError(
            f"{protocol}:// needs {_PACKAGES[protocol]}: pip install 'nas-flexconv[{protocol}]'"
        ) from error
    if protocol == "s3":
        system.retries = 1
    return system
