"""The first Ctrl-C asks, the second one leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def asked_to_stop(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that the first interrupt sets; a second one raises KeyboardInterrupt as usual.

    Ray's own waits end on a KeyboardInterrupt as if all were done, so it must not be raised in them.
    Outside the main thread (some notebooks) interrupts are left alone.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        asked.set()
        say("stopping: running trials are saved; Ctrl-C again leaves at once")

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
