"""What others ask of a run that is held: small objects that its driver reads, carries out and removes."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Literal

from nas.config import SearchConfig
from trials.plain import dumps, from_plain
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
    """

    what: Literal["stop", "cancel", "grow"]
    by: str
    trial: str = ""
    config: SearchConfig | None = None
    refused: str = ""

    def __post_init__(self) -> None:
        if (self.what == "cancel") != bool(self.trial) or (self.what == "grow") != (self.config is not None):
            raise ValueError("a request to cancel names a trial, one to grow a configuration, others neither")


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
        if refused := from_plain(Request, json.loads(data), name).refused:
            storage.remove(name)
            raise ValueError(refused)
        if time.monotonic() > until:
            return False
        time.sleep(poll)
    return True
