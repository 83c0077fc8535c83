"""Learning curves of FlexConv and of one ResNet on real datasets of every kind, beside what needs no network.

    python benchmarks/learning_curves.py DATA [--tasks fashion_mnist,...]

DATA is a folder of Parquet datasets by these names; `mnist5k` ships with the product. Sizes are such that a
training takes minutes on one core. Errors are of the validation rows (both halves); nothing is tested.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from search_spaces import SPACES
from trials import Trial, TrialRecord, open_task, run_trial
from trials.baselines import baselines
from trials.recipe import STANDARD
from trials.record import Study

DESIGNS = ("flexconv", "resnet_20")
TASKS = {
    "mnist5k": ("", 10),
    "fashion_mnist": ("@rows=6000,resolution=14", 15),
    "free_spoken_digit": ("@rate=1000", 15),
    "omniglot_small": ("@resolution=28", 20),
    "adrenalmnist3d_32": ("@resolution=16", 10),
    "japanese_vowels": ("", 40),
}
"""Sizes and epochs."""


def train(source: str, space: str, epochs: int) -> TrialRecord:
    """One training with the standard recipe."""
    data = open_task(source)
    drawn = SPACES[space](data.shape)
    values = drawn.sample(np.random.default_rng(0))
    trial = Trial(
        study=Study(task=data.name, space=space, kind="population"),
        number=0,
        task=data.task,
        architecture=drawn.decode(values),
        values=values,
        recipe=replace(STANDARD.for_space(space), epochs=epochs),
        seed=0,
    )
    record = run_trial(trial, data)
    assert record is not None
    return record


def main() -> None:
    """Trains two at a time and prints as they end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", default=",".join(TASKS))
    options = parser.parse_args()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        waiting = {}
        for name in options.tasks.split(","):
            size, epochs = TASKS[name]
            source = f"{options.data / name if (options.data / name).is_dir() else name}{size}"
            for space in DESIGNS:
                waiting[name, space] = pool.submit(train, source, space, epochs)
        for (_, space), result in waiting.items():
            record = result.result()
            curve = " ".join(f"{100 * each.report_error:.1f}" for each in record.curve)
            rows = f"{record.rows_select} + {record.rows_report} rows"
            print(
                f"{record.trial.study.task}, {space}: {100 * record.error:.1f} % of {rows}, "
                f"{record.seconds:.0f} s, {record.status}; report error by epoch: {curve}",
                flush=True,
            )
            if space == DESIGNS[-1]:
                for each in baselines(open_task(record.trial.task)):
                    error = "" if each.error is None else f"{100 * each.error:.1f} %"
                    print(f"    {each.name}: {error} {each.note}", flush=True)


if __name__ == "__main__":
    main()
