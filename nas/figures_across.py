"""Figures across tasks as SVG text: the transfer matrix with its numbers, performance profiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nas.drawing import DASHES, DEFAULTS, INK, SEARCHED, SINGLE, svg_of
from nas.efficiency.aggregates import Aggregate
from nas.efficiency.results import Comparison
from nas.efficiency.transfer import TransferMatrix
from nas.efficiency.words import label, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONG = 0.6
"""Opacity of the largest difference in a matrix; numbers stay readable on it."""


def transfer_figure(matrix: TransferMatrix) -> str:
    """A cell per design and task: report error, and points above own best; orange is worse, blue better."""
    from matplotlib.patches import Rectangle

    cells = [cell for row in matrix.rows for cell in row.cells if cell is not None]
    largest = max([abs(c.difference.value or 0.0) for c in cells if c.difference], default=0.0) or 1.0

    def draw(axes: Axes) -> None:
        for i, row in enumerate(matrix.rows):
            for j, cell in enumerate(row.cells):
                text = "–"
                if cell is not None:
                    above = 0.0 if cell.difference is None else cell.difference.value or 0.0
                    colour = SEARCHED[0] if above > 0 else SINGLE
                    strength = STRONG * abs(above) / largest
                    axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=colour, alpha=strength, lw=0))
                    text = "failed" if cell.error is None else points(cell.error)
                    if cell.own:
                        text += "\nown best"
                    elif cell.difference is not None:
                        text += f"\n{'+' * (above >= 0)}{points(above)}"
                    if cell.descriptive:
                        text += f"\nn = {cell.seeds}"
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=INK)
        axes.set_xticks(range(len(matrix.tasks)), matrix.tasks, rotation=30, ha="right")
        axes.set_yticks(range(len(matrix.rows)), [label(row.name) for row in matrix.rows])
        axes.set(xlim=(-0.5, len(matrix.tasks) - 0.5), ylim=(len(matrix.rows) - 0.5, -0.5))
        axes.set(xlabel="trained on", ylabel="design")
        axes.grid(False)

    width, height = 3.0 + 0.75 * len(matrix.tasks), 1.2 + 0.42 * len(matrix.rows)
    return svg_of(draw, f"transfer {matrix.space}", (max(5.6, width), max(2.4, height)))


def profile_figure(aggregate: Aggregate, single: str) -> str:
    """Share of tasks x runs at or below each normalised error, for every design or space."""
    finite = [tau for each in aggregate.standings for tau, _ in each.profile]
    room = 0.04 * (max(finite) - min(finite)) or 0.05
    left, right = min(finite) - room, max(finite) + room

    def draw(axes: Axes) -> None:
        searched = fixed = 0
        for each in aggregate.standings:
            colour = SINGLE
            line: Any = "-"
            if each.searches:
                colour = SEARCHED[searched % len(SEARCHED)]
                searched += 1
            elif each.name != single:
                colour, line = DEFAULTS[fixed % len(DEFAULTS)], DASHES[fixed % len(DASHES)]
                fixed += 1
            x = [left, *(tau for tau, _ in each.profile), right]
            y = [0.0, *(share for _, share in each.profile)]
            axes.step(
                x,
                [*y, y[-1]],
                where="post",
                color=colour,
                linestyle=line,
                label=f"{label(each.name)} ({each.runs} runs)",
            )
        for mark in (0.0, 1.0):
            if left < mark < right:
                axes.axvline(mark, color=INK, linewidth=0.8, linestyle=(0, (1, 3)))
        axes.set(xlabel="normalised report error", ylabel="share of tasks x runs", ylim=(0, 1.02))
        axes.set_xlim(left, right)

    return svg_of(draw, "profiles")


def across_figures(comparison: Comparison) -> dict[str, tuple[str, str, str]]:
    """File-safe name -> title, caption and SVG text of the figures over tasks."""
    found = {}
    for matrix in comparison.transfer:
        name = re.sub(r"[^A-Za-z0-9_@-]+", "-", matrix.space)
        found[f"00.across.transfer.{name}"] = (
            f"Transfer of {label(matrix.space)} designs.",
            "Rows: where a design was chosen and how it was carried, then fixed designs; columns: where it "
            "was trained. Report error in percent, below it points above the column's own best, retrained; "
            "orange is worse than own best, blue better. Every number is in the table "
            f"({sum(c is not None for row in matrix.rows for c in row.cells)} cells).",
            transfer_figure(matrix),
        )
    aggregate = comparison.aggregate
    if aggregate is not None and any(each.profile for each in aggregate.standings):
        found["00.across.profiles"] = (
            "Performance profiles.",
            "Share of tasks x runs at or below each normalised report error, datasets at equal weight; left "
            "and high is good. 0 is the reference, 1 always the most frequent class. "
            f"({len(aggregate.scales)} {aggregate.of} tasks of {aggregate.datasets} datasets)",
            profile_figure(aggregate, comparison.plan.single),
        )
    return found
