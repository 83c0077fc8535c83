"""What a trial's process writes while the trial runs, kept for its record. Secrets in it are masked."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote

LINES, CHARACTERS = 200, 500
"""What is kept: the last lines, and of each its beginning."""
SHORTEST = 6
"""Characters of a secret; to mask shorter ones would hide words."""
_LONGEST = 10_000
"""Characters of a line that are looked at."""
_SECRET = re.compile("KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=//)[^\s/'\"<>]+@")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_FORMAT = logging.Formatter("%(levelname)s %(name)s: %(message)s")


def masked(text: str) -> str:
    """A text with ``***`` for every secret: what an environment variable holds whose name looks like one,
    and user info in URLs (``//user:password@``)."""
    return _without(text, _secrets())


def reason_of(error: BaseException, before: str = "") -> str:
    """`TrialRecord.reason` of an exception: what it says, then its traceback, masked.

    Args:
        error: as it was caught.
        before: to be said first.
    """
    said = traceback.format_exception_only(error)[-1].strip()
    return masked(f"{before}{said}\n{''.join(traceback.format_exception(error))}")


class Log:
    """The last `LINES` lines that were written, by whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # what is written while we write, by a finaliser, is kept too
        self._lines: deque[str] = deque(maxlen=LINES)
        self._begun: dict[tuple[str, int], str] = {}  # lines without an end, by stream and thread
        self._secrets = _secrets()

    def write(self, stream: str, text: str) -> None:
        """Keep a piece of what goes to a stream; a line may come in several."""
        with self._lock:
            key = stream, threading.get_ident()
            *whole, rest = (self._begun.pop(key, "") + text).split("\n")
            self._lines.extend(_shown(line) for line in whole)
            if rest:
                self._begun[key] = _shown(rest) + "\r" * rest.endswith("\r")

    def follow(self, earlier: Iterable[str]) -> None:
        """Put lines before all others."""
        with self._lock:
            self._lines = deque([*earlier, *self._lines], maxlen=LINES)

    def lines(self) -> tuple[str, ...]:
        """What is kept: masked, then cut to `CHARACTERS`; without codes for a terminal."""
        with self._lock:
            kept = [*self._lines, *map(_shown, self._begun.values())][-LINES:]
        secrets = self._secrets | _secrets()
        return tuple(_without(_CONTROL.sub("", line), secrets)[:CHARACTERS] for line in kept)


@contextmanager
def captured() -> Iterator[Log]:
    """Keep what this process writes to stdout, stderr (so warnings) and through logging, as it is passed on.

    Inside another one, or beside it in another thread, the log of the first goes on. What C code and child
    processes write is not kept.
    """
    global _log, _undo, _users
    with _lock:
        if _users == 0:
            _log, _undo = Log(), ExitStack()
            for manager in (_teed("stdout", _log), _teed("stderr", _log), _logged(_log)):
                _undo.enter_context(manager)
        _users += 1
        log = _log
    try:
        yield log
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _undo.close()


class _Tee:
    """A stream that keeps what is written to it, and is otherwise the stream behind it."""

    def __init__(self, name: str, stream: Any, log: Log) -> None:
        self._name, self._stream, self._log = name, stream, log

    def write(self, text: str) -> Any:
        if sys._getframe(1).f_globals.get("__name__") != "logging":  # kept when the record was made
            self._log.write(self._name, text)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _teed(name: str, log: Log) -> Iterator[None]:
    before = getattr(sys, name)
    tee = None if before is None else _Tee(name, before, log)
    setattr(sys, name, tee)
    try:
        yield
    finally:
        if getattr(sys, name) is tee:  # else someone put another one in its place, which may write to ours
            setattr(sys, name, before)


@contextmanager
def _logged(log: Log) -> Iterator[None]:
    """Records are kept when they are made: a handler would miss loggers that do not propagate, and would be
    one to `logging.basicConfig`, which then does nothing."""
    before = logging.getLogRecordFactory()

    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = before(*arguments, **named)
        log.write("logging", f"{_formatted(record)}\n")
        return record

    logging.setLogRecordFactory(made)
    try:
        yield
    finally:
        if logging.getLogRecordFactory() is made:
            logging.setLogRecordFactory(before)


def _formatted(record: logging.LogRecord) -> str:
    try:
        return _FORMAT.format(record)
    except Exception:  # arguments that do not fit: logging itself says so when it prints
        return f"{record.levelname} {record.name}: {record.msg}"
    finally:
        record.exc_text = None  # handlers format exceptions in their own way


def _shown(line: str) -> str:
    """What a terminal shows of a line that a progress bar writes over and over."""
    return line.rstrip("\r").rpartition("\r")[2][:_LONGEST]


def _without(text: str, secrets: set[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _USER_INFO.sub("***@", text)
    return text.encode(errors="replace").decode()  # a lone surrogate can be put in no file


def _secrets() -> set[str]:
    """As they may be written: whole, line by line, in quotes, in a URL."""
    values = {value for name, value in os.environ.items() if _SECRET.search(name)}
    values |= {line for value in values for line in value.splitlines()}
    written = {each for value in values for each in (value, repr(value)[1:-1], quote(value, safe=""))}
    return {each for each in written if len(each.strip()) >= SHORTEST}


_lock, _users = threading.RLock(), 0
_log, _undo = Log(), ExitStack()
