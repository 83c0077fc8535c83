"""Trials over a Ray cluster: the only file that knows Ray.

Ray Tune keeps one long trial per slot, in one kept process: it places the slot on a node, gives it its
share of a device, and starts it again when its process dies. What a slot trains is not Tune's business:
the slot asks the board, an actor beside the driver that holds the `Schedule` and writes the run
directory, for one design after another. (Why: docs/decisions/0001-slots.md.)
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

os.environ.update(  # read when Ray is imported
    RAY_USAGE_STATS_ENABLED="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
)
os.environ.setdefault("RAY_AUTH_MODE", "token")  # also to a cluster that was started by hand

import ray
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.config import SearchConfig
from nas.interrupt import asked_to_stop
from nas.open_space import open_spaces
from nas.run_directory import RunDirectory
from nas.schedule import Schedule, Verdict, failed_record
from nas.studies import Wait
from search_spaces.space import TaskShape
from trials.record import EpochMetrics, Trial, TrialRecord
from trials.reference import Task
from trials.task import TaskData

Event = tuple[Literal["started", "epoch", "ended"], Trial, EpochMetrics | TrialRecord | None]
POLL_SECONDS = 0.25
MAX_DEATHS = 100
"""Times a slot's process may die; a design that kills its worker is given up after three."""


