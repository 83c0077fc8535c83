"""Calls of a server that keep nobody waiting for longer than was said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Protocol, TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.1


class Ask(Protocol):
    """Makes a call and gives its result."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def directly(call: Callable[[], T]) -> T:
    """However long it takes."""
    return call()


class OutOfPatience(Exception):
    """A call was given up. It may still be carried out."""


class Patience:
    """An `Ask` for a thread that must go on, whatever the server does. For one thread.

    Args:
        seconds: of waiting that may pass without a call that succeeds.
        longest: seconds of waiting in all.
        leave: whether to give up at once.
    """

    def __init__(self, seconds: float, longest: float, leave: Callable[[], bool]) -> None:
        self._seconds, self._leave = seconds, leave
        self._waited = self._all = 0.0
        self._longest = longest

    def __call__(self, call: Callable[[], T], /) -> T:
        """The result of the call, which is made in a thread of its own.

        Raises:
            OutOfPatience: it did not come in time.
        """
        if self._leave():
            raise OutOfPatience("told to leave")
        if self._all > self._longest:
            raise OutOfPatience("it takes too long")
        began, before = time.monotonic(), self._all
        answer: Future[T] = Future()
        threading.Thread(target=partial(_answer, call, answer), name="patience", daemon=True).start()
        while not wait([answer], LOOK_SECONDS).done:
            self._waited += LOOK_SECONDS
            self._all = before + time.monotonic() - began
            if self._leave():
                raise OutOfPatience("told to leave")
            if self._all > self._longest:
                raise OutOfPatience("it takes too long")
            if self._waited > self._seconds:
                raise OutOfPatience(f"no answer for {self._seconds:.0f} s")
        self._all = before + time.monotonic() - began
        found = answer.result()
        self._waited = 0.0
        return found


def _answer(call: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:
        answer.set_exception(error)
