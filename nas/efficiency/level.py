"""One fixed design over its seeds: the single design, a default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Floats, Interval, moments, welch
from nas.efficiency.halves import report_errors
from nas.efficiency.selection import population_of
from trials.record import TrialRecord

DefaultVerdict = Literal["better than the default", "worse", "cannot say"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One fixed design (the single design, a default) over its seeds.

    Attributes:
        seeds: trainings that ended; `failed` come on top.
        error, select_error, report_error: means over seeds of both validation halves, and of each.
        error_sd, report_sd: standard deviations over seeds, None for one seed.
        seconds, training_multiply_adds: of all its trainings, failed ones too, per training that ended;
            seconds None where those of the task are not compared.
        difference: its report error minus the single design's (Welch); None for the single design.
        verdict: on the single design against this default.
        multiply_adds, parameters: means over seeds.
    """

    space: str
    seeds: int
    failed: int
    error: float | None
    error_sd: float | None
    select_error: float | None
    report_error: float | None
    report_sd: float | None
    seconds: float | None
    training_multiply_adds: float
    multiply_adds: float
    parameters: float
    difference: Estimate | None = None
    verdict: DefaultVerdict | None = None


def level_of(
    space: str, records: Sequence[TrialRecord], *, one_device: bool
) -> tuple[Level | None, list[str]]:
    """Summary of a fixed design over its seeds; more than one design in its space is refused."""
    designs = population_of(records).trials
    if len(designs) > 1:
        raise ValueError(
            f"{space} is planned as a single design but has {len(designs)} designs on "
            f"{records[0].trial.study.task}; name it under `searched`"
        )
    return level_over(space, records, one_device=one_device)


def level_over(
    name: str, records: Sequence[TrialRecord], *, one_device: bool
) -> tuple[Level | None, list[str]]:
    """Summary of trainings of one design, whatever their kind, and a note where some failed."""
    if not records:
        return None, []
    level = summary(name, records, one_device=one_device)
    notes = [f"{level.failed} of {len(records)} trainings of {name} failed."]
    return level, notes if level.failed else []


def summary(space: str, records: Sequence[TrialRecord], *, one_device: bool) -> Level:
    """Means over trainings, at least one, of whatever designs; costs are charged to those that ended."""
    ended = [record for record in records if record.status == "completed"]

    def mean(name: str) -> float:
        return float(np.mean([getattr(record, name) for record in ended])) if ended else 0.0

    def spread(name: str) -> float | None:
        return float(np.std([getattr(r, name) for r in ended], ddof=1)) if len(ended) > 1 else None

    return Level(
        space=space,
        seeds=len(ended),
        failed=len(records) - len(ended),
        error=mean("error") if ended else None,
        error_sd=spread("error"),
        select_error=mean("select_error") if ended else None,
        report_error=mean("report_error") if ended else None,
        report_sd=spread("report_error"),
        seconds=sum(r.seconds for r in records) / max(len(ended), 1) if one_device else None,
        training_multiply_adds=sum(record.training_multiply_adds for record in records) / max(len(ended), 1),
        multiply_adds=mean("multiply_adds"),
        parameters=mean("parameters"),
    )


def learned_nothing(level: Level, majority_error: float, rows: int) -> bool:
    """Whether a fixed design is within two standard errors of knowing nothing, or worse.

    Its error is held against that of always answering the most frequent class, both on `rows` validation
    rows; the standard error is that of so many rows at the majority's error and of the seeds.
    """
    if level.error is None or not rows:
        return False
    noise = majority_error * (1 - majority_error) / rows + (level.error_sd or 0.0) ** 2 / level.seeds
    return level.error >= majority_error - 2 * math.sqrt(noise)


def against(default: Level, records: Sequence[TrialRecord], single: Sequence[TrialRecord]) -> Level:
    """A default with its report error minus the single design's; failures leave the interval open."""
    difference = report_difference(records, single)
    if difference is None:
        return dataclasses.replace(default, verdict="cannot say")
    verdict: DefaultVerdict = "cannot say"
    if difference.low > 0:
        verdict = "better than the default"
    elif difference.high < 0:
        verdict = "worse"
    return dataclasses.replace(default, difference=estimate(difference), verdict=verdict)


def report_difference(records: Sequence[TrialRecord], single: Sequence[TrialRecord]) -> Interval | None:
    """Mean report error minus that of `single`, by `difference`."""
    return difference(report_errors(records), report_errors(single), step_of(records))


def step_of(records: Iterable[TrialRecord]) -> float:
    """What one report row is of an error on a task; 0 where nothing ended."""
    return 1 / max(
        (r.rows_report for r in records if r.status != "failed" and r.rows_report), default=math.inf
    )


def difference(a: Floats, b: Floats, step: float) -> Interval | None:
    """Mean of a minus mean of b over the errors that are finite, by `welch`; None with under two on a side.

    A failed training is an infinite error: it can only make its side worse, by any amount, and leaves the
    interval open there. `step` is what one row is of an error (`estimators.moments`).
    """
    finished_a, finished_b = a[np.isfinite(a)], b[np.isfinite(b)]
    if len(finished_a) < 2 or len(finished_b) < 2:
        return None
    found = welch(moments(finished_a, step), moments(finished_b, step))
    return Interval(
        found.value,
        -math.inf if len(finished_b) < len(b) else found.low,
        math.inf if len(finished_a) < len(a) else found.high,
    )
