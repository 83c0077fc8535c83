"""How a run ends, also by signals: the first one asks it to, the second Ctrl-C leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

PREEMPTIONS = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers of clusters send some time before they kill."""
EXIT_CODES = {"interrupted": 130, "preempted": 75}
"""Of a run that was ended from outside; 75 (EX_TEMPFAIL) makes schedulers run the same command again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a run ended: with all trials, a budget, on request, or by a signal; and why, in words."""

    how: Literal["finished", "budget", "stopped", "interrupted", "preempted"]
    reason: str = ""


@dataclass(slots=True)
class Asked:
    """Why the run should end.

    Attributes:
        how: empty while it should go on.
        begun: whether something is in hand that has to be brought to an end; until then a signal leaves.
    """

    how: Literal["", "interrupted", "preempted"] = ""
    begun: bool = False

    def leave(self) -> None:
        """End this process in order, if that was asked for."""
        if self.how == "interrupted":
            raise KeyboardInterrupt
        if self.how == "preempted":
            raise SystemExit(EXIT_CODES[self.how])


@contextmanager
def asked_to_stop(say: Callable[[str], None]) -> Iterator[Asked]:
    """What the first signal sets; a second Ctrl-C raises KeyboardInterrupt as usual.

    Ray's own waits end on a KeyboardInterrupt as if all were done, so it must not be raised in them.
    Outside the main thread (some notebooks) signals are left alone.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *PREEMPTIONS)}

    def ask(number: int, frame: FrameType | None) -> None:
        first = not asked.how
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
            asked.how = asked.how or "interrupted"
        else:
            asked.how = asked.how or "preempted"
        if not asked.begun:
            asked.leave()
        if number == signal.SIGINT:
            say("stopping: running trials save themselves where they can; Ctrl-C again leaves at once")
        elif first:
            name = signal.Signals(number).name
            say(f"stopping on {name}: running trials save themselves where they can")

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def put_back() -> None:
    """Python's handlers again, after a library has put its own beneath them.

    Ray's would print a stack at SIGTERM and abort the process 3 s later.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.getsignal(number))
        signal.alarm(0)  # that abort, if a signal came before this
