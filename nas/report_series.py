"""Tables of tasks that differ in one thing, and of finalists at other sampling rates."""

from __future__ import annotations

from nas.efficiency.results import Comparison, TaskComparison
from nas.efficiency.series import SeriesPoint, TaskSeries
from nas.efficiency.words import label, percent, plural, points
from nas.report_cells import Cell
from nas.report_tables import Table

TITLES = {
    "fraction": "Data efficiency",
    "rows": "Data efficiency",
    "resolution": "Resolution",
    "rate": "Sampling rate",
}
SERIES = "Tasks that differ in one thing"
AXES = {
    "fraction": "training rows",
    "rows": "training rows",
    "resolution": "samples along every axis",
    "rate": "sampling rate",
}


def series_tables(comparison: Comparison) -> dict[str, Table]:
    """One table for each series of tasks, by a file-safe name."""
    return {f"series-{i}": _table(each) for i, each in enumerate(comparison.series, start=1)}


def _table(series: TaskSeries) -> Table:
    at = [point.at for point in series.lines[0].points] if series.lines else []
    rows = [
        (f"{label(line.space)}, {line.of}", *(_cell(point) for point in line.points)) for line in series.lines
    ]
    caption = (
        f"{TITLES[series.by]} on {series.dataset}: report error against {AXES[series.by]}, trained there: "
        "mean ± sd over n trainings; of a searched space without finalists on every task the expected best, "
        "n being the designs it is estimated from. "
    )
    caption += (
        "Validation rows differ with the training rows."
        if series.by == "rows"
        else "Nothing else differs between these tasks."
    )
    head = (AXES[series.by], *("as the data" if each is None else f"{each:g}" for each in at))
    return Table(caption, head, tuple(rows))


def _cell(point: SeriesPoint) -> str:
    return "–" if point.error is None else f"{percent(point.error)}{_spread(point.sd)} (n = {point.n})"


def rate_table(task: TaskComparison) -> Table:
    """Finalists at other sampling rates."""
    rows = [
        (
            label(found.space),
            Cell(f"{found.rate:g}x", found.rate),
            percent(found.as_trained),
            "–" if found.error is None else percent(found.error) + _spread(found.sd) + f" (n = {found.n})",
            f"{plural(found.without, 'finalist')}: {found.reason}" if found.without else "–",
        )
        for found in task.other_rates
    ]
    caption = (
        "Other sampling rates, without retraining: finalists on the same report rows, resampled from the "
        "rate of training (so a higher rate adds no detail). Kernels that are functions of position are "
        "sampled on the other grid, discrete kernels stay as they are. Mean ± sd over finalists."
    )
    return Table(caption, ("space", "rate", "as trained", "report error there", "not looked at"), tuple(rows))


def _spread(sd: float | None) -> str:
    return "" if sd is None else f" ± {points(sd)}"
