"""What showing running trials in MLflow costs, over an HTTP server on SQLite: rate, slow-down, memory.

    python -m benchmarks.mlflow_load load --seconds 60      # 16 trials, 8 metrics each every 0.5 s
    python -m benchmarks.mlflow_load slow-down --pairs 5    # the same trials with and without, by turns

``load``: 16 processes with closed-form trials report to this process, which passes epochs to the writer as a
driver does; metrics over the seconds until the store has all, then of a backlog for a server that comes back.
``slow-down``: wall seconds of 16 trials that keep all processors busy between reports, so that whatever the
driver and the server on the same machine use of them is missing to the trials.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.mlflow_trials import about, epoch, record, server, server_seconds, trial
from nas.tracking import Store
from nas.writer import Writer
from trials.record import EpochMetrics
from trials.surroundings import memory_bytes

TRIALS, PERIOD = 16, 0.5
METRICS = 8  # five of every epoch, its number, and two kernel sizes


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


def load(seconds: float, period: float) -> dict[str, object]:
    """The closed-form trials for so long, then a backlog of a server that was away."""
    epochs, said = round(seconds / period), list[str]()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (uri, process):
        Store(uri, "warm", None)
        sizes = [memory_bytes()]
        for name, share in (("quarter", 4), ("long", 1)):
            begin = partial(Writer, partial(Store, uri, name, None), said.append)
            took, writer = played(epochs // share, period, 0.0, TRIALS, begin)
            ended = time.monotonic()
            sizes.append(memory_bytes())
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
    """Trials that share the processors, an epoch each every `PERIOD` seconds, with MLflow and without."""
    work = PERIOD * len(os.sched_getaffinity(0)) / TRIALS
    ratios, seconds, served = [], [], []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (uri, process):
        Store(uri, "warm", None)
        for pair in range(pairs):
            took: dict[bool, float] = {}
            for shown in (False, True) if pair % 2 else (True, False):
                before = server_seconds(process.pid)
                begin = partial(Writer, partial(Store, uri, f"pair {pair}", None), print) if shown else None
                took[shown], writer = played(epochs, 0.0, work, TRIALS, begin)
                if writer is not None:
                    served.append(server_seconds(process.pid) - before)
                    assert writer.close(None)
            ratios.append(took[True] / took[False])
            seconds.append(took[False])
    return {
        "pairs": pairs,
        "trials at a time": TRIALS,
        "epochs": epochs,
        "seconds without": round(statistics.median(seconds), 2),
        "with over without, median": round(statistics.median(ratios), 3),
        "each": [round(each, 3) for each in sorted(ratios)],
        "processor seconds of the server meanwhile": [round(each, 2) for each in served],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("load", "slow-down"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--period", type=float, default=PERIOD)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    if given.mode == "load":
        found = load(given.seconds, given.period)
    else:
        found = slow_down(given.pairs, given.epochs)
    print(json.dumps(found | about()))


if __name__ == "__main__":
    main()
