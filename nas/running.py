"""A run from its configuration to its report."""

from __future__ import annotations

import os
import statistics
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from nas.comparison import write_report
from nas.config import SearchConfig
from nas.efficiency import Comparison
from nas.progress import Progress
from nas.run_directory import (
    RunDirectory,
    RunInfo,
    RunSpace,
    RunTask,
    latest_run_path,
    new_run_path,
)
from nas.writer import Shown, Writer
from search_spaces import SPACES
from search_spaces.lookup import absolute, lookup
from trials.plain import dumps
from trials.record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """Where a run is and what it says.

    Attributes:
        path: the run directory.
        comparison: of all records in it.
        report: the report as HTML.
        tracking_uri: where MLflow has the trials.
        finished: False if the run was interrupted; the same call with `resume` goes on.
        overhead: seconds a slot spent per trial on anything but the trial, None before two trials ended.
    """

    path: Path
    comparison: Comparison
    report: Path
    tracking_uri: str
    finished: bool
    overhead: float | None


def run(
    config: SearchConfig,
    *,
    run_dir: Path | str | None = None,
    resume: bool = False,
    address: str | None = None,
    gpus_per_trial: float | None = None,
    tracking_uri: str | None = None,
    console: Console | None = None,
) -> RunResult:
    """Train what the configuration asks for, compare, and write the report.

    Args:
        config: the plan; written to the run directory before the first trial.
        run_dir: where everything is kept; default ``runs/NAME``, numbered if that is taken.
        resume: continue what is there (an empty directory is started).
        address: of a running Ray cluster; default: this machine.
        gpus_per_trial: share of an accelerator per trial; default: a whole one where there are any.
        tracking_uri: MLflow's; default: MLFLOW_TRACKING_URI, else SQLite in the run directory.
        console: where progress is shown; default: standard output.

    Raises:
        ValueError: something in the configuration or the data is wrong, or the directory holds another run.
    """
    console = console or Console()
    default = latest_run_path if resume else new_run_path
    directory = RunDirectory(Path(run_dir) if run_dir is not None else default(config.name))
    config.the_recipe()
    tasks = _open_tasks(config, console)
    spaces = _open_spaces(config, tasks)
    directory.start(config, resume)
    with directory.held():
        info = _info(directory, tasks, spaces, tracking_uri)
        return _run(config, directory, info, console, address, gpus_per_trial)


def _run(
    config: SearchConfig,
    directory: RunDirectory,
    info: RunInfo,
    console: Console,
    address: str | None,
    gpus_per_trial: float | None,
) -> RunResult:
    from nas.schedule import Source
    from nas.search import Event, execute

    progress = Progress(console)
    uri = tracking_address(directory, info)
    experiment = f"{config.name} {info.id}"
    local = directory.path / "mlartifacts" if info.tracking_uri is None else None
    writer = Writer(lambda: _open_store(uri, experiment, local), progress.say)

    def on_start(slots: int, records: list[TrialRecord]) -> None:
        for record in records:
            writer.ended(record)
        progress.start(slots, records)

    def on_news(events: list[Event], total: int) -> None:
        progress.total(total)
        for _, trial, content in events:
            if isinstance(content, TrialRecord):
                writer.ended(content)
                progress.ended(content)
            else:
                writer.epoch(trial, content)
                progress.epoch(trial, content)
        progress.show()

    sources = tuple(Source(task.source, task.name) for task in info.tasks)
    shapes = {task.name: task.shape for task in info.tasks}
    began = time.time()
    try:
        finished = execute(
            config,
            sources,
            shapes,
            directory,
            address=address,
            gpus_per_trial=gpus_per_trial,
            on_start=on_start,
            on_news=on_news,
        )
    finally:
        progress.stop()
    comparison, files = write_report([directory])
    records = directory.read_records()[0]
    studies = {record.trial.study for record in records} if finished else set()
    writer.close(files, sorted(studies, key=lambda study: study.name))
    return RunResult(
        path=directory.path,
        comparison=comparison,
        report=directory.path / "report.html",
        tracking_uri=uri,
        finished=finished,
        overhead=_overhead([record for record in records if record.started >= began]),
    )


