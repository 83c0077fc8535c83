"""Time and memory to open a dataset of Parquet files: decoded once, then mapped.

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

import numpy as np

from trials import cache, finding, parallel, parquet
from trials.reference import Task
from trials.surroundings import commit, processor, software

OPENINGS = 5


def main() -> None:
    """Print what the first opening took, and later ones in processes of their own, alone and two at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a task of Parquet files")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(opening(options.source, wait=True)))
        return
    print(f"commit {commit()}, {processor()}, {software()}; {options.source}\n")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAS_CACHE"] = folder
        first = opening(options.source)
        print(f"first opening: {first['seconds']:.1f} s on {parallel.cores()} cores")
        alone = [workers(options.source, 1)[0] for _ in range(OPENINGS)]
        print("\n| | seconds | private MB, of it before | shared MB |\n| --- | --- | --- | --- |")
        show(f"in a new process, median of {OPENINGS}", alone)
        show("two workers at once, mean", workers(options.source, 2))


def opening(source: str, wait: bool = False) -> dict[str, float]:
    """Opens all parts and touches every byte, as training does; with `wait`, measures when told to."""
    task = Task.parse(source)
    import filelock  # noqa: F401
