"""Time to sample, decode and cost designs of every space.

python benchmarks/spaces.py [--designs 10000]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from search_spaces import SPACES, TaskShape, complexity
from trials.surroundings import commit, processor, software

IMAGE = TaskShape(extent=(32, 32), channels=3, classes=10)
SERIES = TaskShape(extent=(1024,), channels=3, classes=10)


def main() -> None:
    """Print the table, images where the space serves them and series else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=10_000)
    designs = parser.parse_args().designs
    print(f"commit {commit()}, {processor()}, {software()}; {designs} designs\n")
    print("| space | on | designs | bits | seconds |\n" + "| --- " * 5 + "|")
    for name, make in SPACES.items():
        shape = IMAGE
        try:
            space = make(shape)
        except ValueError:
            shape = SERIES
            space = make(shape)
        rng = np.random.default_rng(0)
        began = time.process_time()
        for _ in range(designs):
            complexity(space.decode(space.sample(rng)), shape)
        seconds = time.process_time() - began
        print(f"| {name} | {shape} | {space.size} | {space.bits:.1f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
