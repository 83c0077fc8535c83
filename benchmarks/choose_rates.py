"""Choose one learning rate and one weight decay for every space, with the same effort for each.

    python benchmarks/choose_rates.py [--processes 2] [--spaces twin,resnet] > docs/rates.md

Development tasks only. Every space gets the same grid, tasks, seeds and number of trials; a space with
many designs is represented by random ones, the same for every pair of rates. The pair with the smallest
validation error (geometric mean over tasks, so that each counts alike) is put into `trials/recipe.py` and
frozen there. A space that cannot serve images is judged on the series alone, with as many trials. Designs of
more than a million parameters are drawn again: they would take the time of all others.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from search_spaces import SPACES
from search_spaces.constraints import Constraint
from trials.recipe import STANDARD
from trials.record import Study, Trial
from trials.reference import Task
from trials.surroundings import commit, processor
from trials.task import open_task
from trials.training import run_trial

RATES = (0.003, 0.01, 0.03, 0.1)
DECAYS = (0.0, 0.05)
TASKS = (("digits", 3), ("digits_sequence", 3), ("mnist5k@rows=1600", 2))  # and seeds
EPOCHS = 12
SMALL = Constraint(measure="parameters", most=1e6)


def error_of(trial: Trial) -> float:
    """Validation error after the whole recipe; 1 for a trial that failed."""
    torch.set_num_threads(1)
    record = run_trial(trial, open_task(trial.task))
    return record.error if record is not None and record.status == "completed" else 1.0


def trials_of(name: str, rate: float, decay: float) -> list[Trial]:
    """The trainings that judge one pair of rates for one space."""
    trials = []
    for text, seeds in tasks_of(name):
        task = Task.parse(text)
        shape = open_task(task).shape
        space = SPACES[name](shape)
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            values = space.sample(rng)
            while not SMALL.admits(space.decode(values), shape):
                values = space.sample(rng)
            recipe = replace(STANDARD, epochs=EPOCHS, learning_rate=rate, weight_decay=decay, per_space=())
            trials.append(
                Trial(
                    study=Study(task=task.name, space=name, kind="population"),
                    number=seed,
                    task=task,
                    architecture=space.decode(values),
                    values=values,
                    recipe=recipe,
                    seed=1000 + seed,
                )
            )
    return trials


def tasks_of(name: str) -> tuple[tuple[str, int], ...]:
    """Tasks and seeds: `TASKS`, or the series among them with seeds added up to as many trials."""
    try:
        SPACES[name](open_task("digits").shape)
    except ValueError:
        return (("digits_sequence", sum(seeds for _, seeds in TASKS)),)
    return TASKS


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--spaces", default=",".join(SPACES))
    given = parser.parse_args()
    spaces, processes = given.spaces.split(","), given.processes
    pairs = list(itertools.product(RATES, DECAYS))
    jobs = {(name, pair): trials_of(name, *pair) for name in spaces for pair in pairs}
    flat = [trial for trials in jobs.values() for trial in trials]
    with ProcessPoolExecutor(processes) as pool:
        errors = iter(list(pool.map(error_of, flat)))
    each = ", ".join(f"{task} {seeds} seeds" for task, seeds in TASKS)
    print("# Learning rate and weight decay of every space\n")
    print(f"`python benchmarks/choose_rates.py`, commit {commit()}, {processor()}. {EPOCHS} epochs; {each}:")
    print(f"{sum(s for _, s in TASKS)} trials a pair, {len(flat) // len(spaces)} for every space.")
    print("Validation error in %: geometric mean over tasks, and each task.\n")
    for name in spaces:
        tasks = tasks_of(name)
        print(f"## {name}\n\n| learning rate | weight decay | mean | {' | '.join(t for t, _ in tasks)} |")
        print("| --- | --- | --- |" + " --- |" * len(tasks))
        rows = []
        for rate, decay in pairs:
            by_task = [[next(errors) for _ in range(seeds)] for _, seeds in tasks]
            means = [100 * statistics.mean(task) for task in by_task]
            rows.append((statistics.geometric_mean(means), rate, decay, means))
        best = min(rows)
        for mean, rate, decay, means in rows:
            mark = "**" if (rate, decay) == best[1:3] else ""
            cells = " | ".join(f"{value:.1f}" for value in means)
            print(f"| {rate} | {decay} | {mark}{mean:.2f}{mark} | {cells} |")
        print()


if __name__ == "__main__":
    main()
