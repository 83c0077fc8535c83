"""Records made by hand or by a small simulator: what the comparison is tested on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from nas.efficiency import Plan, SpaceComparison, TaskComparison, compare_records
from search_spaces.architecture import Architecture
from trials.recipe import STANDARD, Recipe
from trials.record import EpochMetrics, Interval, Kind, Status, Study, TestMetrics, Trial, TrialRecord
from trials.reference import Task

ROWS = 400
PLAN = Plan(single="flexconv", searched=("twin",), defaults=("twin_3x3", "twin_7x7"), budget=20)


def around(level: float) -> list[float]:
    """Errors of five seeds with this mean."""
    return [level + offset for offset in (-0.002, -0.001, 0.0, 0.001, 0.002)]


def spread(low: float, count: int = 100) -> list[float]:
    """Errors whose expected best of 20 of 100 is close to `low`."""
    return [low + 0.0002 * i for i in range(count)]


def compare_one(
    records: list[TrialRecord], plan: Plan = PLAN, size: int | None = None
) -> tuple[TaskComparison, SpaceComparison]:
    """The only task of a comparison, and its first searched space, of `size` designs."""
    comparison = compare_records(records, plan, {("digits", "twin"): size} if size else None)
    assert len(comparison.tasks) == 1
    return comparison.tasks[0], comparison.tasks[0].spaces[0]


def design(number: int, family: str = "twin") -> Architecture:
    """A design that differs from that of any other number."""
    return Architecture.of(family, number=number)


def record(
    space: str = "twin",
    number: int = 0,
    error: float = 0.1,
    *,
    task: str = "digits",
    kind: Kind = "population",
    status: Status = "completed",
    study_seed: int = 0,
    seed: int | None = None,
    architecture: Architecture | None = None,
    report_error: float | None = None,
    test_error: float | None = None,
    selected_from: str | None = None,
    seconds: float = 10.0,
    multiply_adds: int = 1_000_000,
    kernel_sizes: tuple[tuple[int, ...], ...] = ((3, 3), (5, 5)),
    first_kernel_sizes: tuple[tuple[int, ...], ...] | None = None,
    recipe: Recipe = STANDARD,
    rows: int = ROWS,
    device: str = "cpu-a",
) -> TrialRecord:
    """A record. `error` is that of the select half, and of the report half unless given.

    It has all epochs of its recipe (a stopped one all but the last), the first with `first_kernel_sizes`.
    """
    metrics = EpochMetrics(
        epoch=1,
        train_loss=1.0,
        select_error=error,
        select_loss=1.0,
        report_error=error if report_error is None else report_error,
        report_loss=1.0,
        seconds_training=seconds,
        seconds_evaluation=0.0,
        kernel_sizes=kernel_sizes,
    )
    first = replace(metrics, kernel_sizes=first_kernel_sizes or kernel_sizes)
    later = range(2, recipe.epochs + (status != "stopped"))
    failed = status == "failed"
    return TrialRecord(
        trial=Trial(
            study=Study(task=task, space=space, kind=kind, seed=study_seed),
            number=number,
            task=Task(source=task),
            architecture=architecture or design(number, space),
            values={"number": number},
            recipe=recipe,
            seed=number if seed is None else seed,
            selected_from=selected_from,
        ),
        status=status,
        reason="loss is not finite" if failed else "",
        curve=() if failed else (first, *(replace(metrics, epoch=epoch) for epoch in later)),
        parameters=10_000,
        multiply_adds=multiply_adds,
        training_multiply_adds=multiply_adds * 1000,
        seconds_training=seconds,
        rows_train=1000,
        rows_select=rows,
        rows_report=rows,
        classes=10,
        majority_error=0.9,
        test=None if test_error is None else tested(test_error),
        started=float(number),
        finished=float(number) + seconds,
        device=device,
        software="numpy",
        commit="abc1234",
    )


def tested(error: float) -> TestMetrics:
    """A look at 500 test rows, with made-up metrics and intervals, of which AUROC's is missing."""
    return TestMetrics(
        error=error,
        loss=1.0,
        rows=500,
        resamples=1000,
        balanced_accuracy=1 - error,
        auroc=0.9954,
        error_interval=Interval(low=error / 2, high=2 * error),
        loss_interval=Interval(low=0.9, high=1.1),
        balanced_accuracy_interval=Interval(low=1 - 2 * error, high=1 - error / 2),
    )


