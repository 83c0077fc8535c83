"""How long it takes to go on with a run of many trials: from a folder, and from a bucket 20 ms away.

    python -m benchmarks.resume [--trials 10000] [--to DIR] [--latency 0.02] [--repeats 3]

Makes a run directory of closed-form trials of 10 epochs (once; `--to` keeps it), reads it with and without
``records.parquet``, and builds the schedule of the run from it, each in a fresh process. The bucket is moto's
server on loopback, behind a proxy that holds every request back; its own time is in the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nas import compacted
from nas.config import SearchConfig
from nas.open_space import open_spaces
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from tests.trials import buckets
from trials.plain import dumps
from trials.storage import Storage
from trials.synthetic import run_trial
from trials.task import open_task


def plan(trials: int) -> SearchConfig:
    """A run of about so many trials, 593 a task, in studies of at most 500."""
    return SearchConfig(
        name="resume",
        tasks=tuple(f"digits@rows={200 + i}" for i in range(max(-(-trials // 593), 1))),
        epochs=10,
        population=400,
        repeats=0,
        seeds=10,
        search_trials=300,
        search_seeds=1,
        sampler="random",
        grace_epochs=1,
        finalist_seeds=5,
    )


def schedule(config: SearchConfig, directory: RunDirectory) -> Schedule:
    tasks = {each: open_task(each).shape for each in config.the_tasks()}
    spaces = {
        (task.name, name): space
        for task, shape in tasks.items()
        for name, space in open_spaces(config, shape).items()
    }
    shapes = {task.name: shape for task, shape in tasks.items()}
    return Schedule(config, tuple(tasks), spaces, shapes, directory)


def make(config: SearchConfig, path: Path) -> None:
    """A whole run, without a cluster."""
    directory = RunDirectory(path)
    directory.put("config.json", dumps(config))
    opened = {task.name: open_task(task) for task in config.the_tasks()}
    making = schedule(config, directory)
    while (trial := making.next(0)) is not None:
        assert not isinstance(trial, str), "one slot never waits"
        record = run_trial(
            trial, opened[trial.task.name], report=lambda metrics, of=trial: making.report(of, metrics)
        )
        assert record is not None
        making.finish(0, record)


def read(where: str, whole: bool) -> None:
    """What a fresh process does: prints how many records it read, wall seconds and processor seconds."""
    directory = RunDirectory(where)
    config = directory.config()
    tasks = [open_task(each) for each in config.the_tasks()]  # not counted: the same for an empty directory
    assert tasks
    began, busy = time.perf_counter(), time.process_time()
    records = len(schedule(config, directory).records) if whole else len(directory.read_records()[0])
    print(records, time.perf_counter() - began, time.process_time() - busy)


def timed(where: str, whole: bool, repeats: int) -> str:
    walls, busy = [], []
    for _ in range(repeats):
        command = [sys.executable, "-m", "benchmarks.resume", "--read", where, *(["--whole"] * whole)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        records, wall, processor = done.stdout.split()
        walls.append(float(wall))
        busy.append(float(processor))
    return (
        f"{statistics.median(walls):8.1f} s, {statistics.median(busy):.1f} s of it on a processor "
        f"({records} records)"
    )


def table(place: str, where: str, repeats: int) -> None:
    storage = Storage(where)
    storage.remove(compacted.COPY)
    print(f"{place}, without the copy: records  {timed(where, False, repeats)}", flush=True)
    began = time.perf_counter()
    compacted.compact(storage)
    print(f"{place}, making the copy:           {time.perf_counter() - began:8.1f} s", flush=True)
    print(f"{place}, with the copy:    records  {timed(where, False, repeats)}", flush=True)
    print(f"{place}, with the copy:    schedule {timed(where, True, repeats)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--to", type=Path, help="run directory to make or, if it is there, to use")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds added to each request")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read, options.whole)
        return
    with tempfile.TemporaryDirectory() as temporary:
        path = options.to or Path(temporary) / "run"
        if not path.exists():
            make(plan(options.trials), path)
        table("folder", str(path), options.repeats)
        with buckets.server() as port:
            os.environ.update(buckets.environment(port, Path(temporary)))
            there = Storage("s3://bucket/run")
            here = Storage(str(path))
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda name: there.put(name, here.get(name) or b""), here.names()))
            proxy = buckets.Proxy(port, delay=options.latency)
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
            table(f"bucket, {1000 * options.latency:.0f} ms away", there.root, options.repeats)


if __name__ == "__main__":
    main()
