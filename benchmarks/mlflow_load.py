"""What showing trials in MLflow costs, over an HTTP server on SQLite: rate, slow-down, memory, rebuild.

    python benchmarks/mlflow_load.py load --seconds 60      # 16 trials, 8 metrics each every 0.5 s
    python benchmarks/mlflow_load.py slow-down --pairs 5    # the same trials with and without, by turns
    python benchmarks/mlflow_load.py rebuild --trials 2000

``load``: 16 processes with closed-form trials report to this process, which passes epochs to the writer as a
driver does; metrics over the seconds until the store has all, then of a backlog for a server that comes back.
``slow-down``: wall seconds of trials that keep processors busy between reports.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from nas.run_directory import RunDirectory, RunInfo, RunTask
from nas.tracking import Store
from nas.writer import Writer
from search_spaces.architecture import Architecture
from search_spaces.space import TaskShape
from trials import surroundings
from trials.recipe import STANDARD
from trials.record import EpochMetrics, Study, Trial, TrialRecord
from trials.reference import Task

TRIALS, PERIOD = 16, 0.5
METRICS = 8  # five of every epoch, its number, and two kernel sizes
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
def server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mlflow server` with one worker over SQLite, without its job runner; its process leads a session."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--workers", "1"]
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


def points_in(uri: str, experiment: str) -> int:
    """Every point of every metric that trials report; final ones apart."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    count = 0
    for run in client.search_runs([found.experiment_id], "tags.`nas.level` = 'trial'", max_results=1000):
        for key in ("train_loss", "select_error", "select_loss", "report_error", "report_loss", "epoch"):
            count += len(client.get_metric_history(run.info.run_id, key))
        for key in ("taps_1", "taps_2"):
            count += len(client.get_metric_history(run.info.run_id, key))
    return count


def report(number: int, epochs: int, period: float, work: float, told: Queue[Any]) -> None:
    """A trial: an epoch every `period` seconds, or after `work` processor seconds where that is not 0."""
    began = time.monotonic()
    for each in range(1, epochs + 1):
        if work:
            until = time.process_time() + work
            while time.process_time() < until:
                sum(i * i for i in range(2000))
        else:
            time.sleep(max(0.0, began + each * period - time.monotonic()))
        told.put((number, epoch(each, time.time())))
    told.put((number, None))


def played(
    epochs: int, period: float, work: float, trials: int, begin: Callable[[], Writer] | None
) -> tuple[float, Writer | None]:
    """Trials in processes of their own, watched as a driver watches them: wall seconds until all have ended.

    The writer is made once the processes are forked, since it brings a thread.
    """
    context = mp.get_context("fork")
    told: Queue[Any] = context.Queue()
    every = [trial(number, epochs) for number in range(trials)]
    curves: list[list[EpochMetrics]] = [[] for _ in every]
    began = time.monotonic()
    processes = [context.Process(target=report, args=(i, epochs, period, work, told)) for i in range(trials)]
    for process in processes:
        process.start()
    writer = None if begin is None else begin()
    if writer is not None:
        for one in every:
            writer.epoch(one, None)
    started, left = time.time(), trials
    while left:
        number, metrics = told.get()
        if metrics is None:
            left -= 1
            if writer is not None:
                writer.ended(record(every[number], tuple(curves[number]), started))
        else:
            curves[number].append(metrics)
            if writer is not None:
                writer.epoch(every[number], metrics)
                writer.kept(every[number], metrics.epoch)
    took = time.monotonic() - began
    for process in processes:
        process.join()
    return took, writer


def memory() -> int:
    """Resident bytes of this process."""
    return surroundings.memory_bytes()