def population(errors: Iterable[float], space: str = "twin", **more: object) -> list[TrialRecord]:
    """Distinct designs with the given errors; infinity is a failed trial."""
    return [
        record(space, i, float(e), status="completed" if np.isfinite(e) else "failed", **more)
        for i, e in enumerate(errors)
    ]


def seeds(errors: Iterable[float], space: str = "flexconv", **more: object) -> list[TrialRecord]:
    """One design over seeds."""
    return [
        record(
            space,
            i,
            float(e),
            architecture=design(0, space),
            status="completed" if np.isfinite(e) else "failed",
            **more,
        )
        for i, e in enumerate(errors)
    ]


def full_run(tasks: tuple[str, ...] = ("digits", "mnist5k", "speech"), size: int = 100) -> list[TrialRecord]:
    """Populations, repeats, seeds, defaults, searches and finalists of several tasks, from one generator."""
    rng = np.random.default_rng(7)
    records: list[TrialRecord] = []
    for position, task in enumerate(tasks):
        level = (0.08, 0.06, 0.2)[position % 3]
        gap = (0.03, 0.0, -0.05)[position % 3]
        shift = rng.gamma(2.0, 0.02, size)
        for i in range(size):
            kernels = ((int(rng.choice([3, 5, 7])),) * 2, (int(rng.choice([3, 5, 7, 11])),) * 2)
            for repeat in range(2 if i < 8 else 1):
                error, report = np.clip(level + gap + shift[i] + rng.normal(0, 0.004, 2), 0, 1)
                records.append(
                    record(
                        "twin",
                        i + repeat * size,
                        error,
                        task=task,
                        report_error=report,
                        architecture=design(i),
                        status="failed" if i == 20 else "completed",
                        seconds=float(rng.uniform(8, 14)),
                        multiply_adds=int(rng.uniform(5e5, 4e6)),
                        kernel_sizes=kernels,
                    )
                )
        for space, offset, cost in (
            ("flexconv", 0.0, 2e6),
            ("twin_3x3", 0.03, 9e5),
            ("twin_7x7", 0.015, 3e6),
        ):
            for i in range(5):
                error, report = level + offset + rng.normal(0, 0.004, 2)
                taps = (int(rng.integers(5, 13)),) * 2
                records.append(
                    record(
                        space,
                        i,
                        error,
                        task=task,
                        report_error=report,
                        architecture=design(0, space),
                        seconds=15.0,
                        multiply_adds=int(cost),
                        kernel_sizes=(taps, taps[::-1]),
                    )
                )
        for search in range(3):
            found = []
            for i in range(30):
                error = level + gap + float(rng.gamma(2.0, 0.02)) * (1 - i / 60)
                stopped = bool(rng.random() < 0.6) and i > 3
                found.append(
                    record(
                        "twin",
                        i,
                        error + 0.1 * stopped,
                        task=task,
                        kind="search",
                        study_seed=search,
                        status="stopped" if stopped else "completed",
                        seconds=3.0 if stopped else 11.0,
                        architecture=design(1000 * (search + 1) + i),
                    )
                )
            records += found
            best = min((r for r in found if r.status == "completed"), key=lambda r: r.select_error)
            for i in range(3):
                test = best.select_error + 0.01 + float(rng.normal(0, 0.004))
                records.append(
                    record(
                        "twin",
                        i,
                        best.select_error,
                        task=task,
                        kind="finalist",
                        study_seed=search,
                        seed=100 + i,
                        architecture=best.trial.architecture,
                        test_error=test,
                        selected_from=best.trial.id,
                    )
                )
        for i in range(3):
            records.append(
                record(
                    "flexconv",
                    i,
                    level,
                    task=task,
                    kind="finalist",
                    seed=100 + i,
                    architecture=design(0, "flexconv"),
                    test_error=level + float(rng.normal(0, 0.004)),
                )
            )
    return records
