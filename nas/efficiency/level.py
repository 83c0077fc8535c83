"""One fixed design over its seeds: the single design, a default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Interval, moments, welch
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
    space: str, records: Sequence[TrialRecord], *, one_device: bool = True
) -> tuple[Level | None, list[str]]:
    """Summary of a fixed design over its seeds; more than one design in its space is refused."""
    designs = population_of(records).trials
    if len(designs) > 1:
        raise ValueError(
            f"{space} is planned as a single design but has {len(designs)} designs on "
            f"{records[0].trial.study.task}; name it under `searched`"
        )
    if not records:
        return None, []
    level = summary(space, records, one_device=one_device)
    notes = [f"{level.failed} of {len(records)} trainings of {space} failed."]
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
    """Mean report error minus that of `single` (Welch), None without two ended trainings on each side."""
    a = np.array([record.report_error for record in records])
    b = np.array([record.report_error for record in single])
    finished_a, finished_b = a[np.isfinite(a)], b[np.isfinite(b)]
    if len(finished_a) < 2 or len(finished_b) < 2:
        return None
    row = 1 / max(record.rows_report for record in records if record.status != "failed")
    difference = welch(moments(finished_a, row), moments(finished_b, row))
    # A failed training is an infinite error: it can only make its side worse, by any amount.
    return Interval(
        difference.value,
        -math.inf if len(finished_b) < len(b) else difference.low,
        math.inf if len(finished_a) < len(a) else difference.high,
    )
