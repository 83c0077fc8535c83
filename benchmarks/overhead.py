"""What a run costs over its trials: 40 of about a second on two workers, against a bare process pool.

    python benchmarks/overhead.py [--pairs 3]

By turns: `nas run` as users have it (Ray on this machine, MLflow, records), and two spawned processes with
the same list of trials, which keep nothing. Both begin with no process. Efficiency is counted once they are
up: the sum of the trials' own seconds / 2 / wall from the first trial's start to the last one's end. The
machine may be shared: compare the ratio of neighbours, and its median. The delay of the first trial is from
the command's start.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from trials.record import Trial, TrialRecord
from trials.surroundings import commit

WORKERS = 2
TRIALS = 40


def plan() -> SearchConfig:
    """One training of the single design and 39 drawn designs, on digits."""
    return SearchConfig(
        name="overhead",
        tasks=("digits",),
        epochs=3,
        defaults=(),
        population=TRIALS - 1,
        repeats=0,
        seeds=1,
        search_trials=0,
        finalist_seeds=0,
    )


def efficiency(records: list[TrialRecord]) -> float:
    """The trials' own seconds over what the workers had, once they were up."""
    wall = max(r.finished for r in records) - min(r.started for r in records)
    return sum(r.wall for r in records) / WORKERS / wall


def product(path: Path) -> tuple[float, float, float]:
    """Run the plan: efficiency, seconds to the first trial's start, mean seconds of a trial."""
    began = time.time()
    command = (sys.executable, "-c", "from nas.cli import main; main()", "run", f"{__file__}:plan")
    subprocess.run([*command, "--run-dir", str(path)], check=True, stdout=subprocess.DEVNULL)
    records = RunDirectory(path).read_records()[0]
    assert len(records) == TRIALS and {r.status for r in records} == {"completed"}
    assert len({r.process for r in records}) == WORKERS, "this machine has another number of processors"
    mean = statistics.mean(r.wall for r in records)
    return efficiency(records), min(r.started for r in records) - began, mean


def bare(path: Path) -> float:
    """The same trials in a process pool, in a new process: efficiency."""
    command = (sys.executable, __file__, "--bare", str(path))
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def train(trial: Trial) -> TrialRecord:
    """One trial in a process of the bare pool."""
    import torch

    from trials.task import open_task
    from trials.training import run_trial

    torch.set_num_threads(1)
    record = run_trial(trial, open_task(trial.task))
    assert record is not None and record.status == "completed"
    return record


def pool(path: Path) -> float:
    """Efficiency of two spawned processes over the trials of a run, in the order of their names."""
    trials = sorted(RunDirectory(path).read_trials()[0], key=lambda trial: trial.id)
    with multiprocessing.get_context("spawn").Pool(WORKERS) as workers:
        return efficiency(list(workers.imap_unordered(train, trials)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        print(pool(arguments.bare))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    with tempfile.TemporaryDirectory(prefix="nas-overhead-") as folder:
        for i in range(arguments.pairs):
            path = Path(folder) / str(i)
            ours, first, seconds = product(path)
            theirs = bare(path)
            rows.append(
                {"nas": ours, "bare": theirs, "ratio": ours / theirs, "first": first, "trial": seconds}
            )
            print(json.dumps({name: round(value, 3) for name, value in rows[-1].items()}), flush=True)
    median = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(
        f"median of {len(rows)} pairs, commit {commit()}: efficiency {median['nas']:.3f}, of a bare pool "
        f"{median['bare']:.3f}, ratio {median['ratio']:.3f}; a trial {median['trial']:.2f} s; first trial "
        f"{median['first']:.1f} s after the command"
    )


if __name__ == "__main__":
    main()
