"""Signals that ask a run to end: the first one asks, the second Ctrl-C leaves."""

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


@dataclass(slots=True)
class Asked:
    """Why the run should end, empty while it should go on."""

    how: Literal["", "interrupted", "preempted"] = ""


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
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
            asked.how = asked.how or "interrupted"
            say("stopping: running trials are saved; Ctrl-C again leaves at once")
        elif not asked.how:
            asked.how = "preempted"
            say(f"stopping on {signal.Signals(number).name}: running trials are saved")

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
