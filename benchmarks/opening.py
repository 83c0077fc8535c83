"""Time and memory to open a task of Parquet files: decoded once, mapped by every later process.

python benchmarks/opening.py path/to/fashion_mnist
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fsspec
import numpy as np

from trials import parquet, task
from trials.surroundings import commit, processor, software

OPENINGS = 5


def main() -> None:
    """Print the first opening, and later ones in new processes: one after another, and two at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", help="of Parquet files")
    parser.add_argument("--worker", action="store_true", help="one process of those that are measured")
    options = parser.parse_args()
    if options.worker:
        work(options.task)
        return
    print(f"commit {commit()}, {processor()}, {software()}; {options.task}\n")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAS_CACHE"] = folder
        (first,) = workers(options.task, 1)
        cores = len(os.sched_getaffinity(0))
        print(f"First opening: {first['seconds']:.1f} s on {cores} cores. Later ones, in new processes:\n")
        print("| | seconds | MB private | of it imports | MB of inputs, once read | of it shared |")
        print("| --- " * 6 + "|")
        show(f"median of {OPENINGS}", [workers(options.task, 1)[0] for _ in range(OPENINGS)])
        show("two at once", workers(options.task, 2))


def show(what: str, found: list[dict[str, float]]) -> None:
    columns = {name: statistics.median(each[name] for each in found) for name in found[0]}
    seconds = columns.pop("seconds")
    print(f"| {what} | {seconds:.2f} |" + "".join(f" {megabytes:.0f} |" for megabytes in columns.values()))


def workers(source: str, count: int) -> list[dict[str, float]]:
    """What so many processes say that open a task at the same time."""
    command = [sys.executable, __file__, source, "--worker"]
    running = [
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for word in ("measure\n", "end\n"):  # each time when all have said that they are so far
        said = [json.loads(each.stdout.readline()) for each in running if each.stdout]
        for each in running:
            if each.stdin:
                each.stdin.write(word)
                each.stdin.flush()
    for each in running:
        each.wait()
    return said


def work(source: str) -> None:
    """Opens a task, then reads every input, and tells the memory of both while the other workers live."""
    assert fsspec and parquet, "imported before the clock starts"
    imports = private()
    began = time.perf_counter()
    opened, test = task.open_task(source), task.open_test(source)
    found = {"seconds": time.perf_counter() - began, "private": private(), "imports": imports}
    for rows in (opened.train, test):
        np.sum(rows.store, dtype=np.int64)
    print(json.dumps("open"), flush=True)
    sys.stdin.readline()
    print(json.dumps({**found, "inputs": mapped("Rss"), "shared": mapped("Shared_Clean")}), flush=True)
    sys.stdin.readline()


def private() -> float:
    """MB of memory that this process shares with no other, by Linux."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def mapped(what: str) -> float:
    """MB of the maps of decoded inputs that are in memory, or shared with other processes."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            ours = line.endswith("inputs.npy")
        elif ours and line.startswith(f"{what}:"):
            found += int(line.split()[1])
    return found / 1024


if __name__ == "__main__":
    main()
