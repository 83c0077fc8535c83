"""The run directory: the only truth. Everything else can be rebuilt from it.

config.json                 the plan, before the first trial
planned.json                how many trials each study has, once that is known
trials/<id>/design.json     what a trial is to train, before it starts
trials/<id>/record.json     how it ended
trials/<id>/checkpoint.pt   while the trial runs
trials/<id>/weights.safetensors, predictions.parquet   finalists
records.parquet             a copy of finished trials (`nas.compacted`)
lease/<number>.json         who holds the run (`nas.lease`)
requests/<id>.json          what its holder is asked to do (`nas.requests`)
report.md, .html, .json, figures/   written from the records
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast

from nas import compacted
from nas.config import SearchConfig
from nas.efficiency.anchors import Anchor
from nas.reading import Found, found_in, load
from search_spaces.space import TaskShape
from trials.names import CHECKPOINT
from trials.plain import dumps, from_plain
from trials.recipe import Recipe
from trials.record import Trial, TrialRecord
from trials.reference import Task
from trials.storage import Storage, is_full


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpace:
    """A space as one task made it: the name in the configuration, its own name, its designs.

    `rejected`: share of designs that break the run's limits; `designs` leaves them out where they were
    counted (see `limits.weigh`).
    """

    task: str
    reference: str
    name: str
    designs: int
    rejected: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunTask:
    """A task as the run uses it.

    Attributes:
        task: what opens it, from any working directory.
        shape: of its inputs.
        mean, std: per channel, of the training rows: what inputs are normalised with.
        digest: of its rows.
        notes: what a reader should know before trusting numbers on it (`trials.description.notes`).
        origin, licence: of the data, if known.
        anchors: what needs no network, on its rows; empty in runs of before it was measured.
    """

    task: Task
    shape: TaskShape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    notes: tuple[str, ...] = ()
    origin: str = ""
    licence: str = ""
    anchors: tuple[Anchor, ...] = ()

    @property
    def name(self) -> str:
        """In the records."""
        return self.task.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What a plan was given after its run began.

    Attributes:
        ended: trials that had ended by then, whose errors may have been seen.
        changes: of fields of the configuration, in words.
    """

    ended: int
    changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """What was found out when the run began, so that it can be compared without its data or code.

    Attributes:
        id: eight hexadecimal digits, new for every run directory.
        created: Unix time.
        version: of the product.
        tracking_uri: of MLflow, None for the SQLite file in the run directory.
        recipe: what the configuration's recipe was.
        development, evaluation: names of the tasks that rules were tuned on and of those that judge; None in
            runs of before they were written down.
        grown: what the plan was given later, in that order.
    """

    id: str
    created: float
    version: str
    tracking_uri: str | None
    recipe: Recipe
    tasks: tuple[RunTask, ...]
    spaces: tuple[RunSpace, ...]
    development: tuple[str, ...] | None = None
    evaluation: tuple[str, ...] | None = None
    grown: tuple[Growth, ...] = ()


RESERVE = ".reserve"
"""Takes room on a disk while a run goes on, so that what has ended can be written down when it is full."""
RESERVED = 2**20
OWN = {"trials", "lease", "requests", "lost+found"}
"""What may be there before config.json is; also what begins with a dot."""
_HALF = re.compile(r"\.(records\.parquet|config\.json|run\.json|planned\.json|\.reserve)\.\w{8}")
"""Temporary files of objects that only the holder of a run writes."""


