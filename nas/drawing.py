"""How figures are drawn: series of points -> SVG text, and the same points as the rows of a CSV.

Colours are close to those of Okabe and Ito (2008), told apart with any colour vision, but dark enough for
thin lines; the page replaces them, and the ink, by its own for dark screens (`COLOURS`). Same results, same
bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nas.efficiency.level import Level
from nas.efficiency.results import SpaceComparison, TaskComparison
from nas.efficiency.words import label, number
from nas.report_csv import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

INK = "#1b1f24"
SINGLE = "#0072b2"
SEARCHED = ("#d55e00", "#008f68", "#b8608f", "#b07800")
DEFAULTS = ("#6e7781", "#8c6d31", "#7b5ea7")
COLOURS = {
    "ink": INK,
    "single": SINGLE,
    **{f"searched{i}": colour for i, colour in enumerate(SEARCHED)},
    **{f"default{i}": colour for i, colour in enumerate(DEFAULTS)},
}
Dash = str | tuple[int, tuple[float, ...]]
DASHES: tuple[Dash, ...] = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))
BANDED = len(SEARCHED)
"""Spaces up to which bands are drawn: more of them hide the curves."""
LONGEST, NARROW = 56, 32
"""Characters of a name in a legend: at most, and where two columns have room."""

Style = Literal["line", "step", "dots"]


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour and one go.

    Attributes:
        name: what the points are, for a reader of the numbers.
        space: that they belong to.
        points: (x, y) or (x, y, low, high) as shown, in the units of the axes; x None is a line across the
            figure at y, y None a line up at x.
        colour, line: of Matplotlib.
        style: how the points are joined.
        marker: of Matplotlib, "" for none; dots need one.
        strength: opacity in (0, 1].
        width: of the line, in points.
        legend: its entry, "" for none.
    """

    name: str
    space: str
    points: tuple[tuple[float | None, ...], ...]
    colour: str
    line: Dash = "-"
    style: Style = "line"
    marker: str = ""
    strength: float = 1.0
    width: float = 1.8
    legend: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure: drawn, in words and in numbers.

    Attributes:
        title, caption: what stands below it.
        finding: its main numbers in words, for those who do not see it.
        head, rows: every number that it draws.
        svg: the drawing.
    """

    title: str
    caption: str
    finding: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    svg: str


def searched(position: int) -> tuple[str, Dash]:
    """Colour and line of a searched space; lines change when the colours are used up."""
    lines = ("solid", "dashed", "dashdot", "dotted")
    return SEARCHED[position % len(SEARCHED)], lines[position // len(SEARCHED) % len(lines)]


def fixed(task: TaskComparison) -> list[tuple[Level, str, Dash]]:
    """The single design and the defaults, each with its colour and dash."""
    single: list[tuple[Level, str, Dash]] = [(task.single, SINGLE, "-")] if task.single else []
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


def of_level(level: Level, colour: str, line: Dash, x: float | None, y: float | None) -> Series:
    """A fixed design: a mark at (x, y), or a line where one of them is None."""
    name = level_name(level)
    return Series(name, level.space, ((x, y),), colour, line, legend=name)


def _numbers(series: Sequence[Series], x: str, y: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Head and rows of every number in these series; low and high only where there are bands."""
    width = max((len(point) for each in series for point in each.points), default=2)
    rows = tuple(
        (each.name, each.space, *point, *[None] * (width - len(point)))
        for each in series
        for point in each.points
    )
    return ("series", "space", x, y, "low", "high")[: 2 + width], rows


def drawn(
    series: Sequence[Series],
    words: Sequence[str],
    title: str,
    caption: str,
    x: str,
    y: str,
    salt: str,
    *,
    logarithmic: bool = False,
    whole: bool = False,
    limits: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None),
) -> Figure:
    """A figure from its series, the legend above the axes.

    Args:
        series: in the order of the legend.
        words: what it shows, in numbers.
        title, caption: what stands below it.
        x, y: labels of the axes, and heads of the CSV.
        salt: tells its ids from those of other figures.
        logarithmic: x is.
        whole: x has whole numbers only.
        limits: of x and y; None: as the points need.
    """
    head, rows = _numbers(series, x, y)
    svg = _svg(series, x, y, salt, logarithmic, whole, limits)
    return Figure(title=title, caption=caption, finding=". ".join(words), head=head, rows=rows, svg=svg)


