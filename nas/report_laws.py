"""Tables of a task's populations in parts: both laws, normalised for complexity, equal cost, choices."""

from __future__ import annotations

from nas.efficiency.equal_cost import EqualCost
from nas.efficiency.importance import Importance
from nas.efficiency.law import LEVELS, Law
from nas.efficiency.results import SpaceComparison, TaskComparison
from nas.efficiency.words import label, number, percent, plural, points, probability, share_span, signed
from nas.report_cells import Cell
from nas.report_tables import Table

SHOWN = 10
"""Choices of a space in the table, the most important ones."""


def populations(task: TaskComparison) -> tuple[SpaceComparison, ...]:
    """The spaces whose populations these tables take apart."""
    return (*task.spaces, *task.controls)


def law_table(task: TaskComparison) -> Table:
    """p and quantiles of every population under both laws, and p of its parts."""
    rows = []
    for space in populations(task):
        laws = space.laws
        if laws is None:
            continue
        for part in laws.parts:
            whole = part is laws.parts[0]
            failed = f", {part.failed} failed" if part.failed else ""
            rows.append(
                (
                    f"{label(space.space)}: {part.what}",
                    f"{part.designs}{failed}",
                    share_span(part.drawn),
                    "–" if part.effective is None else number(part.effective),
                    share_span(part.uniform),
                    _quantiles(laws.drawn) if whole else "–",
                    _quantiles(laws.uniform) if whole else "–",
                )
            )
    unknown = max((p.unknown for s in populations(task) if s.laws for p in s.laws.parts), default=0)
    caption = (
        "Match f, p under two laws: that of a random sampler, which draws the options of each choice "
        "alike, and the uniform one over designs, by importance weights; effective designs are those of "
        "equal weight that are worth as much. Shrunk within each part; a dash: fewer than 10 designs or "
        "effective ones, or weights that the records do not hold. Without a kernel size: designs that use "
        f"it in some choice are left out. Quantiles: {', '.join(f'{100 * level:.0f}' for level in LEVELS)} "
        "% of validation error."
    )
    if unknown:
        caption += (
            f" Failed designs whose complexity is not known are left out of such parts (up to {unknown})."
        )
    head = (
        "space and part",
        "designs",
        "p, sampler's law",
        "effective designs",
        "p, uniform law",
        "quantiles, sampler's law",
        "quantiles, uniform law",
    )
    return Table(caption, head, tuple(rows))


def _quantiles(law: Law | None) -> str:
    if law is None:
        return "–"
    return ", ".join("failed" if q is None else points(q) for q in law.quantiles) + " %"


def normalised_table(task: TaskComparison) -> Table:
    """Quartiles of every space with the distribution over complexity made uniform."""
    rows, reasons = [], []
    for found in task.normalised:
        if found.reason:
            reasons.append(f"Not by {found.by}: {found.reason}.")
        for space in found.spaces:
            failed = f", {space.failed} failed" if space.failed else ""
            low, middle, high = space.quartiles
            rows.append(
                (
                    f"{label(space.space)}, by {found.by}",
                    f"{number(found.low)} to {number(found.high)}",
                    f"{space.designs}{failed}",
                    number(space.effective),
                    str(found.empty),
                    f"{_error(middle)} ({_error(low)} to {_error(high)})",
                    _error(space.plain),
                )
            )
    caption = (
        "Normalised for complexity (Radosavovic et al. 2019): designs on the range of complexity that all "
        "spaces have, weighted so that each of 10 equal bins of its logarithm counts the same; bins that "
        "are empty for one space are dropped for all. Median and quartiles of validation error, beside "
        "the median of the whole population."
    )
    head = (
        "space",
        "common support",
        "designs inside",
        "effective designs",
        "bins dropped",
        "median (quartiles)",
        "plain median",
    )
    return Table(" ".join((caption, *reasons)), head, tuple(rows))


def _error(error: float | None) -> str:
    return "failed" if error is None else percent(error)


def equal_cost_table(task: TaskComparison) -> Table:
    """What the trials that k trainings of the single design pay for reach, beside the best of k seeds."""
    single = label(task.single.space) if task.single else ""
    rows = [
        (
            f"{label(space.space)}, {plural(each.trainings, 'training')}",
            str(each.n),
            _known(each.single),
            _known(each.best),
            _gain(each),
        )
        for space in populations(task)
        for each in space.equal_cost
    ]
    units = sorted({each.unit for space in populations(task) for each in space.equal_cost})
    caption = (
        f"At equal cost in {' and '.join(units)}: expected report error of the best (by select error) of "
        f"1, 2 and 4 seeds of {single}, and of the n random designs whose trials cost as much; jackknife "
        "intervals, none where more than half the seeds are used."
    )
    head = ("space, cost of", "n", f"best of as many seeds of {single}", "best of n designs", "difference")
    return Table(caption, head, tuple(rows))


def _known(error: float | None) -> str:
    return "–" if error is None else percent(error)


def _gain(each: EqualCost) -> str:
    if each.gain is None:
        return f"cannot say: {each.reason}"
    if each.gain.low is None and each.gain.high is None:
        value = each.gain.value or 0.0
        return Cell(f"{points(abs(value))} points {'better' if value >= 0 else 'worse'}", value)
    return Cell(signed(each.gain, "better", "worse"), each.gain.value or 0.0)


def importance_table(task: TaskComparison) -> Table:
    """What the choices of every space explain of its spread."""
    rows = [
        (
            f"{label(space.space)}: {each.choice}",
            f"{each.designs}{f', {each.failed} failed' if each.failed else ''}",
            f"{max(0.0, 100 * each.share):.0f} %",
            probability(each.p),
            probability(each.p_holm),
            _options(each),
        )
        for space in populations(task)
        for each in space.importance[:SHOWN]
    ]
    hidden = [
        f"{len(space.importance) - SHOWN} less important choices of {label(space.space)} are in report.json."
        for space in populations(task)
        if len(space.importance) > SHOWN
    ]
    caption = (
        "Importance of a choice: share of the variance of validation error between its options (omega "
        "squared, main effect; noise of seeds is in the variance), among designs in which it is asked and "
        "that did not fail; permutation test, adjusted for the choices of the space (Holm); mean error of "
        "each option."
    )
    head = ("space: choice", "designs", "share of variance", "p", "p, Holm", "mean error by option")
    return Table(" ".join((caption, *hidden)), head, tuple(rows))


def _options(each: Importance) -> str:
    return "; ".join(f"{option.option}: {_error(option.error)}" for option in each.options)
