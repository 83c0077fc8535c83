"""What was fetched or decoded once is kept on disk, for every process of the node.

An entry is written under another name and renamed when it is complete, by one process at a time: whatever
lies under its own name counts. What a killed process left behind is swept by the next one that writes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trials.dataset import Decoded

Loaded = TypeVar("Loaded")
_PARTIAL, _LOCK = ".partial", ".lock"
_DAMAGED = (OSError, ValueError, EOFError)
_ARRAYS = ("inputs", "fingerprints", "moments")


def root() -> Path:
    """``$NAS_CACHE``, else ``$XDG_CACHE_HOME/nas-flexconv``, else ``~/.cache/nas-flexconv``.

    Raises:
        ValueError: one of these is relative, or there is no home directory.
    """
    for name in ("NAS_CACHE", "XDG_CACHE_HOME"):
        if (given := os.environ.get(name)) and not os.path.isabs(given):
            raise ValueError(
                f"{name} must be an absolute path, the same in every working directory, got {given!r}; "
                f"set it to one, such as {os.path.abspath(given)}"
            )
    if given := os.environ.get("NAS_CACHE"):
        return Path(given)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError as error:
        raise ValueError("there is no home directory to keep decoded data in; set NAS_CACHE") from error
    return base.absolute() / "nas-flexconv"


def kept(name: str, make: Callable[[Path], None], load: Callable[[Path], Loaded]) -> Loaded:
    """An entry of the cache, made first where it is missing or damaged.

    Args:
        name: of the entry, such as ``decoded/<key>``; the same name stands for the same content.
        make: writes the entry, a file or a folder, at the path that it is given.
        load: reads it; raises OSError, ValueError or EOFError where it is damaged.

    Raises:
        ValueError: of `make`; the cache cannot be written.
    """
    place = root() / name
    with suppress(*_DAMAGED):
        return load(place)
    try:
        return _made(place, make, load)
    except OSError as error:
        raise ValueError(
            f"the cache cannot keep {place} ({error.strerror or error}); free space there, "
            "or set NAS_CACHE to a folder that can be written"
        ) from error


def digest(path: Path) -> str:
    """sha256 (hexadecimal) of a file; remembered, so that a file that stays as it is is read once."""
    about = path.stat()
    when = f"{about.st_mtime_ns}\n{about.st_ctime_ns}"  # the first can be set, the second cannot
    known = f"{path.resolve()}\n{about.st_size}\n{when}\n{about.st_dev}\n{about.st_ino}"

    def make(partial: Path) -> None:
        with path.open("rb") as file:
            partial.write_text(hashlib.file_digest(file, "sha256").hexdigest())

    def load(place: Path) -> str:
        found = place.read_text()
        if len(bytes.fromhex(found)) != 32:
            raise ValueError(f"{place} is damaged")
        return found

    return kept(f"digests/{hashlib.sha256(known.encode()).hexdigest()}", make, load)


def load(folder: Path) -> Decoded:
    """Decoded rows as memory maps: processes of a node share their pages. Writing to them changes no file.

    Raises:
        OSError, ValueError, EOFError: the folder is missing or damaged.
    """
    return Decoded(*(_mapped(folder / f"{name}.npy") for name in _ARRAYS))


def save(folder: Path, fingerprints: NDArray[np.uint8], moments: NDArray[np.float64]) -> None:
    """The small arrays of an entry; `inputs.npy` is written by whoever decodes."""
    np.save(folder / "fingerprints.npy", fingerprints)
    np.save(folder / "moments.npy", moments)


def _mapped(path: Path) -> np.memmap[Any, np.dtype[Any]]:
    array: np.memmap[Any, np.dtype[Any]] = np.load(path, mmap_mode="c")
    if array.offset + array.nbytes != path.stat().st_size:
        raise ValueError(f"{path} is damaged")
    return array


def _made(place: Path, make: Callable[[Path], None], load: Callable[[Path], Loaded]) -> Loaded:
    from filelock import FileLock

    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}{_LOCK}"):
        with suppress(*_DAMAGED):
            return load(place)  # another process has made it meanwhile
        partial = place.with_name(place.name + _PARTIAL)
        _remove(place)
        _remove(partial)
        _sweep(place.parent)
        try:
            make(partial)
            partial.rename(place)
        except BaseException:
            _remove(partial)
            raise
        return load(place)


def _sweep(folder: Path) -> None:
    """Removes what no living process is writing: a killed one no longer holds its lock."""
    from filelock import FileLock, Timeout

    for partial in folder.glob(f"*{_PARTIAL}"):
        lock = FileLock(f"{str(partial).removesuffix(_PARTIAL)}{_LOCK}", timeout=0)
        with suppress(Timeout), lock:
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
