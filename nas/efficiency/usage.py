"""What a design costs in training and in use, next to its error."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.efficiency.controls import is_fixed
from nas.efficiency.plan import Plan
from trials.record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Means over the trainings of one design (of a space's finalists: of each search's).

    Attributes:
        of: which design: ``"finalists"``, ``"best by select error"`` or ``"fixed"``.
        trainings: that ended, n of every mean.
        parameters, multiply_adds: of one forward pass on one row.
        report_error, report_sd: over trainings; sd None for one.
        training_multiply_adds, training_executed: of one training, canonical and as its backends ran.
        steps: of one training, from its epochs, rows and batch.
        seconds_per_step: wall seconds of forward, backward and step, the median over trainings, since a few
            may have run beside other work; None with several device models.
        latency_seconds: of a forward pass on one row, median over finalists of the space, None without.
        joules: of one training; None where any is unknown or they cover different things.
        peak_memory_bytes: largest resident memory of the process, over trainings.
        peak_device_bytes: the same of the accelerator, None without one.
    """

    space: str
    of: str
    trainings: int
    report_error: float
    report_sd: float | None
    parameters: float
    multiply_adds: float
    training_multiply_adds: float
    training_executed: float
    steps: float
    seconds_per_step: float | None
    latency_seconds: float | None
    joules: float | None
    joules_of: str
    peak_memory_bytes: int
    peak_device_bytes: int | None


def usage_of(records: Sequence[TrialRecord], plan: Plan, *, one_device: bool) -> tuple[Usage, ...]:
    """The fixed designs, and of each other space its finalists, else its best design by select error.

    Args:
        records: of one task, any kind.
        plan: roles of the spaces.
        one_device: one device model and share for all; else seconds, latency and joules are None.
    """
    found = (
        _of_space(space, records, plan, one_device and space not in plan.described)
        for space in plan.all_spaces
    )
    return tuple(usage for usage in found if usage is not None)


def _of_space(space: str, records: Sequence[TrialRecord], plan: Plan, one_device: bool) -> Usage | None:
    ended = [r for r in records if r.trial.study.space == space and r.status == "completed"]
    random = [r for r in ended if r.trial.study.kind == "population"]
    finalists = [r for r in ended if r.trial.study.kind == "finalist"]
    if space in (plan.single, *plan.defaults) or (space in plan.controls and is_fixed(random)):
        of, shown = "fixed", random
    elif finalists:
        of, shown = "finalists", finalists
    else:
        seen = [r for r in ended if r.trial.study.kind in ("population", "search")]
        of, shown = "best by select error", sorted(seen, key=lambda r: (r.select_error, r.trial.id))[:1]
    if not shown:
        return None

    def mean(measure: Callable[[TrialRecord], float]) -> float:
        return statistics.fmean(map(measure, shown))

    errors = [record.report_error for record in shown]
    joules = [record.joules for record in shown if record.joules is not None]
    covered = {record.joules_of for record in shown}
    latency = [r.latency_seconds for r in finalists if r.latency_seconds is not None]
    on_device = [r.peak_device_bytes for r in shown if r.peak_device_bytes is not None]
    comparable = one_device and len(joules) == len(shown) and len(covered) == 1
    return Usage(
        space=space,
        of=of,
        trainings=len(shown),
        report_error=statistics.fmean(errors),
        report_sd=statistics.stdev(errors) if len(errors) > 1 else None,
        parameters=mean(lambda r: r.parameters),
        multiply_adds=mean(lambda r: r.multiply_adds),
        training_multiply_adds=mean(lambda r: r.training_multiply_adds),
        training_executed=mean(lambda r: r.training_executed),
        steps=mean(steps_of),
        seconds_per_step=statistics.median(r.seconds_training / steps_of(r) for r in shown)
        if one_device
        else None,
        latency_seconds=statistics.median(latency) if latency and one_device else None,
        joules=statistics.fmean(joules) if comparable else None,
        joules_of=covered.pop() if comparable else "",
        peak_memory_bytes=max(record.peak_memory_bytes for record in shown),
        peak_device_bytes=max(on_device) if len(on_device) == len(shown) else None,
    )


def steps_of(record: TrialRecord) -> int:
    """Optimiser steps a training did: epochs x whole batches of the training rows, at least one an epoch."""
    return len(record.curve) * max(1, record.rows_train // record.trial.recipe.batch_size)
