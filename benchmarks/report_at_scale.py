"""How long a report takes: `nas compare`, as a process of its own, over 10,000 records that are made here.

    python benchmarks/report_at_scale.py [--to DIR] [--profile]

Ten tasks, six spaces (the single design, three searched, two defaults): populations with repeats, long
trials, searches, finalists. Errors are drawn, curves have all epochs, nothing is trained. Prints wall and
processor seconds and the largest resident memory of the command.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from search_spaces.architecture import Architecture
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import EpochMetrics, Kind, Status, Study, TestMetrics, Trial, TrialRecord
from trials.reference import Task

TASKS = tuple(f"task{i}" for i in range(10))
SEARCHED = ("twin", "resnet", "convnext")
CONFIG = SearchConfig(
    name="scale",
    tasks=TASKS,
    spaces=("flexconv", *SEARCHED),
    defaults=("twin_3x3", "twin_7x7"),
    population=200,
    repeats=8,
    seeds=10,
    long=20,
    search_trials=40,
    search_seeds=2,
)
"""10 x (3 x (200 + 8 + 20 + 2 x (40 + 3)) + 3 x (10 + 10 + 3)) = 10,110 trials."""
ROWS = 1000


def trial_record(
    rng: np.random.Generator,
    task: str,
    space: str,
    number: int,
    error: float,
    *,
    design: int,
    kind: Kind = "population",
    seed: int = 0,
    status: Status = "completed",
    selected_from: str | None = None,
) -> TrialRecord:
    """A record whose curve falls to `error` on both halves, but for the noise of seeds."""
    recipe = STANDARD.for_space(space)
    recipe = recipe.lengthened(4) if kind == "long" else recipe
    epochs = recipe.epochs - (status == "stopped")
    halves = np.clip(error + 0.004 * rng.standard_normal(2), 0, 1)
    taps = (3, 5, 7, 11)[design % 4]
    curve = []
    for epoch in range(1, epochs + 1):
        select, report = (round(ROWS * (e + (0.9 - e) * np.exp(-8 * epoch / epochs))) / ROWS for e in halves)
        curve.append(
            EpochMetrics(
                epoch=epoch,
                train_loss=2 * select,
                select_error=select,
                select_loss=2 * select,
                report_error=report,
                report_loss=2 * report,
                seconds_training=0.5 * epoch,
                seconds_evaluation=0.05 * epoch,
                kernel_sizes=((taps, taps),) * 5,
            )
        )
    failed = status == "failed"
    cost = int(rng.uniform(1e6, 9e6))
    test = TestMetrics(error=round(1000 * error) / 1000, loss=1.0, rows=1000, resamples=1000)
    return TrialRecord(
        trial=Trial(
            study=Study(task=task, space=space, kind=kind, seed=seed),
            number=number,
            task=Task(source=task),
            architecture=Architecture.of(space, design=design, **{f"kernel_{i}": taps for i in range(5)}),
            values={"design": design},
            recipe=recipe,
            seed=int(rng.integers(2**31)),
            selected_from=selected_from,
        ),
        status=status,
        reason="the training loss must be finite" if failed else "",
        curve=() if failed else tuple(curve),
        parameters=int(rng.uniform(1e4, 1e5)),
        multiply_adds=cost,
        training_multiply_adds=cost * 1000 * epochs,
        seconds_training=0.6 * epochs,
        rows_train=8000,
        rows_select=ROWS,
        rows_report=ROWS,
        classes=10,
        majority_error=0.9,
        digest=task,
        test=test if kind == "finalist" and not failed else None,
        started=number * 0.3 * epochs,  # two at a time
        finished=number * 0.3 * epochs + 0.6 * epochs,
        device="made up",
        host=f"of {task} {space} {kind} {seed}",
        software="numpy 2",
        commit="abc1234",
    )


def of_task(task: str, rng: np.random.Generator) -> list[TrialRecord]:
    """All trials of one task."""
    found = []
    for position, space in enumerate(SEARCHED):
        errors = 0.08 + 0.01 * position + rng.gamma(2.0, 0.02, CONFIG.population)
        for number in range(CONFIG.population + CONFIG.repeats):
            design = number % CONFIG.population
            status: Status = "failed" if number == 50 else "completed"
            found.append(trial_record(rng, task, space, number, errors[design], design=design, status=status))
        for number in range(CONFIG.long):
            error = 0.8 * errors[number]
            found.append(trial_record(rng, task, space, number, error, design=number, kind="long"))
        for seed in range(CONFIG.search_seeds):
            found += search(rng, task, space, seed, 0.08 + 0.01 * position)
    for space, level in (("flexconv", 0.09), ("twin_3x3", 0.12), ("twin_7x7", 0.1)):
        kinds: tuple[tuple[Kind, int], ...] = (("population", CONFIG.seeds), ("long", 10), ("finalist", 3))
        for kind, count in kinds:
            for number in range(count):
                found.append(trial_record(rng, task, space, number, level, design=0, kind=kind))
    return found


def search(rng: np.random.Generator, task: str, space: str, seed: int, level: float) -> list[TrialRecord]:
    """A search and the finalists of its best."""
    trials = []
    for number in range(CONFIG.search_trials):
        status: Status = "stopped" if number > 3 and rng.random() < 0.6 else "completed"
        error = level + float(rng.gamma(2.0, 0.02)) * (1 - number / 60)
        design = 1000 * (seed + 1) + number
        trials.append(
            trial_record(
                rng, task, space, number, error, design=design, kind="search", seed=seed, status=status
            )
        )
    completed = (each for each in trials if each.status == "completed")
    best = min(completed, key=lambda each: (each.select_error, each.trial.number))
    chosen = int(str(best.trial.values["design"]))
    finalists = [
        trial_record(
            rng,
            task,
            space,
            number,
            best.select_error + 0.01,
            design=chosen,
            kind="finalist",
            seed=seed,
            selected_from=best.trial.id,
        )
        for number in range(CONFIG.finalist_seeds)
    ]
    return trials + finalists


def write(path: Path) -> int:
    """Make the run directory; how many records it has."""
    rng, directory, count = np.random.default_rng(0), RunDirectory(path), 0
    directory.put("config.json", dumps(CONFIG))
    for task in TASKS:
        for found in of_task(task, rng):
            folder = path / "trials" / found.trial.id
            folder.mkdir(parents=True, exist_ok=True)  # without the care for a crash that a run takes
            (folder / "design.json").write_text(dumps(found.trial))
            (folder / "record.json").write_text(dumps(found))
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, help="run directory to make or, if it is there, to use")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = options.to or Path(temporary) / "run"
        count = len(list(path.glob("trials/*"))) or write(path)
        call = "from nas.cli import main; main()"
        if options.profile:
            call = "import cProfile; from nas.cli import main; cProfile.run('main()', sort='tottime')"
        command = [sys.executable, "-c", call, "compare", str(path)]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
        lines = done.stdout.splitlines()
        start = next((i for i, line in enumerate(lines) if "function calls" in line), len(lines) - 3)
        print(*lines[start : start + 40], done.stderr, sep="\n")
        print(f"{count:,} records: {wall:.1f} s ({processor:.1f} s of processor), {memory:.2f} GiB at most")
        print(
            f"{os.cpu_count()} processors, {sum(f.stat().st_size for f in path.rglob('*.json')) / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
