"""Two budgets of epochs: what designs reach at B and at 4B, and whether their ranks agree."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.efficiency.estimators import rank_correlation
from trials.record import TrialRecord

PREDICTS = 0.6
"""Rank correlation, at two decimals, below which errors at B do not predict those at 4B."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Trainings at one number of epochs. Errors are report errors; None without a training that ended.

    Attributes:
        trainings: that the errors are of: of a fixed design those that ended, of several designs those of
            designs whose trainings at both budgets ended.
        failed: at this budget.
        mean, sd: over trainings; sd None for one.
        best: of the training with the lowest select error.
        seconds, training_multiply_adds: of all trainings at this budget, failed ones too, per training that
            ended; None without one.
    """

    epochs: int
    trainings: int
    failed: int
    mean: float | None
    sd: float | None
    best: float | None
    seconds: float | None = None
    training_multiply_adds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Budgets:
    """A space at B (`short`) and at 4B epochs (`long`).

    Attributes:
        designs: n, trained at both; of a space with one design `short` and `long` are over its seeds.
        correlation, low, high: Spearman's, of the designs' validation errors (both halves) at B and 4B, and
            its 95 % interval; None where fewer than 4 designs, or no differing errors, are there.
    """

    space: str
    designs: int
    short: Budget
    long: Budget
    correlation: float | None
    low: float | None
    high: float | None


def budgets_of(space: str, records: Sequence[TrialRecord], fixed: bool) -> Budgets | None:
    """What a space's trials say of the two budgets, None without a long one (of a design that B has).

    Args:
        records: of one task and space, any kind: first trainings of the population and long trials count.
        fixed: the space has one design; all its seeds count.
    """
    short, long = trained_at_both(records, fixed)
    if not long:
        return None
    found = None
    both = {record.trial.architecture.id for record in (*short, *long)}
    if not fixed:
        found = rank_correlation(*(np.array([r.error for r in each], float) for each in (short, long)))
        both -= {r.trial.architecture.id for r in (*short, *long) if r.status != "completed"}
    value, low, high = found or (None, None, None)
    designs = len({record.trial.architecture.id for record in long})
    return Budgets(
        space=space,
        designs=designs,
        short=_budget(short, both),
        long=_budget(long, both),
        correlation=value,
        low=low,
        high=high,
    )


def trained_at_both(
    records: Sequence[TrialRecord], fixed: bool
) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Trainings at B and at 4B: of a fixed design all, of several designs the first of each that has both."""
    short, long = ([r for r in records if r.trial.study.kind == kind] for kind in ("population", "long"))
    if fixed:
        return short, long
    first, again = _first(short), _first(long)
    short, long = ([each[design] for design in again if design in first] for each in (first, again))
    return short, long


def _first(records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """The first training of every design, in the order of their numbers."""
    found: dict[str, TrialRecord] = {}
    for record in sorted(records, key=lambda record: (record.trial.study.seed, record.trial.number)):
        found.setdefault(record.trial.architecture.id, record)
    return found


def _budget(records: Sequence[TrialRecord], designs: Container[str]) -> Budget:
    failed = sum(record.status != "completed" for record in records)
    ended = [r for r in records if r.status == "completed" and r.trial.architecture.id in designs]
    errors = np.array([record.report_error for record in ended])
    best = min(ended, key=lambda record: (record.select_error, record.trial.number), default=None)
    completed = len(records) - failed

    def per_training(costs: Iterable[float]) -> float | None:
        return sum(costs) / completed if completed else None

    return Budget(
        epochs=max((record.trial.recipe.epochs for record in records), default=0),
        trainings=len(ended),
        failed=failed,
        mean=float(errors.mean()) if len(errors) else None,
        sd=float(errors.std(ddof=1)) if len(errors) > 1 else None,
        best=best.report_error if best else None,
        seconds=per_training(record.seconds for record in records),
        training_multiply_adds=per_training(float(record.training_multiply_adds) for record in records),
    )