def _svg(
    series: Sequence[Series],
    x: str,
    y: str,
    salt: str,
    logarithmic: bool,
    whole: bool,
    limits: tuple[tuple[float, float] | None, tuple[float, float] | None],
) -> str:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    names = [printable(each.legend) for each in series if each.legend]
    columns = 2 if max(map(len, names), default=0) <= NARROW else 1
    above = 0.16 + 0.205 * -(-len(names) // columns)
    height = 3.35 + above  # inches; laid out by hand, since a layout engine draws everything twice
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        canvas = Canvas(figsize=(5.6, height))
        axes = canvas.add_axes((0.62 / 5.6, 0.55 / height, 4.88 / 5.6, (height - 0.55 - above) / height))
        handles = [_draw(axes, each) for each in series]
        axes.set(xlabel=x, ylabel=y)
        if limits[0]:
            axes.set_xlim(*limits[0])
        if limits[1]:
            axes.set_ylim(*limits[1])
        if whole:
            axes.locator_params(axis="x", integer=True)
        if logarithmic:
            _logarithmic(axes)
        if names:
            shown = [handle for handle, each in zip(handles, series) if each.legend]
            canvas.legend(shown, names, loc="upper left", ncols=columns, borderaxespad=0.1)
        return svg_text(canvas)


def svg_text(canvas: Canvas) -> str:
    """A canvas as SVG, the same bytes each time; to be called within `STYLE` and a salt."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    # Names of groups are never referred to, and would be ambiguous between the figures of one page.
    return re.sub(r' id="[a-z0-9.]+_\d+"', "", svg[svg.index("<svg") :])


STYLE: dict[Any, Any] = {
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
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "text.parse_math": False,  # names are shown as they are
}


def _draw(axes: Axes, series: Series) -> Any:
    """Put a series on the axes; returns what its entry in the legend shows."""
    look: dict[str, Any] = {
        "color": series.colour,
        "linestyle": series.line,
        "linewidth": series.width,
        "alpha": series.strength,
    }
    whole: list[tuple[Any, ...]] = []
    for x, y, *band in series.points:
        if x is not None and y is not None:
            whole.append((x, y, *band))
        elif x is not None:
            handle = axes.axvline(x, **look)
        elif y is not None:
            handle = axes.axhline(y, **look)
    if not whole:
        return handle
    xs, ys = [point[0] for point in whole], [point[1] for point in whole]
    if series.style == "dots":
        look = {"color": series.colour, "alpha": series.strength, "marker": series.marker}
        return axes.scatter(xs, ys, s=14, linewidths=0, **look)
    stepped = series.style == "step"
    banded = [point for point in whole if len(point) == 4 and None not in point]
    if banded:
        left, _, low, high = zip(*banded)
        step: Literal["post"] | None = "post" if stepped else None
        axes.fill_between(left, low, high, step=step, color=series.colour, alpha=0.18, linewidth=0)
    if series.marker:
        look |= {"marker": series.marker, "markersize": 6 if len(whole) == 1 else 4.5}
    if stepped:
        look |= {"drawstyle": "steps-post"}
    return axes.plot(xs, ys, **look)[0]


def printable(name: str) -> str:
    """A name on one line of a legend; XML has no control characters, Matplotlib hides names with a bar."""
    name = re.sub(r"[\x00-\x20\x7f-\x9f\ud800-\udfff\ufffe\uffff]+", " ", name)
    name = f" {name}" if name.startswith("_") else name
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 16]}…{name[-15:]}"


def _logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with labels such as 20k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
