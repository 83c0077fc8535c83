"""Figures of a comparison as SVG text, from the frozen results: nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.drawing import BANDED, INK, SINGLE, fixed, level_name, logarithmic, population, searched, svg_of
from nas.efficiency.results import BestOf, Comparison, TaskComparison
from nas.efficiency.words import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def edf_figure(task: TaskComparison) -> str:
    """Share of designs at or below each validation error, with DKW band; fixed designs as vertical lines."""
    shown = [100 * error for space in task.spaces for error in space.errors]
    shown += [100 * level.error for level, _, _ in fixed(task) if level.error is not None]
    room = 0.04 * (max(shown) - min(shown)) or 0.5
    left, right = min(shown) - room, max(shown) + room

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            if not space.errors or space.designs == 1:  # a step says nothing
                continue
            x = [left, *(100 * error for error in space.errors), right]
            shares = [j / space.designs for j in range(len(space.errors) + 1)]
            shares.append(shares[-1])
            colour, line = searched(i)
            if space.band is not None and len(task.spaces) <= BANDED:
                low, high = ([min(1.0, max(0.0, s + sign * space.band)) for s in shares] for sign in (-1, 1))
                axes.fill_between(x, low, high, step="post", color=colour, alpha=0.18, linewidth=0)
            axes.step(x, shares, where="post", color=colour, linestyle=line, label=population(space))
        for level, colour, dash in fixed(task):
            if level.error is not None:
                axes.axvline(100 * level.error, color=colour, linestyle=dash, label=level_name(level))
        axes.set(xlabel="validation error (%)", ylabel="share of designs", ylim=(0, 1), xlim=(left, right))

    return svg_of(draw, f"edf {task.task}")


def best_of_figure(task: TaskComparison) -> str:
    """Expected report error of the best of n designs; solid with interval to N/5, faint to N/2."""

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            colour, line = searched(i)
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
                label=f"best of n {population(space)}" if known else None,
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
        for level, colour, dash in fixed(task):
            if level.report_error is not None:
                axes.axhline(100 * level.report_error, color=colour, linestyle=dash, label=level_name(level))
        axes.set(xlabel="designs trained, n", ylabel="report error (%)")
        axes.locator_params(axis="x", integer=True)

    return svg_of(draw, f"best {task.task}")


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
                color=searched(position)[0],
                linestyle=searched(position)[1],
                alpha=0.8,
                label=None if text in named else text,
            )
            named.add(text)
        for level, colour, dash in fixed(task):
            if level.select_error is not None:
                axes.axhline(100 * level.select_error, color=colour, linestyle=dash, linewidth=0.9)
                axes.plot(
                    level.seconds,
                    100 * level.select_error,
                    color=colour,
                    marker="D",
                    markersize=5,
                    linestyle="none",
                    label=level_name(level),
                )
        axes.set(xlabel="device-seconds spent", ylabel="best select error so far (%)")
        logarithmic(axes)

    return svg_of(draw, f"anytime {task.task}")


def kernel_sizes_figure(task: TaskComparison) -> str:
    """Taps of every convolution wider than 1, mean over its axes: learned beside the best discrete."""

    def draw(axes: Axes) -> None:
        spaces = [space.space for space in task.spaces]
        for sizes in task.kernel_sizes:
            is_searched = sizes.space in spaces
            colour, line = searched(spaces.index(sizes.space)) if is_searched else (SINGLE, "solid")
            means = [sum(layer) / max(len(layer), 1) for layer in sizes.layers]
            of = "best design" if is_searched else sizes.of
            axes.plot(
                range(1, len(means) + 1),
                means,
                color=colour,
                linestyle=line,
                marker="s" if is_searched else "o",
                markersize=5,
                label=f"{label(sizes.space)} ({of})",
            )
        axes.set(xlabel="layer", ylabel="kernel size (taps)")
        axes.set_ylim(0, 1.15 * max(axes.dataLim.y1, 1.0))
        axes.locator_params(axis="x", integer=True)

    return svg_of(draw, f"kernels {task.task}")


def pareto_figure(task: TaskComparison) -> str:
    """Report error against multiply-adds of one forward pass: every random design, fixed designs on top."""

    def draw(axes: Axes) -> None:
        for i, space in enumerate(task.spaces):
            axes.scatter(
                [point.multiply_adds for point in space.points],
                [100 * p.report_error for p in space.points],
                color=searched(i)[0],
                s=14,
                alpha=0.55,
                linewidths=0,
                label=population(space),
            )
        for (level, colour, _), marker in zip(fixed(task), "DsPX^vph*"):
            if level.report_error is not None:
                axes.plot(
                    level.multiply_adds,
                    100 * level.report_error,
                    color=colour,
                    marker=marker,
                    markersize=8,
                    linestyle="none",
                    label=level_name(level),
                )
        axes.set(xlabel="multiply-adds of one forward pass", ylabel="report error (%)")
        logarithmic(axes)

    return svg_of(draw, f"pareto {task.task}")


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
