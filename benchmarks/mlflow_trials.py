"""Closed-form trials with the parameters, metrics and tags of real ones, and a server to show them in."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces.architecture import Architecture
from search_spaces.space import TaskShape
from trials import surroundings
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import EpochMetrics, Study, Trial, TrialRecord
from trials.reference import Task

DAY = 1_700_000_000.0
DIGITS = RunTask(
    task=Task(source="digits"),
    shape=TaskShape(extent=(8, 8), channels=1, classes=10),
    mean=(0.0,),
    std=(1.0,),
    digest="0" * 64,
)


def trial(number: int, epochs: int) -> Trial:
    """A design of its own for each number."""
    return Trial(
        study=Study(task="digits", space="twin", kind="population"),
        number=number,
        task=Task(source="digits"),
        architecture=Architecture.of(
            "flexnet", width=16, factors=(1.0, 1.0), kernels=(3, 5, 7, 3, 5), reference=number + 8
        ),
        values={f"kernel_{i}": 3 + 2 * (number + i) % 7 for i in range(1, 6)},
        recipe=replace(STANDARD, epochs=epochs, per_space=()),
        seed=number,
    )


def epoch(number: int, at: float) -> EpochMetrics:
    """Eight metrics."""
    error = 1 / (number + 1)
    return EpochMetrics(
        epoch=number,
        train_loss=2 * error,
        select_error=round(error * 1000) / 1000,
        select_loss=error,
        report_error=round(error * 1000) / 1000,
        report_loss=error,
        seconds_training=float(number),
        seconds_evaluation=0.0,
        kernel_sizes=((3, 3), (5, 5)),
        at=at,
    )


def record(one: Trial, curve: tuple[EpochMetrics, ...], started: float) -> TrialRecord:
    """Of a trial with this curve."""
    return TrialRecord(
        trial=one,
        status="completed",
        curve=curve,
        parameters=1000,
        multiply_adds=10**6,
        training_multiply_adds=10**9,
        seconds_training=float(len(curve)),
        rows_train=1000,
        rows_select=1000,
        rows_report=1000,
        classes=10,
        digest="0" * 64,
        started=started,
        finished=curve[-1].at,
        device="closed form",
        host="here",
        commit=surroundings.commit(),
    )


@contextmanager
def server(folder: Path, workers: int = 1) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mlflow server` over SQLite, without its job runner; its process leads a session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--workers", str(workers)]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield uri, process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def put_run(trials: int, epochs: int, where: Path, uri: str | None) -> RunDirectory:
    """The directory of a run that ended after so many trials."""
    directory = RunDirectory(where)
    directory.put("config.json", dumps(SearchConfig(name="many", tasks=("digits",))))
    info = RunInfo(
        id="00000000", created=DAY, version="0", tracking_uri=uri, recipe=STANDARD, tasks=(DIGITS,), spaces=()
    )
    directory.put("run.json", dumps(info))
    for number in range(trials):
        one, at = trial(number, epochs), DAY + number
        directory.put_trial(one)
        directory.put_record(record(one, tuple(epoch(i, at + i) for i in range(1, epochs + 1)), at))
    return directory


def server_seconds(leader: int) -> float:
    """Processor seconds of the processes in a server's session."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def about() -> dict[str, object]:
    """What figures need to be understood later."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "processor seconds here": round(used.ru_utime + used.ru_stime, 1),
        "load": [round(each, 1) for each in os.getloadavg()],
        "commit": surroundings.commit(),
        "on": f"{surroundings.processor()} ({len(os.sched_getaffinity(0))} processors)",
    }
