"""What driver and board cost over thousands of trials with closed-form learning curves.

    python benchmarks/scale.py [--trials 10000] [--slots 64] [--threads] [--to DIR]
    python benchmarks/scale.py --resume DIR

One task, five searched spaces, each with a population and four searches (TPE, successive halving) of a 25th
of the trials: no study is larger than 400 at 10,000. Slots are Ray processes of a cluster on this machine
that is told it has so many processors; with --threads they are threads that call the same board, one at a
time, in this process. Seconds of the processor and resident memory are those of driver and board (with
--threads: seconds of the board's calls, memory of everything). MLflow is not in them: it has a thread of
its own, which falls behind and catches up. Then a new process makes the schedule anew from the directory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.board import Board
from nas.config import SearchConfig
from nas.interrupt import Asked
from nas.lease import take
from nas.messages import Event
from nas.open_space import open_spaces
from nas.placement import Placement
from nas.probe import facts
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from nas.slot import work
from trials.plain import dumps
from trials.record import EpochMetrics, Trial, TrialRecord, Verdict
from trials.storage import Storage
from trials.surroundings import commit
from trials.synthetic import run_trial
from trials.task import TaskData, open_task

SPACES = ("twin", "twin_shared", "twin_wide", "resnet", "convnext")
TRAIN = f"{Path(__file__).stem}:train"
"""In slots: Ray puts the script's folder on their path."""
EVERY = 1000
"""Trials between two looks at the costs; what comes after the last look is not in them."""


def plan(trials: int) -> SearchConfig:
    """About so many trials."""
    part = trials // (5 * len(SPACES))
    return SearchConfig(
        name="scale",
        tasks=("digits",),
        rows=200,
        epochs=9,
        spaces=("flexconv", *SPACES),
        defaults=(),
        population=part,
        repeats=0,
        seeds=1,
        search_trials=part,
        search_seeds=4,
        finalist_seeds=0,
        grace_epochs=1,
    )


def train(
    trial: Trial,
    task: TaskData,
    report: Callable[[EpochMetrics], Verdict],
    folder: Storage,
    *settings: Any,
    asked: Callable[[], Verdict],
    **more: Any,
) -> TrialRecord | None:
    """A trial that takes no time."""
    return run_trial(trial, task, report=report, folder=folder, asked=asked)


@dataclass(slots=True)
class Costs:
    """Looks at what was spent, each after `EVERY` trials: trials, seconds of the processor, bytes, wall."""

    spent: Callable[[], tuple[float, int]]
    ended: int = 0
    looks: list[tuple[int, float, int, float]] = field(default_factory=list)

    def count(self, events: Sequence[Event]) -> None:
        self.ended += sum(what == "ended" for what, _, _ in events)
        if not self.looks or self.ended >= self.looks[-1][0] + EVERY:
            self.look()

    def look(self) -> None:
        self.looks.append((self.ended, *self.spent(), time.monotonic()))
        ended, seconds, size, _ = self.looks[-1]
        print(f"{ended} trials, {seconds:.1f} s of the processor, {size / 1e6:.0f} MB", flush=True)

    def __str__(self) -> str:
        if len(self.looks) < 3:
            return "too few trials to say"
        (first, second), (before, last) = self.looks[:2], self.looks[-2:]
        each = [1e3 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in ((first, second), (before, last))]
        grown = (last[2] - second[2]) / (last[0] - second[0]) / 1e3
        return (
            f"{last[0]} trials in {last[3] - first[3]:.0f} s; a trial: {each[0]:.1f} ms of the processor in "
            f"the first {second[0] - first[0]}, {each[1]:.1f} in the last {last[0] - before[0]}; "
            f"{grown:.1f} kB"
        )


def resident(process: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def processor(process: int) -> float:
    """Seconds of the processor that a process has had."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def with_processes(config: SearchConfig, directory: RunDirectory, slots: int) -> Costs:
    """On a Ray cluster of this machine."""
    from nas.search import execute  # isort: skip  # before ray, whose settings it makes

    import ray

    ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False)
    ours: list[int] = []

    def spent() -> tuple[float, int]:
        if len(ours) < 2:
            ours[:] = [os.getpid(), *boards()]
        return sum(map(processor, ours)), sum(map(resident, ours))

    costs = Costs(spent)
    task = open_task(config.the_tasks()[0])
    with take(directory.storage, print) as lease:
        ended = execute(
            config,
            config.the_tasks(),
            {task.name: task.shape},
            directory,
            lease=lease,
            asked=Asked(),
            address=None,
            gpus_per_trial=None,
            train=TRAIN,
            on_start=lambda slots, records: print(f"{slots} slots", flush=True),
            on_news=lambda events, total: costs.count(events),
            say=print,
        )
    ray.shutdown()
    print(ended)
    return costs


def boards() -> list[int]:
    """The board's process, of this session of Ray."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and b"ray::Board" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [process for process in found if os.getsid(process) == os.getsid(0)]


def with_threads(config: SearchConfig, directory: RunDirectory, slots: int) -> Costs:
    """The board in this process, each slot a thread."""
    board, lock = Board(), threading.Lock()
    busy = 0.0

    def ask(method: str, *arguments: Any) -> Any:
        nonlocal busy
        with lock:
            began = time.thread_time()
            try:
                return getattr(board, method)(*arguments)
            finally:
                busy += time.thread_time() - began

    costs = Costs(lambda: (busy, resident(os.getpid())))
    task = open_task(config.the_tasks()[0])
    with take(directory.storage, print) as lease:
        shapes = {task.name: task.shape}
        ask(
            "start", config, config.the_tasks(), shapes, directory, lease, Placement(0.0), facts(), Path.cwd()
        )
        threads = [
            threading.Thread(target=work, args=(number, "here", ask, directory, 1, False, TRAIN))
            for number in range(slots)
        ]
        for each in threads:
            each.start()
        while any(each.is_alive() for each in threads):
            costs.count(ask("news", slots).events)
            time.sleep(0.25)
        costs.count(ask("news", slots).events)
    return costs


def resume(path: Path) -> None:
    """Seconds to make the schedule anew, in a process that did nothing before."""
    directory = RunDirectory(path)
    config = directory.config()
    task = open_task(config.the_tasks()[0])
    spaces = {(task.name, name): space for name, space in open_spaces(config, task.shape).items()}
    began, busy = time.monotonic(), time.process_time()
    schedule = Schedule(config, config.the_tasks(), spaces, {task.name: task.shape}, directory)
    wall, busy = time.monotonic() - began, time.process_time() - busy
    print(
        f"resumed in {wall:.1f} s, {busy:.1f} of the processor: "
        f"{schedule.ended} of {schedule.total} trials ended"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--threads", action="store_true")
    parser.add_argument("--to", type=Path)
    parser.add_argument("--resume", type=Path)
    arguments = parser.parse_args()
    if arguments.resume:
        resume(arguments.resume)
        return
    with tempfile.TemporaryDirectory(prefix="nas-scale-") as folder:
        directory = RunDirectory(arguments.to or Path(folder) / "run")
        config = plan(arguments.trials)
        directory.put("config.json", dumps(config))
        run = with_threads if arguments.threads else with_processes
        print(f"{run(config, directory, arguments.slots)}; commit {commit()}", flush=True)
        subprocess.run([sys.executable, __file__, "--resume", str(directory.path)], check=True)


if __name__ == "__main__":
    main()
