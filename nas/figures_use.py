"""Figures of what is shown beside the verdict: searches over time, error against the cost of use."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from nas.drawing import BANDED, Dash, Figure, Series, drawn, fixed, level_name, of_level, population, searched
from nas.efficiency.anytime import Anytime
from nas.efficiency.results import TaskComparison
from nas.efficiency.words import label, number, percent, plural


def anytime_figure(task: TaskComparison) -> Figure:
    """Best select error so far: every search, median and quartiles over them; fixed designs at their cost."""
    unit = task.searches[0].unit
    shown = [
        found
        for found in task.anytime
        if found.unit == unit and any(at.median is not None for at in found.quartiles)
    ]
    series, words = _single_searches(task, {found.space for found in shown}), []
    order = [space.space for space in task.spaces]
    for found in shown:
        colour, line = searched(order.index(found.space) if found.space in order else 0)
        series.append(_median(found, colour, line, banded=len(task.searched) <= BANDED))
        last = percent(found.quartiles[-1].median)
        words.append(f"{series[-1].name}: {last} after {number(found.until)} {unit}")
    for level, colour, dash in fixed(task):
        if level.select_error is not None:
            error = 100 * level.select_error
            cost = level.training_multiply_adds if level.seconds is None else level.seconds
            across = of_level(level, colour, dash, None, error)
            mark = of_level(level, colour, "none", cost, error)
            series += [replace(across, width=0.9, legend=""), replace(mark, marker="D")]
            words.append(f"{level_name(level)}: {percent(level.select_error)} at {number(cost)} {unit}")
    of_single = f", {plural(task.single.seeds, 'seed')} of {label(task.single.space)}" if task.single else ""
    return drawn(
        series,
        words,
        "Searches over time.",
        "Best select error so far, over completed trials only, since only they can be selected; stopped and "
        "failed ones cost. Thick: median over searches, with their quartiles, as far as the cheapest search "
        "went; a search without a completed trial counts as infinite. Thin: each search. A diamond is a "
        f"fixed design at the cost of one training. ({plural(len(task.searches), 'search')}{of_single})",
        f"{unit} spent",
        "best select error so far (%)",
        f"anytime {task.task}",
        logarithmic=True,
    )


def _single_searches(task: TaskComparison, named: Set[str]) -> list[Series]:
    """A thin line for each search; the first one of a space not in `named` is its entry in the legend."""
    order = [space.space for space in task.spaces]
    found: list[Series] = []
    for search in task.searches:
        if search.curve:
            colour, line = searched(order.index(search.space) if search.space in order else 0)
            steps = tuple((cost, 100 * error) for cost, error in search.curve)
            name = f"{label(search.space)} search, seed {search.seed}"
            end = (search.spent, steps[-1][1])
            first = search.space not in {*named, *(each.space for each in found)}
            several = sum(each.space == search.space for each in task.searches)
            found.append(
                Series(
                    name,
                    search.space,
                    (*steps, end),
                    colour,
                    line,
                    style="step",
                    strength=0.45,
                    width=0.8,
                    legend=f"{label(search.space)}, {plural(several, 'search')}" if first else "",
                )
            )
    return found


def _median(found: Anytime, colour: str, line: Dash, banded: bool) -> Series:
    steps: list[tuple[float | None, ...]] = []
    for at in found.quartiles:
        if at.median is not None:
            bounds = [None if bound is None else 100 * bound for bound in (at.lower, at.upper)]
            steps.append((at.cost, 100 * at.median, *(bounds if banded else ())))
    steps.append((found.until, *steps[-1][1:]))
    name = f"{label(found.space)}, median of {plural(found.searches, 'search')}"
    return Series(name, found.space, tuple(steps), colour, line, style="step", legend=name)


def pareto_figure(task: TaskComparison) -> Figure:
    """Report error against multiply-adds of one forward pass: random designs, fronts, fixed designs."""
    series, words = [], []
    for i, space in enumerate(task.spaces):
        if not space.points:
            continue
        name = population(space)
        dots = tuple((float(p.multiply_adds), 100 * p.report_error) for p in space.points)
        series.append(
            Series(
                name, space.space, dots, searched(i)[0], style="dots", marker="o", strength=0.4, legend=name
            )
        )
        best = min(space.points, key=lambda point: point.report_error)
        least = min(space.points, key=lambda point: point.multiply_adds)
        words.append(
            f"{name}: lowest error {percent(best.report_error)} at {number(best.multiply_adds)} "
            f"multiply-adds, fewest multiply-adds {number(least.multiply_adds)} at "
            f"{percent(least.report_error)}"
        )
        front = next(
            (f.points for f in task.fronts if f.space == space.space and f.cost == "multiply_adds"), ()
        )
        if front:
            shown = tuple((point.cost, 100 * point.report_error) for point in front)
            name = f"front of {label(space.space)}"
            series.append(Series(name, space.space, shown, searched(i)[0], "none", marker="o", legend=name))
            words.append(f"{plural(len(front), 'design')} on the {name}")
    for (level, colour, _), marker in zip(fixed(task), "DsPX"):
        if level.report_error is not None:
            mark = of_level(level, colour, "none", level.multiply_adds, 100 * level.report_error)
            series.append(replace(mark, marker=marker))
            cost = f"at {number(level.multiply_adds)} multiply-adds"
            words.append(f"{level_name(level)}: {percent(level.report_error)} {cost}")
    sizes = [f"N = {space.designs} {label(space.space)}" for space in task.spaces]
    sizes += [f"{plural(task.single.seeds, 'seed')} of {label(task.single.space)}"] if task.single else []
    return drawn(
        series,
        words,
        "Error against cost of use.",
        "Each dot is a random design trained once; filled marks are on the front: no other random design of "
        "the space is better in select error and cost. It is shown by report error: a mark may lie above a "
        "dot. "
        f"Large marks are fixed designs, means over seeds. Lower left is better. ({', '.join(sizes)})",
        "multiply-adds of one forward pass",
        "report error (%)",
        f"pareto {task.task}",
        logarithmic=True,
    )
