"""What others ask of a run that is held: small objects that its driver reads, carries out and removes."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nas.config import SearchConfig
from search_spaces.space import TaskShape
from trials.plain import dumps, from_plain
from trials.reference import Task
from trials.storage import Storage

FOLDER = "requests/"
_NAME = re.compile(rf"{FOLDER}[0-9a-f]+\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        what: "stop" the run, "cancel" one trial, or "grow" to a configuration.
        by: host and process that asked, for messages.
        trial: which one to cancel, by its id.
        config: what the run should cover as well.
        refused: why it was not carried out; empty until it is read.
        accepted: a trial that is told to end, but has no record yet; kept for the next holder until it has.
    """

    what: Literal["stop", "cancel", "grow"]
    by: str
    trial: str = ""
    config: SearchConfig | None = None
    refused: str = ""
    accepted: bool = False

    def __post_init__(self) -> None:
        if (self.what == "cancel") != bool(self.trial) or (self.what == "grow") != (self.config is not None):
            raise ValueError("a request to cancel names a trial, one to grow a configuration, others neither")


class Steering:
    """What may be done to a run while it goes on.

    Args:
        ask: calls the board.
    """

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask
        self.why = ""

    def pause(self, why: str) -> None:
        """End the run; running trials save themselves where they can."""
        self.why = self.why or why
        self._ask("pause")

    def cancel(self, trial_id: str) -> bool:
        """End a trial as failed; False if there is none of this id that has not ended."""
        return bool(self._ask("cancel", trial_id))

    def grow(self, config: SearchConfig, tasks: tuple[Task, ...], shapes: dict[str, TaskShape]) -> None:
        """Go on with a larger plan.

        Raises:
            ValueError: it cannot be made.
        """
        self._ask("grow", config, tasks, shapes)


def leave(storage: Storage, request: Request) -> str:
    """Leave a request, and give its name. Names sort by the time they were left, by the clock of each."""
    name = f"{FOLDER}{time.time_ns():016x}{secrets.token_hex(4)}.json"
    storage.put(name, dumps(request).encode())
    return name


def pending(storage: Storage) -> tuple[dict[str, Request], list[str]]:
    """Requests to carry out, by name, oldest first; and a line for each that cannot be read.

    What cannot be read is removed, so that it is said once.
    """
    requests, unreadable = {}, []
    names = [name for name in storage.names(FOLDER) if _NAME.fullmatch(name)]  # no editor's copies
    for name, data in sorted(storage.get_all(names).items()):
        try:
            request = from_plain(Request, json.loads(data))
        except ValueError as error:
            storage.remove(name)
            unreadable.append(f"{storage.root}/{name} cannot be read and was removed: {error}")
            continue
        if not request.refused:
            requests[name] = request
    return requests, unreadable


def done(storage: Storage, name: str) -> None:
    """It was carried out."""
    storage.remove(name)


def accept(storage: Storage, name: str, request: Request) -> None:
    """It is being carried out: who asked need not wait, and it stays until it is done."""
    storage.put(name, dumps(replace(request, accepted=True)).encode())


def refuse(storage: Storage, name: str, request: Request, reason: str) -> None:
    """It cannot be carried out: who asked finds the reason in its place."""
    storage.put(name, dumps(replace(request, refused=reason)).encode())


def answered(storage: Storage, name: str, patience: float = 30.0, poll: float = 0.5) -> bool:
    """Wait until a request was carried out; False if it was not within `patience` seconds.

    Raises:
        ValueError: it was refused, with the reason. The request is then gone.
    """
    until = time.monotonic() + patience
    while (data := storage.get(name)) is not None:
        request = from_plain(Request, json.loads(data), name)
        if request.accepted:
            return True
        if request.refused:
            storage.remove(name)
            raise ValueError(request.refused)
        if time.monotonic() > until:
            return False
        time.sleep(poll)
    return True
