"""What the trials of a plan cost on this machine, before it begins, and how many the time allows.

    python -m benchmarks.trial_costs docs/results/plans.py:primary --hours 5

Of every task and space a few designs, drawn as the run draws them, train one epoch and validate; the seconds
of the processor, times the epochs, are the cost of a trial. Trials of a search are charged in full, though
many are stopped early. ``twin_learned`` is not known beforehand and is charged as the single design.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch
from rich.console import Console

from nas.config import SearchConfig
from nas.open_space import open_spaces
from nas.opening import open_tasks
from nas.presets import load
from nas.studies import Maker
from search_spaces.controls import AFTER_EACH
from trials import surroundings
from trials.recipe import LONG
from trials.task import open_task
from trials.training import run_trial


def seconds(maker: Maker, designs: int) -> list[float]:
    """Processor seconds of a whole trial of each design."""
    data = open_task(maker.task)
    spent = []
    for number, values in enumerate(maker.designs(maker.config.constraints)[:designs]):
        trial = maker.trial(maker.study("population"), number, values)
        began = time.process_time()
        record = run_trial(replace(trial, recipe=replace(trial.recipe, epochs=1)), data)
        if record is None or record.status != "completed":
            raise SystemExit(f"{trial.id} failed: {record.reason if record else 'paused'}")
        spent.append((time.process_time() - began) * trial.recipe.epochs)
    return spent


def counts(config: SearchConfig, name: str, size: int, tasks: int) -> dict[str, float]:
    """Trials of each kind that one of so many tasks has in a space of so many designs; long ones count 4."""
    single = size == 1
    if name in config.described:
        return {"population": min(size, config.described_designs)}
    drawn = config.seeds if single else min(size, config.population) + min(size, config.repeats)
    if name in config.controls:
        return {"population": drawn}
    searches = 0 if single else config.searches
    return {
        "population": drawn,
        "search": searches * config.search_trials,
        "finalist": (1 if single else searches) * config.finalist_seeds,
        "long": LONG * min(config.long, config.seeds if single else size),
        "transfer": 0 if single else config.transfer * (2 * tasks - 1),
    }


def main() -> None:
    """Print a line for every task and space, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="a preset's name, or file.py:function")
    parser.add_argument("--designs", type=int, default=6, help="of every space, one epoch each")
    parser.add_argument("--hours", type=float, default=5.0, help="that the run may take")
    parser.add_argument("--slots", type=int, default=2, help="trials side by side")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as a trial of a run
    config = load(options.config)
    console = Console(stderr=True)
    print(f"commit {surroundings.commit()}, {surroundings.processor()}, {surroundings.software()}\n")
    print("| task | space | seconds a trial, median | least | most | charged as trials | hours of a slot |")
    print("| --- " * 7 + "|")
    whole = grows = 0.0
    tasks = open_tasks(config, console)
    for task in tasks:
        for name, space in open_spaces(config, task.shape).items():
            known = config.single if name in AFTER_EACH else name
            opened = open_spaces(config, task.shape)[known]
            spent = seconds(
                Maker(config=config, task=task.task, shape=task.shape, space=opened), options.designs
            )
            trials = counts(config, name, space.size, len(tasks))
            hours = sum(trials.values()) * statistics.mean(spent) / 3600
            whole += hours
            if space.size > config.population and name not in config.described:
                grows += statistics.mean(spent) / 3600
            print(
                f"| {task.task.name} | {name} | {statistics.median(spent):.1f} | {min(spent):.1f} | "
                f"{max(spent):.1f} | {sum(trials.values()):.0f} | {hours:.2f} |",
                flush=True,
            )
    left = options.hours * options.slots - whole
    most = max(0, config.population + int(left / grows)) if grows else config.population
    print(
        f"\n{whole:.1f} hours of one slot, {whole / options.slots:.1f} on {options.slots}. Populations can "
        f"have {most} designs each in {options.hours:g} hours; the plan says {config.population}."
    )


if __name__ == "__main__":
    main()
