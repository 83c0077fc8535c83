"""Figures across tasks: the transfer matrix with its numbers, performance profiles."""

from __future__ import annotations

import re

from nas.drawing import (
    DASHES,
    DEFAULTS,
    INK,
    SEARCHED,
    SINGLE,
    STYLE,
    Figure,
    Series,
    drawn,
    printable,
    searched,
    svg_text,
)
from nas.efficiency.across import score
from nas.efficiency.aggregates import Aggregate
from nas.efficiency.results import Comparison
from nas.efficiency.transfer import Cell, TransferMatrix
from nas.efficiency.words import label, percent, plural, points
from nas.report_csv import Row

ACROSS = "00.across."
"""What names of files over tasks begin with; those of the first task begin with 01."""
STRONG = 0.6
"""Opacity of the largest difference in a matrix; numbers stay readable on it."""


def across_figures(comparison: Comparison) -> dict[str, Figure]:
    """File-safe name -> figure over tasks, of what has something to show."""
    found = {across_name("transfer", each.space): transfer_figure(each) for each in comparison.transfer}
    aggregate = comparison.aggregate
    if aggregate is not None and any(each.profile for each in aggregate.standings):
        found[across_name("profiles")] = profile_figure(aggregate, comparison.plan.single)
    return found


def across_name(what: str, space: str = "") -> str:
    """``00.across.transfer.twin``: of letters that every file system and browser takes."""
    return f"{ACROSS}{what}" + (f".{re.sub(r'[^A-Za-z0-9_@-]+', '-', space)[:80]}" if space else "")


def transfer_figure(matrix: TransferMatrix) -> Figure:
    """A cell per design and task: report error, and points above own best; orange is worse, blue better."""
    head = (
        "design",
        "trained on",
        "report error (%)",
        "sd",
        "seeds",
        "failed",
        "above own best",
        "low",
        "high",
    )
    rows: list[Row] = []
    words = []
    for row in matrix.rows:
        for cell in row.cells:
            if cell is not None:
                above = cell.difference
                bounds = (None, None, None) if above is None else (above.value, above.low, above.high)
                rows.append(
                    (row.name, cell.task, _percent(cell.error), _percent(cell.sd), cell.seeds, cell.failed)
                    + tuple(map(_percent, bounds))
                )
        known = [f"{cell.task} {percent(cell.error)}" for cell in row.cells if cell is not None]
        words.append(f"{label(row.name)}: {', '.join(known)}")
    return Figure(
        title=f"Transfer of {label(matrix.space)} designs.",
        caption="Rows: where a design was chosen and how it was carried, then fixed designs; columns: where "
        "it was trained. Report error in percent, below it the points that it is above the column's own "
        f"best, retrained; orange is worse than own best, blue better. ({plural(len(rows), 'cell')})",
        finding=". ".join(words),
        head=head,
        rows=tuple(rows),
        svg=_heat_map(matrix),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _heat_map(matrix: TransferMatrix) -> str:
    import matplotlib
    from matplotlib.figure import Figure as Canvas
    from matplotlib.patches import Rectangle

    cells = [cell for row in matrix.rows for cell in row.cells if cell is not None]
    largest = max((abs(_above(cell)) for cell in cells), default=0.0) or 1.0
    names = [printable(label(row.name)) for row in matrix.rows]
    tasks = [printable(task) for task in matrix.tasks]
    left, below = 0.35 + 0.075 * max(map(len, names)), 0.45 + 0.05 * max(map(len, tasks))  # inches
    width, height = left + max(2.4, 0.7 * len(tasks)) + 0.1, below + 0.42 * len(names) + 0.1
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"transfer {matrix.space}"}):
        canvas = Canvas(figsize=(width, height))
        place = (left / width, below / height, 1 - (left + 0.1) / width, 1 - (below + 0.1) / height)
        axes = canvas.add_axes(place)
        for i, row in enumerate(matrix.rows):
            for j, cell in enumerate(row.cells):
                if cell is not None:
                    colour = SEARCHED[0] if _above(cell) > 0 else SINGLE
                    strength = STRONG * abs(_above(cell)) / largest
                    axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=colour, alpha=strength, lw=0))
                axes.text(j, i, _text(cell), ha="center", va="center", fontsize=8, color=INK)
        axes.set_xticks(range(len(tasks)), tasks, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(-0.5, len(tasks) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="trained on")
        axes.grid(False)
        return svg_text(canvas)


def _above(cell: Cell) -> float:
    return 0.0 if cell.difference is None else cell.difference.value or 0.0


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    if cell.own and cell.as_taps:
        return "as by taps"
    lines = ["failed" if cell.error is None else points(cell.error)]
    if cell.own:
        lines.append("own best")
    elif cell.difference is not None:
        lines.append(f"{'+' * (_above(cell) >= 0)}{points(_above(cell))}")
    lines += [f"n = {cell.seeds}"] if cell.descriptive else []
    return "\n".join(lines)


def profile_figure(aggregate: Aggregate, single: str) -> Figure:
    """Share of tasks x runs at or below each normalised error, for every design or space."""
    finite = [tau for each in aggregate.standings for tau, _ in each.profile]
    room = 0.04 * (max(finite) - min(finite)) or 0.05
    left, right = min(finite) - room, max(finite) + room
    series, words, spaces, fixed = [], [], 0, 0
    for each in aggregate.standings:
        colour, line = SINGLE, DASHES[0]
        if each.name == single:
            line = "-"
        elif each.searches:
            colour, line = searched(spaces)
            spaces += 1
        else:
            colour, line = DEFAULTS[fixed % len(DEFAULTS)], DASHES[fixed % len(DASHES)]
            fixed += 1
        last = each.profile[-1][1] if each.profile else 0.0
        steps = ((left, 0.0), *each.profile, (right, last))
        name = f"{label(each.name)} ({plural(each.runs, 'run')})"
        series.append(Series(name, each.name, steps, colour, line, style="step", legend=name))
        words.append(f"{name}: interquartile mean {score(each.iqm)}")
    series += [
        Series(name, "", ((mark, None),), INK, (0, (1, 3)), width=0.8)
        for name, mark in (("the reference", 0.0), ("always the most frequent class", 1.0))
        if left < mark < right
    ]
    return drawn(
        series,
        words,
        "Performance profiles.",
        "Share of tasks x runs at or below each normalised report error, datasets at equal weight; left and "
        "high is good. 0 is the reference, 1 always the most frequent class. "
        f"({plural(len(aggregate.scales), f'{aggregate.of} task')}, {plural(aggregate.datasets, 'dataset')})",
        "normalised report error",
        "share of tasks x runs",
        "profiles",
        limits=((left, right), (0, 1.02)),
    )
