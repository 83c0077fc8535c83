"""The run directory: the only truth. Everything else can be rebuilt from it.

config.json                 the plan, before the first trial
planned.json                how many trials each study has, once that is known
trials/<id>/design.json     what a trial is to train, before it starts
trials/<id>/record.json     how it ended
trials/<id>/checkpoint.pt   while the trial runs
trials/<id>/weights.safetensors, predictions.parquet   finalists
report.md, .html, .json, figures/   written from the records
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast

from nas.config import SearchConfig, first_difference
from nas.efficiency.anchors import Anchor
from nas.reading import load, refuse_contradiction
from search_spaces.space import TaskShape
from trials.plain import dumps, from_plain
from trials.recipe import Recipe
from trials.record import READABLE, Trial, TrialRecord, current
from trials.reference import Task


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


LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Reads and writes one run. Every object is written whole, under a temporary name, then renamed."""

    path: Path

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    def folder(self, trial_id: str) -> Path:
        """Where a trial keeps its files."""
        return self.trials / trial_id

    @contextmanager
    def claimed(self, config: SearchConfig, resume: bool) -> Iterator[None]:
        """Hold the directory for a configuration; made if it is not there.

        Raises:
            ValueError: it holds another run, or a run of this configuration and `resume` is not set, or
                another process on this machine is running in it, or it cannot be written.
        """
        self._refuse_foreign()
        text = dumps(config)
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / LOCK, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise ValueError(f"{self.path} cannot be written: {error.strerror or error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"another process is running {self.path}; wait for it or stop it") from None
            if (self.path / "config.json").exists():
                self._refuse_other(config, resume)
            else:
                self.put("config.json", text)
            yield

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file; take another --run-dir")
        names = {each.name for each in self.path.iterdir()} if self.path.exists() else set()
        if "config.json" not in names and names - {"trials", LOCK}:
            raise ValueError(f"{self.path} is not empty and holds no run; take another --run-dir")

    def _refuse_other(self, config: SearchConfig, resume: bool) -> None:
        if difference := first_difference(config, self.config()):
            raise ValueError(
                f"{self.path} holds a run of another configuration: {difference}; "
                "take another --run-dir, or the same configuration, or remove the directory"
            )
        if not resume:
            raise ValueError(f"{self.path} already holds this run; continue it with --resume")

    def config(self) -> SearchConfig:
        """The run's plan.

        Raises:
            ValueError: there is none, or it cannot be read.
        """
        return from_plain(SearchConfig, load(self.path / "config.json"), "config.json")

    def info(self) -> RunInfo | None:
        """What was found out when the run began; None if it never got so far."""
        if not (self.path / "run.json").exists():
            return None
        data = load(self.path / "run.json")
        try:
            return from_plain(RunInfo, data, "run.json")
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}; {self._way_out()}") from None

    def _way_out(self, commit: object = None) -> str:
        """What wrote a run that this version cannot read, and what to do."""
        try:
            data = load(self.path / "run.json")
        except ValueError:
            data = None
        wrote = data.get("version", "?") if isinstance(data, dict) else "?"
        return (
            f"it was written by nas-flexconv {wrote}{f' (commit {commit})' if commit else ''}, and this is "
            f"{version('nas-flexconv')}: read it with what wrote it, or run again with another --run-dir"
        )

    def put(self, name: str, text: str) -> None:
        """Write a file so that a reader sees the old content or the new, never a part."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def put_planned(self, trials: Mapping[str, int]) -> None:
        """Write down how many trials each study has, by its name."""
        self.put("planned.json", json.dumps(trials, indent=1) + "\n")

    def planned(self) -> dict[str, int]:
        """Trials of each study, by its name; empty if the run never got so far, or cannot say."""
        try:
            found = load(self.path / "planned.json")
        except ValueError:
            return {}
        sound = isinstance(found, dict) and all(type(count) is int for count in found.values())
        return cast(dict[str, int], found) if sound else {}

    def put_trial(self, trial: Trial) -> None:
        """Write down what is about to be trained."""
        self.put(f"trials/{trial.id}/design.json", dumps(trial))

    def put_record(self, record: TrialRecord) -> None:
        """Write down how a trial ended and drop its checkpoint, which nothing needs any more."""
        self.put(f"trials/{record.trial.id}/record.json", dumps(record))
        (self.folder(record.trial.id) / "checkpoint.pt").unlink(missing_ok=True)

    def read_trials(self) -> tuple[list[Trial], list[str]]:
        """Every trial that was ever issued, by name, and one line for each that cannot be read."""
        trials, unreadable = [], []
        for path in self._glob("design.json"):
            try:
                trials.append(from_plain(Trial, load(path), str(path)))
            except ValueError as error:
                unreadable.append(str(error))
        return trials, unreadable

    def read_records(self) -> tuple[list[TrialRecord], list[str]]:
        """Every record that can be read, and one line for each that cannot."""
        records, unreadable = [], []
        for path in self._glob("record.json"):
            try:
                data = load(path)
                if isinstance(data, dict):
                    if (schema := data.get("schema")) not in READABLE:
                        raise ValueError(
                            f"{path} has schema {schema}, this version reads "
                            f"{READABLE[0]} to {READABLE[-1]}; {self._way_out(data.get('commit'))}"
                        )
                    data = current(data)
                record = from_plain(TrialRecord, data, str(path))
                refuse_contradiction(path, record)
                records.append(record)
            except ValueError as error:
                unreadable.append(str(error))
        return records, unreadable

    def _glob(self, name: str) -> list[Path]:
        return sorted(self.trials.glob(f"*/{name}"))

    def drop_orphans(self) -> None:
        """Remove what a killed writer left half written."""
        for leftover in self.path.glob("trials/*/.*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def open_run(path: Path | str) -> RunDirectory:
    """An existing run.

    Raises:
        ValueError: there is no run at this path.
    """
    directory = RunDirectory(Path(path))
    if not (directory.path / "config.json").exists() and not directory.trials.is_dir():
        raise ValueError(f"{path} holds no run (no config.json, no trials/); nas run --run-dir makes one")
    return directory


RUNS = Path("runs")


def new_run_path(name: str) -> Path:
    """The next free of ``runs/NAME``, ``runs/NAME-2``, ..."""
    return _numbered(name, taken=False)


def latest_run_path(name: str) -> Path:
    """The last used of ``runs/NAME``, ``runs/NAME-2``, ..., or ``runs/NAME``."""
    return _numbered(name, taken=True)


def _numbered(name: str, taken: bool) -> Path:
    numbers = {1} if (RUNS / name).exists() else set()
    for path in RUNS.glob(f"{name}-*"):
        if (suffix := path.name.removeprefix(f"{name}-")).isdecimal():
            numbers.add(int(suffix))
    number = max(numbers, default=0 if not taken else 1) + (0 if taken else 1)
    return RUNS / (name if number == 1 else f"{name}-{number}")
