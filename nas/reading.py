"""Objects of a run as they may be found: whole, cut, edited by hand, of another trial."""

from __future__ import annotations

import dataclasses
import json
from typing import NoReturn

from trials.record import Trial, TrialRecord
from trials.soundness import flaw


def load(content: bytes | OSError | None, path: str) -> object:
    """What the JSON of an object holds.

    Args:
        content: of the object; None if it is not there, or why it cannot be read.
        path: of it, for messages.

    Raises:
        ValueError: it is not there, or is no JSON that can be written again (NaN, half a character).
    """
    if content is None:
        raise ValueError(f"there is no {path}; a run directory holds one")
    try:
        if isinstance(content, OSError):
            raise content
        text = content.decode()
        data: object = json.loads(text, parse_constant=_refuse)
        if "\\u" in text:  # half of a pair of characters reads, but cannot be written
            json.dumps(data, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number in JSON")


def refuse_contradiction(path: str, record: TrialRecord, asked: Trial | None) -> None:
    """A record fits together, lies in its trial's folder and is of the design beside it, if there is one.

    Raises:
        ValueError: names the file and what is wrong.
    """
    if path.split("/")[-2] != record.trial.id:
        raise ValueError(f"{path} holds the record of {record.trial.id}, which has a folder of its own")
    if found := flaw(record):
        raise ValueError(f"{path}: {found}")
    if asked is None:
        return
    for field in dataclasses.fields(Trial):
        ours, theirs = getattr(record.trial, field.name), getattr(asked, field.name)
        if ours != theirs:
            raise ValueError(
                f"{path} is not of the trial in design.json beside it: {field.name} is {str(ours)[:60]} "
                f"and {str(theirs)[:60]} there"
            )
