"""Objects of a run as they may be found: whole, cut, edited by hand, of another trial."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, NoReturn

from nas.compacted import DESIGN, RECORD, Content, Contents
from trials.plain import from_plain
from trials.record import READABLE, Trial, TrialRecord, current
from trials.soundness import flaw


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a run's directory holds of trials, by the names of their folders.

    Attributes:
        trials: that were ever issued.
        damaged: a line for each design that cannot be read.
        records: that can be read and fit together.
        unreadable: a line for each other one.
    """

    trials: list[Trial]
    damaged: list[str]
    records: list[TrialRecord]
    unreadable: list[str]


def found_in(contents: Contents, where: str, way_out: Callable[[object], str]) -> Found:
    """Designs and records as they are meant.

    Args:
        contents: of all objects; used up, so that they and what they mean are not held at once.
        where: the run is, for messages.
        way_out: what to do about the record of another version, made from its commit.
    """
    found = Found(trials=[], damaged=[], records=[], unreadable=[])
    for folder in list(contents.of):
        kinds = contents.of.pop(folder)
        path = f"{where}/trials/{folder}"
        trial: Trial | None = None
        problem = ""
        if DESIGN in kinds:
            try:
                trial = from_plain(Trial, load(kinds[DESIGN], f"{path}/{DESIGN}"), f"{path}/{DESIGN}")
                found.trials.append(trial)
            except ValueError as error:
                problem = str(error)
                found.damaged.append(problem)
        if RECORD in kinds:
            try:
                record = _record(kinds[RECORD], f"{path}/{RECORD}", way_out)
                refuse_contradiction(f"{path}/{RECORD}", record, trial)
                if problem:
                    raise ValueError(problem)
                found.records.append(record)
            except ValueError as error:
                found.unreadable.append(str(error))
    return found


def _record(content: Content, path: str, way_out: Callable[[object], str]) -> TrialRecord:
    data: Any = load(content, path)
    if isinstance(data, dict):
        if (schema := data.get("schema")) not in READABLE:
            raise ValueError(
                f"{path} has schema {schema}, this version reads {READABLE[0]} to {READABLE[-1]}; "
                f"{way_out(data.get('commit'))}"
            )
        data = current(data)
    return from_plain(TrialRecord, data, path)


def load(content: Content | None, path: str) -> object:
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
        if not isinstance(content, bytes):
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
