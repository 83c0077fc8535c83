"""A run from its configuration to its report."""

from __future__ import annotations

import os
import statistics
import time
import uuid
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from nas.board import Event
from nas.comparison import roles, write_report
from nas.config import SearchConfig
from nas.efficiency import Comparison
from nas.efficiency.anchors import Anchor
from nas.lease import take
from nas.limits import weigh
from nas.open_space import open_spaces
from nas.progress import Progress, decoding
from nas.run_directory import (
    RunDirectory,
    RunInfo,
    RunSpace,
    RunTask,
)
from nas.run_paths import latest_run_path, new_run_path
from nas.tracking_place import experiment_of, tracking_address, tracking_folder
from nas.writer import Shown, Writer
from trials.description import FEW_ROWS, notes
from trials.finding import everywhere
from trials.plain import dumps
from trials.record import Study, TrialRecord
from trials.task import TaskData, open_task


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """Where a run is and what it says.

    Attributes:
        path: the run directory; a URL if that was given.
        comparison: of all records in it.
        report: the report as HTML.
        tracking_uri: where MLflow has the trials.
        finished: False if the run was interrupted; the same call with `resume` goes on.
        overhead: seconds a slot spent per trial on anything but the trial, None before two trials ended.
    """

    path: Path | str
    comparison: Comparison
    report: Path | str
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
        run_dir: where everything is kept, a path or a URL; default ``runs/NAME``, numbered if taken.
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
    directory = RunDirectory(run_dir if run_dir is not None else default(config.name))
    uri = _checked_uri(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"))
    recipe = config.the_recipe()
    tasks = _open_tasks(config, console)
    spaces = _open_spaces(config, tasks)
    development, evaluation = roles(config, (each.task for each in tasks))
    with directory.claimed(config, resume):
        new = RunInfo(
            id=uuid.uuid4().hex[:8],
            created=time.time(),
            version=version("nas-flexconv"),
            tracking_uri=uri,
            recipe=recipe,
            tasks=tasks,
            spaces=spaces,
            development=development,
            evaluation=evaluation,
        )
        info = _continued(directory, new)
        if directory.info() is None:  # last, since it takes minutes on many rows
            info = replace(info, tasks=tuple(_with_anchors(task, console) for task in info.tasks))
        directory.put("run.json", dumps(info))
        return _run(config, directory, info, console, address, gpus_per_trial)


def _run(
    config: SearchConfig,
    directory: RunDirectory,
    info: RunInfo,
    console: Console,
    address: str | None,
    gpus_per_trial: float | None,
) -> RunResult:
    from nas.search import execute

    progress = Progress(console)
    uri = tracking_address(directory, info)
    experiment = experiment_of(directory, info)
    local = tracking_folder(directory, info) / "mlartifacts" if info.tracking_uri is None else None
    writer = Writer(lambda: _open_store(uri, experiment, local, directory), progress.say)

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

    tasks = tuple(each.task for each in info.tasks)
    shapes = {task.name: task.shape for task in info.tasks}
    began = time.time()
    studies: list[Study] = []
    files: dict[str, str] = {}
    try:
        try:
            with take(directory.storage, progress.say) as lease:
                ended = execute(
                    config,
                    tasks,
                    shapes,
                    directory,
                    lease=lease,
                    address=address,
                    gpus_per_trial=gpus_per_trial,
                    on_start=on_start,
                    on_news=on_news,
                    say=progress.say,
                )
                finished = ended.how == "finished"
        finally:
            progress.stop()
        comparison, files, _ = write_report([directory])
        records = directory.read_records()[0]
        for record in records:  # whatever was not shown yet is shown from the records
            writer.ended(record)
        if finished:
            studies = sorted({record.trial.study for record in records}, key=lambda study: study.name)
    finally:
        writer.close(files, studies)
    return RunResult(
        path=directory.path or str(directory),
        comparison=comparison,
        report=f"{directory}/report.html" if directory.path is None else directory.path / "report.html",
        tracking_uri=uri,
        finished=finished,
        overhead=_overhead([record for record in records if record.started >= began]),
    )


def _open_store(uri: str, experiment: str, artifacts: Path | None, directory: RunDirectory) -> Shown:
    from nas.tracking import Store

    return Store(uri, experiment, artifacts, directory.folder)


def _open_tasks(config: SearchConfig, console: Console) -> tuple[RunTask, ...]:
    found = []
    for asked in config.the_tasks():
        task = everywhere(asked)
        with decoding(console, str(asked)) as progress:
            data = open_task(task, progress)
        splits = config.splits if data.learning_rows < FEW_ROWS else 1
        for seed in range(task.split, task.split + splits):
            data = data if seed == task.split else open_task(replace(task, split=seed))
            found.append(_shown(data, console))
    names = [Study(task=task.name, space="", kind="search").name for task in found]
    if len(set(names)) < len(names):
        named = ", ".join(task.name for task in found)
        raise ValueError(f"two tasks have the same name in file names: {named}; rename a directory")
    return tuple(found)


def _with_anchors(task: RunTask, console: Console) -> RunTask:
    from trials.baselines import baselines

    console.print(f"task {task.name}: fitting what needs no network", soft_wrap=True, highlight=False)
    anchors = (
        Anchor(name=each.name, error=each.report_error, seconds=each.seconds, note=each.note)
        for each in baselines(open_task(task.task))
    )
    return replace(task, anchors=tuple(anchors))


def _shown(data: TaskData, console: Console) -> RunTask:
    lines = [
        f"task {data.name}: {data.shape}, {data.shape.classes} classes, {len(data.train)} training, "
        f"{len(data.select)} + {len(data.report)} validation rows",
        *(f"  note: {text}" for text in notes(data)),
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return RunTask(
        task=data.task,
        shape=data.shape,
        mean=data.mean,
        std=data.std,
        digest=data.digest,
        notes=tuple(notes(data)),
        origin=data.origin,
        licence=data.licence,
    )


def _open_spaces(config: SearchConfig, tasks: tuple[RunTask, ...]) -> tuple[RunSpace, ...]:
    found = []
    for task in tasks:
        for reference, space in open_spaces(config, task.shape).items():
            if reference in (config.single, *config.defaults) and not space.single:
                raise ValueError(
                    f"{reference} has {space.size} designs on {task.name}; "
                    "single and defaults name spaces that have one"
                )
            limits = () if reference in config.following else config.constraints
            designs, rejected = weigh(space, task.shape, limits)
            found.append(
                RunSpace(
                    task=task.name, reference=reference, name=space.name, designs=designs, rejected=rejected
                )
            )
    if config.single not in config.spaces:
        raise ValueError(
            f"spaces must hold the single design {config.single}, got {', '.join(config.spaces)}; "
            "add it, or name another with --set single="
        )
    names = [(space.task, space.name) for space in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two spaces have the same name in records: {', '.join(n for _, n in names)}")
    return tuple(found)


def _continued(directory: RunDirectory, new: RunInfo) -> RunInfo:
    """What run.json should hold: what it held, with the tracking URI of this call if it names one.

    Raises:
        ValueError: data, spaces or recipe behind the same names are not those the run began with.
    """
    known = directory.info()
    if known is None:
        return new
    for what, before, now in (
        ("rows of a task", {t.name: t.digest for t in known.tasks}, {t.name: t.digest for t in new.tasks}),
        ("designs of a space", known.spaces, new.spaces),
        ("recipe", known.recipe, new.recipe),
    ):
        if before != now:
            raise ValueError(
                f"the {what} changed since {directory} began: {before} then, {now} now; "
                "take another --run-dir"
            )
    return replace(known, tracking_uri=new.tracking_uri or known.tracking_uri)


def _checked_uri(uri: str | None) -> str | None:
    parts = urlsplit(uri or "")
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        raise ValueError(
            "the tracking URI must hold no user or password, since it is written down; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD and give the address of an MLflow server"
        )
    return uri or None


def _overhead(records: list[TrialRecord]) -> float | None:
    """Median seconds from a trial's start to the next one's on the same slot, less the trial's own."""
    spent = []
    for slot in {(record.host, record.process) for record in records}:
        ours = sorted((r for r in records if (r.host, r.process) == slot), key=lambda r: r.started)
        spent += [later.started - earlier.started - earlier.wall for earlier, later in pairwise(ours)]
    return statistics.median(spent) if spent else None
