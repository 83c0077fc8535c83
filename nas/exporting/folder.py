"""A folder that is whole or not there."""

from __future__ import annotations

import secrets
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its name when the block ends.

    If the block does not end, by an error, Ctrl-C or SIGTERM, nothing is left.

    Raises:
        ValueError: `target` is taken.
    """
    if ":/" in str(target):
        raise ValueError(
            f"a network is exported to a folder of this machine, got {target}; copy it from there"
        )
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise ValueError(f"{target} exists and is not empty; take another --to")
    if target.resolve() == Path.cwd():
        raise ValueError(f"{target} is where you are; take a folder of its own as --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _sigterm_raises():
        draft = target.parent / f".{target.name}.{secrets.token_hex(4)}"
        draft.mkdir()
        allowed = draft.stat().st_mode  # by the umask, as of any other file here
        try:
            yield draft
            for path in draft.rglob("*"):
                path.chmod(allowed if path.is_dir() else allowed & 0o666)
            draft.replace(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """SIGTERM as Ctrl-C; left alone where another thread than the main one asks."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