def _open_store(uri: str, experiment: str, artifacts: Path | None) -> Shown:
    from nas.tracking import Store

    return Store(uri, experiment, artifacts)


def tracking_address(directory: RunDirectory, info: RunInfo) -> str:
    """MLflow's tracking URI of a run."""
    return info.tracking_uri or f"sqlite:///{(directory.path / 'mlflow.db').resolve()}"


def _open_tasks(config: SearchConfig, console: Console) -> tuple[RunTask, ...]:
    from trials.task import open_task

    tasks = []
    for reference in config.tasks:
        source = absolute(reference)
        task = open_task(source, config.rows)
        console.print(
            f"task {task.name}: {task.shape}, {task.shape.classes} classes, {len(task.train)} training, "
            f"{len(task.select)} + {len(task.report)} validation rows",
            soft_wrap=True,
            highlight=False,
        )
        tasks.append(
            RunTask(
                name=task.name,
                reference=reference,
                source=source,
                shape=task.shape,
                mean=tuple(map(float, task.mean)),
                std=tuple(map(float, task.std)),
                digest=task.digest,
            )
        )
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError(f"two tasks have the same name in records: {', '.join(names)}; rename a directory")
    return tuple(tasks)


def _open_spaces(config: SearchConfig, tasks: tuple[RunTask, ...]) -> tuple[RunSpace, ...]:
    found = []
    for task in tasks:
        for reference in config.all_spaces:
            space = lookup("space", absolute(reference), SPACES)(task.shape)
            found.append(RunSpace(task=task.name, reference=reference, name=space.name, designs=space.size))
            if reference in (config.single, *config.defaults) and not space.single:
                raise ValueError(
                    f"{reference} has {space.size} designs on {task.name}; "
                    "single and defaults name spaces that have one"
                )
    return tuple(found)


def _info(
    directory: RunDirectory,
    tasks: tuple[RunTask, ...],
    spaces: tuple[RunSpace, ...],
    tracking_uri: str | None,
) -> RunInfo:
    """What run.json holds; made now if the run is new.

    Raises:
        ValueError: a task's rows are not those the run began with.
    """
    if (known := directory.info()) is not None:
        digests: Mapping[str, str] = {task.name: task.digest for task in known.tasks}
        for task in tasks:
            if digests.get(task.name) != task.digest:
                raise ValueError(
                    f"the rows of {task.name} are not those this run began with (digest {task.digest[:12]}, "
                    f"was {str(digests.get(task.name))[:12]}); take another --run-dir"
                )
        return known
    info = RunInfo(
        id=uuid.uuid4().hex[:8],
        created=time.time(),
        version=version("nas-flexconv"),
        tracking_uri=_checked_uri(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")),
        tasks=tasks,
        spaces=spaces,
    )
    directory.put("run.json", dumps(info))
    return info


def _checked_uri(uri: str | None) -> str | None:
    parts = urlsplit(uri or "")
    if parts.scheme in ("http", "https") and (parts.username or parts.password):
        raise ValueError(
            "the tracking URI must hold no user or password, since it is written down; "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    return uri or None


def _overhead(records: list[TrialRecord]) -> float | None:
    """Median seconds from a trial's start to the next one's on the same slot, less the trial's own."""
    spent = []
    for slot in {(record.host, record.process) for record in records}:
        ours = sorted((r for r in records if (r.host, r.process) == slot), key=lambda r: r.started)
        spent += [later.started - earlier.started - wall(earlier) for earlier, later in pairwise(ours)]
    return statistics.median(spent) if spent else None


def wall(record: TrialRecord) -> float:
    """Seconds a trial accounts for."""
    return record.seconds_setup + record.seconds_training + record.seconds_evaluation