@dataclass(frozen=True, slots=True, init=False)
class RunDirectory:
    """Reads and writes one run.

    Attributes:
        storage: of its objects.
    """

    storage: Storage

    def __init__(self, where: Path | str) -> None:
        text = str(where)
        if not isinstance(where, str) and re.match(r"[a-z]+:/", text):
            raise ValueError(f"a URL is given as text, got the path {text}")
        root = text.rstrip("/") if "://" in text else str(Path(text))
        object.__setattr__(self, "storage", Storage(root))

    def __str__(self) -> str:
        return self.storage.root

    @property
    def path(self) -> Path | None:
        """Where it is on this machine; None in an object store."""
        return self.storage.folder

    @property
    def name(self) -> str:
        """The last part of where it is."""
        return str(self).rpartition("/")[2] if self.path is None else self.path.resolve().name

    def absolute(self) -> RunDirectory:
        """The same, from any working directory."""
        return self if self.path is None else RunDirectory(self.path.resolve())

    def folder(self, trial_id: str) -> Storage:
        """Where a trial keeps its objects."""
        return self.storage.below(f"trials/{trial_id}")

    def refuse_foreign(self) -> None:
        """
        Raises:
            ValueError: it is there, and neither holds a run nor is free for one.
        """
        if self.path is not None and self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self} is a file; take another --run-dir")
        names = {name for name in self.storage.top() if not name.startswith(".")}
        if "config.json" not in names and names - OWN:
            raise ValueError(f"{self} is not empty and holds no run; take another --run-dir")

    def reserve(self) -> None:
        """Take the room that `put_record` falls back on; nothing in an object store, or if it is taken.

        Raises:
            OSError: there is none left.
        """
        if self.full:
            self.storage.put(RESERVE, os.urandom(RESERVED))

    @property
    def full(self) -> bool:
        """Whether the reserve was used: a record met a full disk, and nothing new should begin."""
        return self.path is not None and not (self.path / RESERVE).exists()

    def has_plan(self) -> bool:
        """Whether there is a config.json."""
        return self.storage.get("config.json") is not None

    def config(self) -> SearchConfig:
        """The run's plan.

        Raises:
            ValueError: there is none, or it cannot be read.
        """
        return from_plain(SearchConfig, self._load("config.json"), "config.json")

    def info(self) -> RunInfo | None:
        """What was found out when the run began; None if it never got so far."""
        if (content := self._get("run.json")) is None:
            return None
        data = load(content, f"{self}/run.json")
        try:
            return from_plain(RunInfo, data, "run.json")
        except ValueError as error:
            raise ValueError(f"{self}: {error}; {self._way_out()}") from None

    def _way_out(self, commit: object = None) -> str:
        """What wrote a run that this version cannot read, and what to do."""
        try:
            data = self._load("run.json")
        except ValueError:
            data = None
        wrote = data.get("version", "?") if isinstance(data, dict) else "?"
        return (
            f"it was written by nas-flexconv {wrote}{f' (commit {commit})' if commit else ''}, and this is "
            f"{version('nas-flexconv')}: read it with what wrote it, or run again with another --run-dir"
        )

    def _get(self, name: str) -> bytes | OSError | None:
        try:
            return self.storage.get(name)
        except OSError as error:
            return error

    def _load(self, name: str) -> object:
        return load(self._get(name), f"{self}/{name}")

    def put(self, name: str, text: str) -> None:
        """Write an object so that a reader sees the old content or the new, never a part."""
        self.storage.put(name, text.encode())

    def put_planned(self, trials: Mapping[str, int]) -> None:
        """Write down how many trials each study has, by its name."""
        self.put("planned.json", json.dumps(trials, indent=1) + "\n")

    def planned(self) -> dict[str, int]:
        """Trials of each study, by its name; empty if the run never got so far, or cannot say."""
        try:
            found = self._load("planned.json")
        except ValueError:
            return {}
        sound = isinstance(found, dict) and all(type(count) is int for count in found.values())
        return cast(dict[str, int], found) if sound else {}

    def put_trial(self, trial: Trial) -> None:
        """Write down what is about to be trained."""
        self.put(f"trials/{trial.id}/design.json", dumps(trial))

    def put_record(self, record: TrialRecord) -> None:
        """Write down how a trial ended and drop its checkpoint, which nothing needs any more.

        On a full disk it takes the room of the reserve, see `full`.
        """
        name, text = f"trials/{record.trial.id}/record.json", dumps(record)
        try:
            self.put(name, text)
        except OSError as error:
            if self.full or not is_full(error):
                raise
            self.storage.remove(RESERVE)
            self.put(name, text)
        with suppress(OSError):  # the record is there; the next start removes it
            self.folder(record.trial.id).remove(CHECKPOINT)

    def read(self) -> Found:
        """Every trial that was ever issued and every record.

        Raises:
            OSError: the run cannot be listed.
        """
        return found_in(compacted.read(self.storage), str(self), self._way_out)

    def read_trials(self) -> tuple[list[Trial], list[str]]:
        """Every trial that was ever issued, by name, and one line for each that cannot be read."""
        found = self.read()
        return found.trials, found.damaged

    def read_records(self) -> tuple[list[TrialRecord], list[str]]:
        """Every record that can be read, and one line for each that cannot."""
        found = self.read()
        return found.records, found.unreadable

    def drop_orphans(self) -> None:
        """Remove what a killed writer left half written, and checkpoints of trials that have ended."""
        names = set(self.storage.names("trials/"))
        with suppress(OSError):
            for name in names:
                folder, _, last = name.rpartition("/")
                if last == CHECKPOINT and f"{folder}/record.json" in names:
                    self.storage.remove(name)
        if self.path is None:
            return
        half = (each for each in self.path.glob(".*") if _HALF.fullmatch(each.name))
        for leftover in (*half, *self.path.glob("trials/*/.*")):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def open_run(where: Path | str) -> RunDirectory:
    """An existing run.

    Raises:
        ValueError: there is no run at this path or URL.
    """
    directory = RunDirectory(where)
    if not directory.storage.top() & {"config.json", "trials"}:
        raise ValueError(f"{where} holds no run (no config.json, no trials/); nas run --run-dir makes one")
    return directory
