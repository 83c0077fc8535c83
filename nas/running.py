"""A run from its configuration to its report."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from nas.compacted import Compaction
from nas.comparison import write_report
from nas.config import SearchConfig
from nas.efficiency import Comparison
from nas.growing import lacking, merged, with_growth
from nas.interrupt import Asked, Ended, asked_to_stop
from nas.lease import Held, holder, take
from nas.logged_models import log_finalists
from nas.open_space import everywhere
from nas.opening import continued, opened, with_anchors
from nas.patience import Patience
from nas.progress import Progress
from nas.rebuilding import at_the_end
from nas.run_directory import RunDirectory, RunInfo
from nas.run_paths import latest_run_path, new_run_path
from nas.steering import Reins, ask_to_grow, write_plan
from nas.tracked import Closing
from nas.tracking_place import artifact_folder, checked_uri, experiment_of, tracking_address
from nas.writer import HURRIED, LONGEST_CLOSE, PATIENCE, Shown, Writer
from trials.record import TrialRecord

UNANSWERED = "the process that runs it has not said yet whether it takes on what is new"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """Where a run is and what it says.

    Attributes:
        path: the run directory; a URL if that was given.
        comparison: of all records in it.
        report: the report as HTML.
        tracking_uri: where MLflow has the trials.
        ended: what ended it (`how`, `reason`); None if another process runs it and has taken on this
            configuration as well; "preempted" if that one was asked and has not answered.
        overhead: seconds a slot spent per trial on anything but the trial, None before two trials ended.
    """

    path: Path | str
    comparison: Comparison
    report: Path | str
    tracking_uri: str
    ended: Ended | None
    overhead: float | None

    @property
    def finished(self) -> bool:
        """Whether every planned trial has ended; if not, the same call with `resume` goes on."""
        return self.ended is not None and self.ended.how == "finished"


def run(
    config: SearchConfig,
    *,
    run_dir: Path | str | None = None,
    resume: bool = False,
    address: str | None = None,
    gpus_per_trial: float | Literal["auto"] | None = None,
    tracking_uri: str | None = None,
    console: Console | None = None,
) -> RunResult:
    """Train what the configuration asks for, compare, and write the report.

    Args:
        config: the plan; written to the run directory before the first trial.
        run_dir: where everything is kept, a path or a URL; default ``runs/NAME``, numbered if taken.
        resume: continue what is there (an empty directory is started), also with a larger configuration
            (`nas.growing`). If another process runs it, that one is asked to cover the larger one.
        address: of a running Ray cluster; default: this machine.
        gpus_per_trial: share of an accelerator per trial; "auto": by the memory that trials were measured to
            need; default: a whole one where there are any.
        tracking_uri: MLflow's; default: MLFLOW_TRACKING_URI, else SQLite in the run directory.
        console: where progress is shown; default: standard output.

    Raises:
        ValueError: something in the configuration or the data is wrong, the directory holds another run, or
            another process runs it (`nas.lease.Held`) and there is nothing to add.
        RuntimeError: no trial can run, or another process has taken the run over.
        SystemExit, KeyboardInterrupt: a signal came before the run was in hand.
    """
    console = console or Console()
    with asked_to_stop(lambda line: console.print(Text(line), soft_wrap=True)) as asked:
        default = latest_run_path if resume else new_run_path
        directory = RunDirectory(run_dir if run_dir is not None else default(config.name))
        uri = checked_uri(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"))
        config.the_recipe()
        config = everywhere(config)
        while True:
            result = _tried(directory, config, resume, uri, console, asked, address, gpus_per_trial)
            if result is not None:
                return result


def _tried(
    directory: RunDirectory,
    config: SearchConfig,
    resume: bool,
    uri: str | None,
    console: Console,
    asked: Asked,
    address: str | None,
    gpus_per_trial: float | Literal["auto"] | None,
) -> RunResult | None:
    """Run it, or ask who runs it to cover this; None if that one ended meanwhile."""
    there = _there(directory)
    plan, info = _prepared(directory, there, config, resume, uri, console)
    try:
        lease = take(directory.absolute().storage, lambda line: console.print(line, soft_wrap=True))
    except Held as held:
        if there is None or plan == there:
            raise
        console.print(f"{held}; it is asked to take on what is new", soft_wrap=True, highlight=False)
        taken_on = ask_to_grow(directory, config)
        if not taken_on and holder(directory.storage) is None:
            return None
        console.print("it has taken that on" if taken_on else "no answer yet; what is asked stays asked")
        asked.begun = True
        return _elsewhere(directory, None if taken_on else Ended(how="preempted", reason=UNANSWERED))
    except OSError as error:
        raise ValueError(f"{directory} cannot be written: {error.strerror or error}") from error
    with lease:
        asked.begun = True
        if (latest := _there(directory)) != there:  # who held it before has changed the plan meanwhile
            plan, info = _prepared(directory, latest, config, resume, uri, console)
        write_plan(directory, plan, info, lease)
        reins = Reins(directory, plan, info, lease, console)
        result = _run(reins, console, asked, address, gpus_per_trial)
        while _goes_on(reins, result.ended):
            result = _run(reins, console, asked, address, gpus_per_trial)  # it grew after its last trial
        return result


def _goes_on(reins: Reins, ended: Ended | None) -> bool:
    """Whether the run has grown since its last trial ended. What a signal ended keeps requests."""
    if ended is None or ended.how in ("interrupted", "preempted"):
        return False
    return reins.after(grows=ended.how != "stopped")


def _there(directory: RunDirectory) -> SearchConfig | None:
    """The plan that the directory holds; None if a run may begin there.

    Raises:
        ValueError: it holds something else.
    """
    directory.refuse_foreign()
    return directory.config() if directory.has_plan() else None


def _prepared(
    directory: RunDirectory,
    there: SearchConfig | None,
    config: SearchConfig,
    resume: bool,
    uri: str | None,
    console: Console,
) -> tuple[SearchConfig, RunInfo]:
    """The plan and what it opens to; nothing is written.

    Raises:
        ValueError: it cannot be run, or not here.
    """
    plan = config
    if there is not None:
        try:
            plan = merged(there, config)
        except ValueError as error:
            raise ValueError(f"{directory} holds a run of another configuration: {error}") from None
        if not resume:
            raise ValueError(f"{directory} already holds this run; continue it with --resume")
        for line in lacking(there, config):
            console.print(f"{line}: the plan of {directory} stands", soft_wrap=True, highlight=False)
    info = continued(directory.info(), opened(plan, uri, console), str(directory))
    if there is not None and plan != there:
        info = with_growth(info, there, plan, len(directory.read_records()[0]))
    return plan, info


def _elsewhere(directory: RunDirectory, ended: Ended | None) -> RunResult:
    """Of a run that another process holds."""
    info = directory.info()
    if info is None:
        raise ValueError(f"{directory} is being started by another process; repeat the command in a minute")
    return _result(directory, info, write_report([directory]).comparison, ended, None)


def _result(
    directory: RunDirectory,
    info: RunInfo,
    comparison: Comparison,
    ended: Ended | None,
    overhead: float | None,
) -> RunResult:
    return RunResult(
        path=directory.path or str(directory),
        comparison=comparison,
        report=f"{directory}/report.html" if directory.path is None else directory.path / "report.html",
        tracking_uri=tracking_address(directory, info),
        ended=ended,
        overhead=overhead,
    )


def _run(
    reins: Reins,
    console: Console,
    asked: Asked,
    address: str | None,
    gpus_per_trial: float | Literal["auto"] | None,
) -> RunResult:
    from nas.messages import Event
    from nas.search import execute

    directory, progress = reins.directory, Progress(console)
    reins.before()
    uri = tracking_address(directory, reins.info)
    experiment = experiment_of(directory, reins.info)
    writer = Writer(lambda: _open_store(uri, experiment, reins), progress.say)

    compaction = Compaction(directory.absolute().storage, progress.say)

    def on_start(slots: int, records: list[TrialRecord]) -> None:
        for record in records:
            writer.ended(record)
        progress.start(slots, records)

    def on_news(events: list[Event], total: int) -> None:
        progress.total(total)
        for _, trial, content in events:
            if isinstance(content, TrialRecord):
                compaction.ended()
                writer.ended(content)
                progress.ended(content)
            elif isinstance(content, int):
                writer.kept(trial, content)
            else:
                writer.epoch(trial, content)
                progress.epoch(trial, content)
        progress.show()

    tasks = tuple(each.task for each in reins.info.tasks)
    shapes = {each.name: each.shape for each in reins.info.tasks}
    began = time.time()
    last: Closing | None = None
    try:
        if reins.stopped:
            ended = Ended(how="stopped", reason=reins.stopped)
        elif asked.how:
            ended = Ended(how=asked.how)
        else:
            try:
                ended = execute(
                    reins.config,
                    tasks,
                    shapes,
                    directory.absolute(),
                    lease=reins.lease,
                    asked=asked,
                    address=address,
                    gpus_per_trial=gpus_per_trial,
                    on_start=on_start,
                    on_news=on_news,
                    on_tick=reins.tick,
                    say=progress.say,
                )
            finally:
                progress.stop()
        if ended.how not in ("interrupted", "preempted"):
            compaction.close()
            _fit_anchors(reins, asked, console)  # last, so that it keeps no trial waiting
            if asked.how:
                ended = Ended(how=asked.how, reason=ended.reason)
        comparison = write_report([directory]).comparison
        found = directory.read()
        records = found.records
        for record in records:  # whatever was not shown yet is shown from the records
            writer.ended(record)
        over = {record.trial.id for record in records}
        for trial in found.trials:
            if trial.id not in over:
                writer.waiting(trial, reins.info.created)
        last = at_the_end(directory, found)
    finally:
        taken = writer.close(last, HURRIED if asked.how else PATIENCE)
    if taken and ended.how == "finished":
        ask = Patience(PATIENCE, LONGEST_CLOSE, lambda: bool(asked.how))
        log_finalists(directory, reins.info, uri, progress.say, ask)
    overhead = _overhead([record for record in records if record.started >= began])
    return _result(directory, reins.info, comparison, ended, overhead)


def _fit_anchors(reins: Reins, asked: Asked, console: Console) -> None:
    for number, task in enumerate(reins.info.tasks):
        if not task.anchors and not asked.how:
            tasks = list(reins.info.tasks)
            tasks[number] = with_anchors(task, console)
            reins.write(replace(reins.info, tasks=tuple(tasks)))


def _open_store(uri: str, experiment: str, reins: Reins) -> Shown:
    from nas.tracking import Store

    place = artifact_folder(uri, reins.directory, reins.info)
    return Store(uri, experiment, place, reins.directory.folder, lambda: reins.info)


def _overhead(records: list[TrialRecord]) -> float | None:
    """Median seconds from a trial's start to the next one's on the same slot, less the trial's own."""
    spent = []
    for slot in {(record.host, record.process) for record in records}:
        ours = sorted((r for r in records if (r.host, r.process) == slot), key=lambda r: r.started)
        spent += [later.started - earlier.started - earlier.wall for earlier, later in pairwise(ours)]
    return statistics.median(spent) if spent else None
