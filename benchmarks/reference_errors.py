"""What a task takes without a neural network: the committed references of normalised error.

The best of `trials.baselines` except the majority class, on validation rows, of every task that ships; where
a task was built so that the answer is known, 0 by construction. Prints the entries of
nas/efficiency/references.py; those of the archive need aeon and its data.

    python benchmarks/reference_errors.py [TASK ...]
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from trials.baselines import baselines
from trials.finding import CONTROLS, TASKS
from trials.reference import Task
from trials.task import open_task


def entry(name: str) -> str:
    """One line of the table, or why there is none, as a comment."""
    if Task.parse(name).source in CONTROLS:
        return f'    "{name}": Reference(error=0.0, how="by construction"),'
    try:
        tried = baselines(open_task(Task.parse(name)))[1:]
    except ValueError as error:
        return f"    # {name}: {error}"
    error, how, note = min((b.error, b.name, b.note) for b in tried if b.error is not None)
    return f'    "{name}": Reference(error={error:.4f}, how="{how}{", " * bool(note)}{note}"),'


def main(names: list[str]) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    print(f"# {datetime.now(tz=UTC):%Y-%m-%d}, commit {commit.strip() or 'unknown'}")
    for name in names or list(TASKS):
        print(entry(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
