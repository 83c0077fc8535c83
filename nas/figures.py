"""Figures of a comparison, from the frozen results: nothing is computed here.

A figure is drawn from its series, and its CSV has the points of the same series.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain

from nas.drawing import (
    BANDED,
    INK,
    SINGLE,
    Figure,
    Series,
    drawn,
    fixed,
    level_name,
    of_level,
    population,
    searched,
)
from nas.efficiency.results import BestOf, Comparison, TaskComparison
from nas.efficiency.sentences import UNCHANGED
from nas.efficiency.words import label, percent, plural, points
from nas.figures_across import across_figures
from nas.figures_normalised import normalised_figure
from nas.figures_series import series_figure
from nas.figures_use import anytime_figure, pareto_figure


def edf_figure(task: TaskComparison) -> Figure:
    """Share of designs at or below each validation error, with DKW band; fixed designs as vertical lines."""
    shown = [100 * error for space in task.spaces for error in space.errors]
    shown += [100 * level.error for level, _, _ in fixed(task) if level.error is not None]
    room = 0.04 * (max(shown) - min(shown)) or 0.5
    left, right = min(shown) - room, max(shown) + room
    series, words = [], []
    for i, space in enumerate(task.spaces):
        if not space.errors or space.designs == 1:  # a step says nothing
            continue
        errors = [left, *(100 * error for error in space.errors), right]
        shares = [j / space.designs for j in range(len(space.errors) + 1)]
        shares.append(shares[-1])
        band = space.band if len(task.searched) <= BANDED else None
        steps = tuple(
            (error, share) if band is None else (error, share, max(0.0, share - band), min(1.0, share + band))
            for error, share in zip(errors, shares)
        )
        colour, line = searched(i)
        name = population(space)
        series.append(Series(name, space.space, steps, colour, line, style="step", legend=name))
        best, worst = space.errors[0], space.errors[-1]
        median = space.errors[(space.designs - 1) // 2 :][:1]  # none where half of them failed
        text = f"{name}: lowest {percent(best)}, "
        text += f"median {percent(median[0])}, " if median else ""
        text += f"highest {percent(worst)}"
        if task.single is not None and task.single.error is not None:
            below = sum(error <= task.single.error for error in space.errors)
            text += f", {below} of {space.designs} at or below {label(task.single.space)}"
        words.append(text)
    for level, colour, dash in fixed(task):
        if level.error is not None:
            series.append(of_level(level, colour, dash, 100 * level.error, None))
            words.append(f"{level_name(level)}: {percent(level.error)}")
    return drawn(
        series,
        words,
        "Distribution of validation error.",
        "Share of random designs at or below each error, with the 95 % DKW band (none where "
        "every design of the space was trained); steep and left is good. "
        "Vertical lines are fixed designs, means over seeds: where one crosses the curve is the share of "
        f"designs observed at or below it, before noise is shrunk. {_sizes(task)}",
        "validation error (%)",
        "share of designs",
        f"edf {task.task}",
        limits=((left, right), (0, 1)),
    )


def best_of_figure(task: TaskComparison) -> Figure:
    """Expected report error of the best of n designs; solid with interval to N/5, faint to N/2."""
    series, words = [], []
    for i, space in enumerate(task.spaces):
        colour, line = searched(i)
        known = [best for best in space.best_of if best.error.value is not None]
        solid = [best for best in known if best.solid]
        name = population(space)
        banded = len(task.searched) <= BANDED
        if solid:
            series.append(
                Series(
                    name,
                    space.space,
                    tuple(_expected(best, banded) for best in solid),
                    colour,
                    line,
                    marker="o" if len(solid) < 3 else "",
                    legend=name,
                )
            )
        if len(known) > len(solid):
            series.append(
                Series(
                    f"{name}, above N/5",
                    space.space,
                    tuple(_expected(best, False) for best in known[max(0, len(solid) - 1) :]),
                    colour,
                    strength=0.35,
                    legend="" if solid else name,
                )
            )
        if space.n is not None:
            series.append(
                Series(
                    f"judged n of {label(space.space)}",
                    space.space,
                    ((float(space.n), None),),
                    INK,
                    (0, (1, 3)),
                    width=0.8,
                )
            )
        for best in known:
            if best.n in {1, space.n, known[-1].n}:
                low, high = (points(b) if b is not None else "∞" for b in (best.error.low, best.error.high))
                interval = f" [{low}, {high}]" if best.error.low is not None else ""
                words.append(f"{name}: {percent(best.error.value)}{interval} at n = {best.n}")
    for level, colour, dash in fixed(task):
        if level.report_error is not None:
            series.append(of_level(level, colour, dash, None, 100 * level.report_error))
            words.append(f"{level_name(level)}: {percent(level.report_error)}")
    return drawn(
        series,
        words,
        "What a search of n designs buys.",
        "Expected report error of the design with the best select error among n; jackknife 95 % band to n "
        "= N/5, faint to N/2, nothing beyond (where every design of the space was trained: to N, with the "
        "noise of seeds only). The dotted vertical line is the judged n. Horizontal lines "
        f"are fixed designs: they cost one training. {_sizes(task)}",
        "designs trained, n",
        "report error (%)",
        f"best {task.task}",
        whole=True,
    )


def kernel_sizes_figure(task: TaskComparison) -> Figure:
    """Taps of every convolution wider than 1, mean over its axes: learned beside the best discrete."""
    series, words = [], []
    spaces = [space.space for space in task.spaces]
    for sizes in task.kernel_sizes:
        of_search = sizes.space in spaces
        colour, line = searched(spaces.index(sizes.space)) if of_search else (SINGLE, "solid")
        name = f"{label(sizes.space)} ({'best design' if of_search else sizes.of})"
        means = [sum(layer) / max(len(layer), 1) for layer in sizes.layers]
        series.append(
            Series(
                name,
                sizes.space,
                tuple((float(i), taps) for i, taps in enumerate(means, start=1)),
                colour,
                line,
                marker="s" if of_search else "o",
                legend=name,
            )
        )
        words.append(f"{name}, layer by layer: {', '.join(f'{taps:.3g}' for taps in means)} taps")
    unchanged = f" {UNCHANGED}" if any(sizes.unchanged for sizes in task.kernel_sizes) else ""
    most = max((taps for each in series for _, taps in each.points if taps is not None), default=1.0)
    return drawn(
        series,
        words,
        "Kernel sizes.",
        "Learned taps per layer, mean over seeds and axes, beside those of the best discrete design by "
        f"select error.{unchanged} {_sizes(task)}",
        "layer",
        "kernel size (taps)",
        f"kernels {task.task}",
        whole=True,
        limits=(None, (0, 1.15 * max(most, 1.0))),
    )


def all_figures(comparison: Comparison) -> dict[str, Figure]:
    """File-safe name -> figure, over tasks, of every task and series, where there is something to show."""
    tasks = (figures_of(task, position).items() for position, task in enumerate(comparison.tasks, start=1))
    series = (series_figure(each, comparison.plan.single) for each in comparison.series)
    of_series = {f"series-{i}": figure for i, figure in enumerate(series, start=1)}
    return across_figures(comparison) | dict(chain.from_iterable(tasks)) | of_series


def figures_of(task: TaskComparison, position: int) -> dict[str, Figure]:
    """The figures of the `position`-th task that have something to show, in the order of the report."""
    known: tuple[tuple[str, object, Callable[[TaskComparison], Figure]], ...] = (
        ("edf", any(space.errors for space in task.spaces), edf_figure),
        ("best_of", any(space.best_of for space in task.spaces), best_of_figure),
        ("anytime", any(search.curve for search in task.searches), anytime_figure),
        ("pareto", any(space.points for space in task.spaces), pareto_figure),
        ("kernel_sizes", task.kernel_sizes, kernel_sizes_figure),
        ("normalised", any(found.spaces for found in task.normalised), normalised_figure),
    )
    return {file_name(task, position, name): draw(task) for name, shown, draw in known if shown}


def file_name(task: TaskComparison, position: int, name: str) -> str:
    """``01.digits.edf``: of letters that every file system and browser takes."""
    return f"{position:02d}.{re.sub(r'[^A-Za-z0-9_@-]+', '-', task.task)[:80]}.{name}"


def _expected(best: BestOf, banded: bool) -> tuple[float | None, ...]:
    value = 100 * (best.error.value or 0.0)
    if not banded:
        return float(best.n), value
    return float(best.n), value, *(None if b is None else 100 * b for b in (best.error.low, best.error.high))


def _seeds(task: TaskComparison) -> str:
    return f", {plural(task.single.seeds, 'seed')} of {label(task.single.space)}" if task.single else ""


def _sizes(task: TaskComparison) -> str:
    """What the numbers of a caption rest on."""
    sizes = ", ".join(f"N = {space.designs} {label(space.space)}" for space in task.spaces)
    text = f"{sizes}{_seeds(task)}".removeprefix(", ")
    return f"({text})" if text else ""
