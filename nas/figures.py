"""Figures of a comparison as SVG text. Every number comes from the frozen results; nothing is computed here.

Colours are those of Okabe and Ito (2008), told apart with any colour vision; the page replaces them, and the
ink, by its own for dark screens (`COLOURS`). Same results, same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nas.efficiency.level import Level
from nas.efficiency.results import BestOf, Comparison, SpaceComparison, TaskComparison
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


def edf_figure(task: TaskComparison) -> str:
    """Share of designs at or below each validation error, with DKW band; fixed designs as vertical lines."""
    shown = [100 * error for space in task.spaces for error in space.errors]
    shown += [100 * level.error for level, _, _ in _fixed(task) if level.error is not None]
    room = 0.04 * (max(shown) - min(shown)) or 0.5
    left, right = min(shown) - room, max(shown) + room

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            if not space.errors or space.designs == 1:  # a step says nothing
                continue
            x = [left, *(100 * error for error in space.errors), right]
            shares = [j / space.designs for j in range(len(space.errors) + 1)]
            shares.append(shares[-1])
            colour, line = _searched(i)
            if space.band is not None and len(task.spaces) <= BANDED:
                low, high = ([min(1.0, max(0.0, s + sign * space.band)) for s in shares] for sign in (-1, 1))
                axes.fill_between(x, low, high, step="post", color=colour, alpha=0.18, linewidth=0)
            axes.step(x, shares, where="post", color=colour, linestyle=line, label=_population(space))
        for level, colour, dash in _fixed(task):
            if level.error is not None:
                axes.axvline(100 * level.error, color=colour, linestyle=dash, label=_name(level))
        axes.set(xlabel="validation error (%)", ylabel="share of designs", ylim=(0, 1), xlim=(left, right))

    return svg(draw, f"edf {task.task}")


def best_of_figure(task: TaskComparison) -> str:
    """Expected report error of the best of n designs; solid with interval to N/5, faint to N/2."""

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            colour, line = _searched(i)
            known = [best for best in space.best_of if best.error.value is not None]
            solid = [best for best in known if best.solid]
            banded = [b for b in solid if b.error.low is not None and b.error.high is not None]
            banded = banded if len(task.spaces) <= BANDED else []
            axes.plot(*_line(known), color=colour, alpha=0.35)
            axes.plot(
                *_line(solid),
                color=colour,
                linestyle=line,
                marker="o" if len(solid) < 3 else None,
                markersize=4,
                label=f"best of n {_population(space)}" if known else None,
            )
            axes.fill_between(
                [b.n for b in banded],
                [100 * (b.error.low or 0.0) for b in banded],
                [100 * (b.error.high or 0.0) for b in banded],
                color=colour,
                alpha=0.18,
                linewidth=0,
            )
            if space.n is not None:
                axes.axvline(space.n, color=INK, linewidth=0.8, linestyle=(0, (1, 3)))
        for level, colour, dash in _fixed(task):
            if level.report_error is not None:
                axes.axhline(100 * level.report_error, color=colour, linestyle=dash, label=_name(level))
        axes.set(xlabel="designs trained, n", ylabel="report error (%)")
        axes.locator_params(axis="x", integer=True)

    return svg(draw, f"best {task.task}")


def _searched(position: int) -> tuple[str, str]:
    """Colour and line of a searched space; lines change when the colours are used up."""
    lines = ("solid", "dashed", "dashdot", "dotted")
    return SEARCHED[position % len(SEARCHED)], lines[position // len(SEARCHED) % len(lines)]


def _line(best: Sequence[BestOf]) -> tuple[list[int], list[float]]:
    return [b.n for b in best], [100 * (b.error.value or 0.0) for b in best]


def anytime_figure(task: TaskComparison) -> str:
    """Best select error of a completed trial so far, for every search; fixed designs at their own cost."""

    def draw(axes: Axes) -> None:
        spaces = [space.space for space in task.spaces]
        named: set[str] = set()
        for search in task.searches:
            if not search.curve:
                continue
            position = spaces.index(search.space) if search.space in spaces else 0
            count = sum(other.space == search.space for other in task.searches)
            text = f"{label(search.space)} search ({count} seed{'s' * (count > 1)})"
            seconds, errors = zip(*search.curve)
            axes.step(
                [*seconds, search.seconds],
                [100 * e for e in (*errors, errors[-1])],
                where="post",
                color=_searched(position)[0],
                linestyle=_searched(position)[1],
                alpha=0.8,
                label=None if text in named else text,
            )
            named.add(text)
        for level, colour, dash in _fixed(task):
            if level.select_error is not None:
                axes.axhline(100 * level.select_error, color=colour, linestyle=dash, linewidth=0.9)
                axes.plot(
                    level.seconds,
                    100 * level.select_error,
                    color=colour,
                    marker="D",
                    markersize=5,
                    linestyle="none",
                    label=_name(level),
                )
        axes.set(xlabel="device-seconds spent", ylabel="best select error so far (%)")
        _logarithmic(axes)

    return svg(draw, f"anytime {task.task}")


def kernel_sizes_figure(task: TaskComparison) -> str:
    """Taps of every convolution wider than 1, mean over its axes: learned beside the best discrete."""

    def draw(axes: Axes) -> None:
        spaces = [space.space for space in task.spaces]
        for sizes in task.kernel_sizes:
            searched = sizes.space in spaces
            colour, line = _searched(spaces.index(sizes.space)) if searched else (SINGLE, "solid")
            means = [sum(layer) / max(len(layer), 1) for layer in sizes.layers]
            of = "best design" if searched else sizes.of
            axes.plot(
                range(1, len(means) + 1),
                means,
                color=colour,
                linestyle=line,
                marker="s" if searched else "o",
                markersize=5,
                label=f"{label(sizes.space)} ({of})",
            )
        axes.set(xlabel="layer", ylabel="kernel size (taps)")
        axes.set_ylim(0, 1.15 * max(axes.dataLim.y1, 1.0))
        axes.locator_params(axis="x", integer=True)

    return svg(draw, f"kernels {task.task}")


def pareto_figure(task: TaskComparison) -> str:
    """Report error against multiply-adds of one forward pass: every random design, fixed designs on top."""

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            axes.scatter(
                [point.multiply_adds for point in space.points],
                [100 * p.report_error for p in space.points],
                color=_searched(i)[0],
                s=14,
                alpha=0.55,
                linewidths=0,
                label=_population(space),
            )
        for (level, colour, _), marker in zip(_fixed(task), "DsPX^vph*"):
            if level.report_error is not None:
                axes.plot(
                    level.multiply_adds,
                    100 * level.report_error,
                    color=colour,
                    marker=marker,
                    markersize=8,
                    linestyle="none",
                    label=_name(level),
                )
        axes.set(xlabel="multiply-adds of one forward pass", ylabel="report error (%)")
        _logarithmic(axes)

    return svg(draw, f"pareto {task.task}")


def all_figures(comparison: Comparison) -> dict[str, str]:
    """File-safe name -> SVG text, for every task and figure that has something to show."""
    return {
        f"{i:02d}.{re.sub(r'[^A-Za-z0-9_@-]+', '-', task.task)}.{name}": draw(task)
        for i, task in enumerate(comparison.tasks, start=1)
        for name, draw in figures_of(task).items()
    }


def figures_of(task: TaskComparison) -> dict[str, Callable[[TaskComparison], str]]:
    """The figures that have something to show, by name, in the order of the report."""
    known: dict[str, tuple[bool, Callable[[TaskComparison], str]]] = {
        "edf": (any(space.errors for space in task.spaces), edf_figure),
        "best_of": (any(space.best_of for space in task.spaces), best_of_figure),
        "anytime": (any(search.curve for search in task.searches), anytime_figure),
        "pareto": (any(space.points for space in task.spaces), pareto_figure),
        "kernel_sizes": (bool(task.kernel_sizes), kernel_sizes_figure),
    }
    return {name: draw for name, (shown, draw) in known.items() if shown}


def _fixed(task: TaskComparison) -> list[tuple[Level, str, object]]:
    """The single design and the defaults, each with its colour and dash."""
    single: list[tuple[Level, str, object]] = [(task.single, SINGLE, "-")] if task.single else []
    return single + [
        (default, DEFAULTS[i % len(DEFAULTS)], DASHES[i % len(DASHES)])
        for i, default in enumerate(task.defaults)
    ]


def _population(space: SpaceComparison) -> str:
    failed = f", {space.failed} failed" if space.failed else ""
    return f"{label(space.space)} (N = {space.designs}{failed})"


def _name(level: Level) -> str:
    return f"{label(level.space)} ({level.seeds} seed{'s' * (level.seeds != 1)})"


def _logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with labels such as 20k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def svg(draw: Callable[[Axes], None], salt: str, size: tuple[float, float] = (5.6, 3.9)) -> str:
    """What `draw` draws, as SVG text; `size` in inches."""
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
    drawn = text.getvalue()
    # Names of groups are never referred to, and would be ambiguous between the figures of one page.
    return re.sub(r' id="[a-z0-9.]+_\d+"', "", drawn[drawn.index("<svg") :])