def load(seconds: float, period: float) -> dict[str, object]:
    """The closed-form trials for so long, then a backlog of a server that was away."""
    epochs, said = round(seconds / period), list[str]()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (uri, process):
        Store(uri, "warm", None)
        sizes = [memory()]
        for name, share in (("quarter", 4), ("long", 1)):
            begin = partial(Writer, partial(Store, uri, name, None), said.append)
            took, writer = played(epochs // share, period, 0.0, TRIALS, begin)
            ended = time.monotonic()
            sizes.append(memory())
            assert writer is not None and writer.close(None), said
        lag = time.monotonic() - ended
        made = TRIALS * epochs * METRICS
        there = points_in(uri, "long")
        os.killpg(process.pid, signal.SIGSTOP)
        writer = Writer(lambda: Store(uri, "drain", None), said.append)
        every = [trial(number, 500) for number in range(TRIALS)]
        at = time.time()
        for one in every:
            writer.ended(record(one, tuple(epoch(i, at + i) for i in range(1, 501)), at))
        os.killpg(process.pid, signal.SIGCONT)
        began = time.monotonic()
        assert writer.close(None), said
        drained = time.monotonic() - began
        backlog = TRIALS * 500 * METRICS
        assert points_in(uri, "drain") == backlog
    return {
        "made": made,
        "arrived": there,
        "made a second": round(made / took),
        "sustained a second": round(there / (took + lag)),
        "lag after the last trial, s": round(lag, 2),
        "drained": backlog,
        "drain a second": round(backlog / drained),
        "memory MB before, after a quarter, after all": [round(each / 2**20, 1) for each in sizes],
        "said": said,
    }


def slow_down(pairs: int, epochs: int) -> dict[str, object]:
    """Trials that use the processor, on as many processes as there are processors, with and without."""
    processors = len(os.sched_getaffinity(0))
    ratios, seconds = [], []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (uri, _):
        Store(uri, "warm", None)
        for pair in range(pairs):
            took: dict[bool, float] = {}
            for shown in (False, True) if pair % 2 else (True, False):
                begin = partial(Writer, partial(Store, uri, f"pair {pair}", None), print) if shown else None
                took[shown], writer = played(epochs, 0.0, PERIOD, processors, begin)
                if writer is not None:
                    assert writer.close(None)
            ratios.append(took[True] / took[False])
            seconds.append(took[False])
    return {
        "pairs": pairs,
        "trials at a time": processors,
        "seconds without": round(statistics.median(seconds), 2),
        "with over without, median": round(statistics.median(ratios), 3),
        "each": [round(each, 3) for each in sorted(ratios)],
    }


def rebuild(trials: int, epochs: int) -> dict[str, object]:
    """Records of so many trials, shown in an empty store, then again."""
    from nas.config import SearchConfig
    from nas.rebuilding import rebuild_into
    from trials.plain import dumps

    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (uri, _):
        directory = RunDirectory(Path(folder) / "run")
        directory.put("config.json", dumps(SearchConfig(name="rebuilt", tasks=("digits",))))
        info = RunInfo(
            id="00000000",
            created=DAY,
            version="0",
            tracking_uri=uri,
            recipe=STANDARD,
            tasks=(DIGITS,),
            spaces=(),
        )
        directory.put("run.json", dumps(info))
        for number in range(trials):
            one = trial(number, epochs)
            at = DAY + number
            place = Path(folder) / "run" / "trials" / one.id
            place.mkdir(parents=True)
            (place / "design.json").write_text(dumps(one))
            ended = record(one, tuple(epoch(i, at + i) for i in range(1, epochs + 1)), at)
            (place / "record.json").write_text(dumps(ended))
        took = []
        for _ in range(2):
            began = time.monotonic()
            rebuild_into(str(directory), uri, lambda line: None)
            took.append(round(time.monotonic() - began, 1))
            print(f"{took[-1]} s", file=sys.stderr)
        experiment = "rebuilt 00000000"
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        count, token = 0, None
        while True:
            page = client.search_runs([found.experiment_id], page_token=token, max_results=200)
            count += len(page)
            if not (token := page.token):
                break
        assert count == trials + 2, count
    return {"trials": trials, "epochs": epochs, "seconds": took[0], "seconds, nothing left to send": took[1]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("load", "slow-down", "rebuild"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--period", type=float, default=PERIOD)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=2000)
    given = parser.parse_args()
    match given.mode:
        case "load":
            found = load(given.seconds, given.period)
        case "slow-down":
            found = slow_down(given.pairs, given.epochs)
        case _:
            found = rebuild(given.trials, given.epochs)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {
        "processor seconds here": round(used.ru_utime + used.ru_stime, 1),
        "commit": surroundings.commit(),
        "on": f"{surroundings.processor()} ({len(os.sched_getaffinity(0))} processors)",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
