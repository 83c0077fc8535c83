"""Error against what a design costs in use: fronts, what they cover, which fixed designs they dominate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nas.efficiency.level import Level
from nas.efficiency.selection import population_of
from trials.record import TrialRecord

Cost = Literal["multiply_adds", "parameters"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontPoint:
    """A design: picked by its select error, shown by its report error."""

    trial: str
    cost: float
    select_error: float
    report_error: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """A space's front of error against one cost; of a fixed design its one point, means over seeds.

    Attributes:
        designs: N, random designs the front was picked from; a larger N can only gain.
        points: not dominated by select error and cost, cheapest first.
        hypervolume: see `hypervolume`; None where all costs are the same, or nothing is known of guessing.
        dominated_by: of a fixed design: spaces whose front holds a design that is no worse in report error
            and cost and better in one. One design is picked from many there: noise favours it.
    """

    space: str
    cost: Cost
    designs: int
    points: tuple[FrontPoint, ...]
    hypervolume: float | None
    dominated_by: tuple[str, ...] = ()


def fronts_of(
    populations: Mapping[str, Sequence[TrialRecord]], fixed: Sequence[Level], majority_error: float | None
) -> tuple[Front, ...]:
    """Fronts of the fixed designs, then of the spaces, against multiply-adds, then against parameters.

    Args:
        populations: space -> its population's records; first trainings of designs that did not fail count.
        fixed: designs trained over seeds; those that failed in every one are left out.
        majority_error: of always answering the most frequent class: the reference for errors. For costs it
            is the largest of all designs compared. Neither looks at an error of a design.
    """
    drawn = {space: population_of(records).first for space, records in populations.items()}
    ended = {space: [r for r in trials if r.status == "completed"] for space, trials in drawn.items()}
    known = [level for level in fixed if level.report_error is not None]
    found: list[Front] = []
    costs: tuple[Cost, ...] = ("multiply_adds", "parameters")
    for cost in costs:
        fronts = {
            space: _picked([_point(record, cost) for record in trials])
            for space, trials in ended.items()
            if trials
        }
        marks = {
            level.space: FrontPoint(
                trial="",
                cost=float(getattr(level, cost)),
                select_error=level.select_error or 0.0,
                report_error=level.report_error or 0.0,
            )
            for level in known
        }
        all_costs = [getattr(record, cost) for trials in ended.values() for record in trials]
        all_costs += [mark.cost for mark in marks.values()]
        found += [
            Front(
                space=space,
                cost=cost,
                designs=1 if space in marks else len(drawn[space]),
                points=points,
                hypervolume=hypervolume(points, majority_error, all_costs),
                dominated_by=tuple(
                    other
                    for other, front in fronts.items()
                    if any(_dominates(p, marks[space]) for p in front)
                )
                if space in marks
                else (),
            )
            for space, points in {**{space: (mark,) for space, mark in marks.items()}, **fronts}.items()
        ]
    return tuple(found)


def _point(record: TrialRecord, cost: Cost) -> FrontPoint:
    return FrontPoint(
        trial=record.trial.id,
        cost=float(getattr(record, cost)),
        select_error=record.select_error,
        report_error=record.report_error,
    )


def _picked(points: Sequence[FrontPoint]) -> tuple[FrontPoint, ...]:
    """Those that no other is at most as expensive as with a lower select error, or cheaper at the same."""
    front: list[FrontPoint] = []
    for point in sorted(points, key=lambda p: (p.cost, p.select_error, p.trial)):
        if not front or point.select_error < front[-1].select_error:
            front.append(point)
    return tuple(front)


def _dominates(a: FrontPoint, b: FrontPoint) -> bool:
    return (a.report_error, a.cost) != (b.report_error, b.cost) and (
        a.report_error <= b.report_error and a.cost <= b.cost
    )


def hypervolume(
    points: Sequence[FrontPoint], majority_error: float | None, costs: Sequence[float]
) -> float | None:
    """Share, in [0, 1], of the plane of error and log cost that is dominated (Zitzler and Thiele 1999).

    With c the largest and c0 the smallest of `costs` and m the majority error, a point of cost x and report
    error e covers [0, u] x [0, v], u = log(c / x) / log(c / c0), v = (m - e) / m, nothing where v < 0. The
    area of the union of these rectangles. 1: no error at the smallest cost.

    Returns:
        None where m is unknown or 0, or all costs are the same.
    """
    if not majority_error or min(costs) <= 0 or max(costs) == min(costs):
        return None
    largest, width = max(costs), math.log(max(costs) / min(costs))
    corners = [
        (math.log(largest / p.cost) / width, (majority_error - p.report_error) / majority_error)
        for p in points
    ]
    area = height = 0.0
    for u, v in sorted(corners, reverse=True):  # the widest first: each adds what is above those before
        area += u * max(0.0, v - height)
        height = max(height, v)
    return area
