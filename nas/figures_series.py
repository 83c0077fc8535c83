"""The figure of tasks that differ in one thing."""

from __future__ import annotations

from nas.drawing import DASHES, DEFAULTS, SINGLE, Dash, Figure, Series, drawn, searched
from nas.efficiency.series import TaskSeries
from nas.efficiency.words import label, percent
from nas.report_series import AXES, TITLES


def series_figure(found: TaskSeries, single: str) -> Figure:
    """Report error of every fixed design and space against what differs; bands are sd over trainings."""
    series, words = [], []
    for line, (colour, dash) in zip(found.lines, _looks(found, single)):
        points: list[tuple[float | None, ...]] = []
        for point in line.points:
            if point.at is not None and point.error is not None:
                spread = () if point.sd is None else (point.error - point.sd, point.error + point.sd)
                points.append((point.at, *(100 * each for each in (point.error, *spread))))
                words.append(f"{label(line.space)} at {point.at:g}: {percent(point.error)}")
        if points:
            name = f"{label(line.space)} ({line.of})"
            series.append(Series(name, line.space, tuple(points), colour, dash, marker="o", legend=name))
    return drawn(
        series,
        words,
        f"{TITLES[found.by]} on {found.dataset}.",
        "Report error of trainings on each of these tasks, the single design and the defaults over seeds; "
        "bands: one standard deviation over trainings, none for an expected best of n random designs. The "
        "table below has the n of each.",
        AXES[found.by],
        "report error (%)",
        f"series {found.dataset} {found.by}",
        logarithmic=True,
    )


def _looks(found: TaskSeries, single: str) -> list[tuple[str, Dash]]:
    """Colour and line of each, those of the other figures."""
    fixed = [line.space for line in found.lines if line.of == "seeds" and line.space != single]
    drawn = [line.space for line in found.lines if line.of != "seeds"]
    looks: list[tuple[str, Dash]] = []
    for line in found.lines:
        if line.space == single:
            looks.append((SINGLE, "-"))
        elif line.space in drawn:
            looks.append(searched(drawn.index(line.space)))
        else:
            i = fixed.index(line.space)
            looks.append((DEFAULTS[i % len(DEFAULTS)], DASHES[i % len(DASHES)]))
    return looks
