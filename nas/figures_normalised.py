"""The figure of distributions normalised for complexity."""

from __future__ import annotations

from nas.drawing import Figure, Series, drawn, searched
from nas.efficiency.results import TaskComparison
from nas.efficiency.words import label, number, percent


def normalised_figure(task: TaskComparison) -> Figure:
    """Weighted EDF of every space on the common support, of multiply-adds where there is one."""
    found = next(each for each in task.normalised if each.spaces)
    shown = [100 * error for space in found.spaces for error in space.errors]
    room = 0.04 * (max(shown) - min(shown)) or 0.5
    left, right = min(shown) - room, max(shown) + room
    order = [space.space for space in (*task.spaces, *task.controls)]
    series, words = [], []
    for space in found.spaces:
        failed = f", {space.failed} failed" if space.failed else ""
        name = f"{label(space.space)} ({space.designs} inside{failed}, worth {number(space.effective)})"
        steps = ((left, 0.0), *((100 * e, s) for e, s in zip(space.errors, space.shares)))
        colour, line = searched(order.index(space.space))
        points = (*steps, (right, steps[-1][1]))
        series.append(Series(name, space.space, points, colour, line, style="step", legend=name))
        words.append(f"{name}: median {percent(space.quartiles[1])}")
    return drawn(
        series,
        words,
        "Error at the same complexity.",
        f"Share of designs at or below each validation error, weighted so that {found.by} are uniform, on "
        f"a logarithmic scale, from {number(found.low)} to {number(found.high)}, which all spaces have; 10 "
        f"bins, {found.empty} dropped since a space has no design there. Designs inside, and how many of "
        "equal weight they are worth, are in the legend.",
        "validation error (%)",
        "share of the weight",
        f"normalised {task.task}",
        limits=((left, right), (0, 1)),
    )