class Board:
    """What the slots ask: the schedule, behind an actor, with the events the driver shows."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._broken = ""

    def start(
        self,
        config: SearchConfig,
        tasks: tuple[Task, ...],
        shapes: dict[str, TaskShape],
        directory: RunDirectory,
    ) -> list[TrialRecord]:
        """Make the schedule, apart from the constructor so that its errors reach the driver as they are.

        Returns:
            the records that were there before.
        """
        spaces = {
            (task.name, name): space
            for task in tasks
            for name, space in open_spaces(config, shapes[task.name]).items()
        }
        self._schedule = Schedule(config, tasks, spaces, shapes, directory)
        return list(self._schedule.records.values())

    def next(self, slot: int) -> Trial | Wait | None:
        trial = self._schedule.next(slot)
        if isinstance(trial, Trial):
            self._events.append(("started", trial, None))
        return trial

    def report(self, trial: Trial, metrics: EpochMetrics) -> Verdict:
        self._events.append(("epoch", trial, metrics))
        return self._schedule.report(trial, metrics)

    def finish(self, slot: int, record: TrialRecord) -> None:
        self._schedule.finish(slot, record)
        self._events.append(("ended", record.trial, record))

    def pause(self, broken: str = "") -> None:
        self._schedule.paused = True
        self._broken = self._broken or broken

    def news(self) -> tuple[list[Event], int, int, str]:
        """Events since the last call, trials that ended and are planned, and why nothing can run, if so."""
        events, self._events = self._events, []
        return events, self._schedule.ended, self._schedule.total, self._broken


def work(slot: dict[str, int], board: Any, directory: RunDirectory, threads: int, share: float) -> None:
    """A slot: one trial after another until the board has none left.

    Args:
        slot: its number, as Tune hands it over.
        board: the `Board` actor.
        directory: the run's, from any working directory.
        threads: processors of one trial.
        share: of an accelerator; 1 without one.
    """
    number = slot["slot"]
    try:
        import torch

        from nas.finalists import train_and_test

        torch.set_num_threads(threads)
        rates = directory.config().rates
        while (trial := ray.get(board.next.remote(number))) is not None:
            if trial == "wait":
                time.sleep(POLL_SECONDS)
                continue
            report, folder = partial(_report, board, trial), directory.folder(trial.id)
            try:
                record = train_and_test(trial, _open(trial.task, directory), report, folder, share, rates)
            except Exception:
                record = replace(failed_record(trial, _reason(), folder), device_share=share)
            if record is not None:
                ray.get(board.finish.remote(number, record))
    except Exception:
        ray.get(board.pause.remote(_reason()))


def _report(board: Any, trial: Trial, metrics: EpochMetrics) -> Verdict:
    verdict: Verdict = ray.get(board.report.remote(trial, metrics))
    return verdict


@cache  # studies take turns, and rows are memory maps
def _open(task: Task, directory: RunDirectory) -> TaskData:
    """A task on this machine, which may have a copy of the data of its own.

    Raises:
        ValueError: its rows are not those with which the run began.
    """
    from trials.task import open_task

    data, run = open_task(task), directory.info()
    for began in run.tasks if run else ():
        if began.task == task and began.digest != data.digest:
            raise ValueError(
                f"the data of {task} on {platform.node()} are not those the run began with: digest "
                f"{data.digest}, in run.json {began.digest}; give every machine the same data"
            )
    return data


def _reason() -> str:
    text = traceback.format_exc().strip()
    return f"{text.splitlines()[-1]}\n{text}"


class _Quiet(TrialProgressCallback):
    """Tune would print a line for every slot; the run shows its own progress."""

    def _print(self, msg: str) -> None: ...
    def log_result(self, trial: object, result: object, error: bool = False) -> None: ...


def execute(
    config: SearchConfig,
    tasks: tuple[Task, ...],
    shapes: dict[str, TaskShape],
    directory: RunDirectory,
    *,
    address: str | None,
    gpus_per_trial: float | None,
    on_start: Callable[[int, list[TrialRecord]], None],
    on_news: Callable[[list[Event], int], None],
    say: Callable[[str], None],
) -> bool:
    """Run what is left of a run.

    Args:
        config, tasks, shapes, directory: the run; the directory is started and held.
        address: of a running cluster, None to start one on this machine (or use RAY_ADDRESS).
        gpus_per_trial: share of an accelerator for each trial; None: a whole one where there are any.
        on_start: called once with the number of slots and the records that were there already.
        on_news: called a few times a second with new events and the number of planned trials.
        say: one line for the user.

    Returns:
        False if it was interrupted; running trials have then saved a checkpoint.

    Raises:
        ValueError: the cluster cannot be reached or is too small for one trial.
        RuntimeError: the slots cannot work at all; the message holds their traceback.
    """
    with asked_to_stop(say) as asked:
        ours = _connect(address)
        storage = tempfile.mkdtemp(prefix="nas-tune-")
        try:
            slots, gpus = _slots(config.cpus_per_trial, gpus_per_trial)
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            actor: Any = ray.remote(Board)
            board = actor.options(num_cpus=0, scheduling_strategy=here).remote()
            directory = directory.absolute()
            on_start(slots, ray.get(board.start.remote(config, tasks, shapes, directory)))
            threads = config.cpus_per_trial
            function = tune.with_parameters(
                work, board=board, directory=directory, threads=threads, share=gpus or 1.0
            )
            tuner = tune.Tuner(
                tune.with_resources(function, {"cpu": threads, "gpu": gpus}),
                param_space={"slot": tune.grid_search(list(range(slots)))},
                tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=slots),
                run_config=tune.RunConfig(
                    name="slots",
                    storage_path=storage,
                    verbose=0,
                    callbacks=[_Quiet()],
                    failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
                ),
            )
            return _watch(tuner, board, on_news, asked)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayActorError as error:
            raise RuntimeError(f"the board died: {error}; go on with --resume") from None
        finally:
            shutil.rmtree(storage, ignore_errors=True)
            if ours:
                ray.shutdown()


def _watch(
    tuner: tune.Tuner, board: Any, on_news: Callable[[list[Event], int], None], asked: threading.Event
) -> bool:
    """Pass news on until every slot has ended; pause the board when asked to stop."""
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            failure.extend(tuner.fit().errors)
        except BaseException as error:  # also SystemExit, which a thread would swallow
            failure.append(error)

    fitting = threading.Thread(target=fit, daemon=True)
    fitting.start()
    paused = False
    while True:
        alive = fitting.is_alive()
        events, ended, total, broken = ray.get(board.news.remote())
        on_news(events, total)
        if not alive:
            break
        if asked.is_set() and not paused:
            paused = True
            ray.get(board.pause.remote())
        fitting.join(POLL_SECONDS)
    if broken or (failure and not paused):
        raise RuntimeError(
            f"no trial can run: {broken or repr(failure[0])}; mend that and go on with --resume"
        )
    return bool(ended == total)


def _connect(address: str | None) -> bool:
    """Attach to Ray, or start it here; whether it is ours to stop."""
    if ray.is_initialized():
        return False
    if address is None:
        address = os.environ.get("RAY_ADDRESS", "local")
    _refuse_dead(address)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        ray.init(
            address=address,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            configure_logging=True,
        )
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise ValueError(f"no Ray cluster lets us in at {address}: {str(error).splitlines()[0]}") from error
    return True


def _refuse_dead(address: str) -> None:
    """Ask the port before Ray does, which would wait for a minute."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # "local", "auto", ray://...
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ValueError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); "
            "start one with `ray start --head`, or leave --address out to run on this machine"
        ) from error


def _slots(cpus: int, gpus: float | None) -> tuple[int, float]:
    """How many trials fit at once, and the share of an accelerator each gets."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    have_cpus, have_gpus = int(there.get("CPU", 0)), there.get("GPU", 0.0)
    share = gpus if gpus is not None else (1.0 if have_gpus else 0.0)
    if not 0 <= share <= 1:
        raise ValueError(f"--gpus-per-trial must be between 0 and 1, got {share:g}")
    if share > 0 and have_gpus == 0:
        raise ValueError(
            f"--gpus-per-trial {share:g} asks for accelerators and the cluster has none; "
            "leave it out, or connect to a cluster with --address"
        )
    slots = have_cpus // cpus
    if share > 0:
        slots = min(slots, int(have_gpus / share + 1e-9))
    if slots < 1:
        raise ValueError(
            f"one trial needs {cpus} processors and {share:g} accelerators; "
            f"the cluster has {have_cpus} and {have_gpus:g}"
        )
    return slots, share
