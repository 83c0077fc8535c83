"""What the figures share: colours, lines, the names in a legend, and SVG text from axes.

Colours are those of Okabe and Ito (2008), told apart with any colour vision; the page replaces them, and the
ink, by its own for dark screens (`COLOURS`). Same results, same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nas.efficiency.level import Level
from nas.efficiency.results import SpaceComparison, TaskComparison
from nas.efficiency.words import label, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1b1f24"
SINGLE = "#0072b2"
SEARCHED = ("#d55e00", "#009e73", "#cc79a7", "#e69f00")
DEFAULTS = ("#6e7781", "#8c6d31", "#56b4e9")
COLOURS = {
    "ink": INK,
    "single": SINGLE,
    **{f"searched{i}": colour for i, colour in enumerate(SEARCHED)},
    **{f"default{i}": colour for i, colour in enumerate(DEFAULTS)},
}
DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))
BANDED = len(SEARCHED)
"""Spaces up to which bands are drawn: more of them hide the curves."""


def searched(position: int) -> tuple[str, str]:
    """Colour and line of a searched space; lines change when the colours are used up."""
    lines = ("solid", "dashed", "dashdot", "dotted")
    return SEARCHED[position % len(SEARCHED)], lines[position // len(SEARCHED) % len(lines)]


def fixed(task: TaskComparison) -> list[tuple[Level, str, object]]:
    """The single design and the defaults, each with its colour and dash."""
    single: list[tuple[Level, str, object]] = [(task.single, SINGLE, "-")] if task.single else []
    return single + [
        (default, DEFAULTS[i % len(DEFAULTS)], DASHES[i % len(DASHES)])
        for i, default in enumerate(task.defaults)
    ]


def population(space: SpaceComparison) -> str:
    """A searched space in a legend."""
    failed = f", {space.failed} failed" if space.failed else ""
    return f"{label(space.space)} (N = {space.designs}{failed})"


def level_name(level: Level) -> str:
    """A fixed design in a legend."""
    return f"{label(level.space)} ({level.seeds} seed{'s' * (level.seeds != 1)})"


def logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with labels such as 20k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def svg_of(draw: Callable[[Axes], None], salt: str, size: tuple[float, float] = (5.6, 3.9)) -> str:
    """The figure that `draw` makes, as SVG text; `salt` tells its ids from those of others; inches."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": salt,  # ids are the same each time, and differ between figures of one page
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.grid": True,
        "grid.color": INK,
        "grid.alpha": 0.12,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.8,
        "legend.frameon": False,
        "text.parse_math": False,  # names are shown as they are
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(
                loc="outside upper left", ncols=2, fontsize=8.5, handlelength=1.8, columnspacing=1.4
            )
        text = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    # Names of groups are never referred to, and would be ambiguous between the figures of one page.
    return re.sub(r' id="[a-z0-9.]+_\d+"', "", svg[svg.index("<svg") :])
