"""The tables of docs/results/summary.md: what the published runs say, side by side.

Splits of one dataset are one column: means over them, and in brackets the lowest and the highest.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from nas.efficiency.estimate import Estimate, estimate
from nas.efficiency.estimators import Moments, welch
from nas.efficiency.level import Level
from nas.efficiency.results import Chance, Comparison, SpaceComparison, TaskComparison
from nas.efficiency.sentences import noise_hides, too_wide, verdict_text
from nas.efficiency.usage import Usage
from nas.efficiency.words import label, number, percent, plural, points, signed

OPEN = "–"
CANNOT_SAY = "cannot say"
SEARCHES = ("random_search", "tpe_search", "asha_search")


def summary(comparisons: Mapping[str, Comparison], unfinished: Mapping[str, str]) -> str:
    """The page, a table for each question that the runs answer.

    Args:
        comparisons: by name of the run.
        unfinished: what the report says of runs that are not whole.
    """
    made = []
    for name, run in comparisons.items():
        where = ", ".join((*run.devices, *(f"commit {commit[:12]}" for commit in run.commits)))
        recipe = f"{run.settings.get('epochs')} epochs of the recipe {run.settings.get('name')}"
        line = f"- `{name}`: {plural(run.records, 'trial')}, {recipe}, {where}"
        made.append(f"{line}. {unfinished[name]}" if unfinished.get(name) else line)
    blocks = ["# What the published runs say", "Made by `make.py` from `records/`.", "\n".join(made)]
    if primary := comparisons.get("primary"):
        blocks += ["## One design against a search", primary.overall, headline(primary)]
        if any(task.budgets for task in primary.tasks):
            blocks += ["## Four times the epochs", longer(primary)]
        blocks += ["## The five efficiencies", efficiencies(primary, comparisons.get("data_efficiency"))]
    if searches := {name: comparisons[name] for name in SEARCHES if name in comparisons}:
        blocks += ["## Samplers", samplers(searches)]
    return "\n\n".join(blocks) + "\n"


def headline(comparison: Comparison) -> str:
    """A row for each dataset: what one training gives, what a search gives for its cost, the verdict."""
    head = [
        "dataset",
        "rows",
        "FlexConv, 1 training",
        "best of n twin designs",
        "cost, trainings of FlexConv",
    ]
    head += ["what searching buys", "best default", "on test: FlexConv", "the search's", "verdict"]
    rows = []
    for name, tasks in _datasets(comparison).items():
        first = tasks[0]
        counts = f"{first.rows_train} / {first.rows_select} / {first.rows_report}"
        rows.append(
            [
                name + (f", {len(tasks)} splits" if len(tasks) > 1 else ""),
                counts,
                _seeds([task.single for task in tasks]),
                f"{_over([_best_of(each) for each in _searched(tasks)])}{_of(_searched(tasks))}",
                _over(
                    [each.cost_ratio_seconds for each in _searched(tasks)],
                    number,
                ),
                _gain(tasks),
                _default(tasks),
                _test(tasks, comparison.plan.single),
                _test(tasks, comparison.plan.searched[0]),
                _verdicts(tasks),
            ]
        )
    note = (
        "Rows: to train / to select by / to report. Errors on the report rows, mean ± sd over seeds; of "
        "splits, means over them [lowest, highest]. Cost: device-seconds of n trainings over one of "
        "FlexConv; processor-seconds where other work slowed one of them. What searching buys: FlexConv "
        "minus the expected best of n, with its 95 % interval; of splits, which share rows, the means of "
        "the intervals' ends: as if errors rose and fell together."
    )
    return f"{note}\n\n{_table(head, rows)}"


def longer(comparison: Comparison) -> str:
    """A row for each dataset: what four times the epochs buy, beside what a search at the run's buys."""
    datasets = _datasets(comparison)
    spaces = list(dict.fromkeys(each.space for task in comparison.tasks for each in task.budgets))
    rows = []
    for name, tasks in datasets.items():
        row = [name, _over([_best_of(each) for each in _searched(tasks)])]
        for space in spaces:
            found = [each for task in tasks for each in task.budgets if each.space == space]
            short, long = (_over([b.mean for b in side]) for side in zip(*((b.short, b.long) for b in found)))
            row.append(f"{short} → {long}")
        rows.append(row)
    budgets = comparison.tasks[0].budgets[0]
    note = (
        f"Report errors at {budgets.short.epochs} → {budgets.long.epochs} epochs: means over "
        f"{budgets.long.trainings} seeds, or of {label(comparison.plan.searched[0])} over as many designs; "
        "of splits, means over them [lowest, highest]. Best of n: at the fewer epochs."
    )
    return f"{note}\n\n{_table(['dataset', 'best of n twin designs', *map(label, spaces)], rows)}"


def efficiencies(primary: Comparison, shares: Comparison | None) -> str:
    """A row for each measure of the dissertation's efficiencies, a column for each dataset."""
    datasets = _datasets(primary)
    single, searched = primary.plan.single, primary.plan.searched[0]

    def both(measure: Callable[[Usage], float | None], printed: Callable[[float], str]) -> list[str]:
        cells = []
        for tasks in datasets.values():
            used = [each for task in tasks for each in task.usage]
            ours = _over([measure(each) for each in used if each.space == single], printed)
            theirs = _over([measure(each) for each in used if each.space == searched], printed)
            cells.append(f"{ours} / {theirs}")
        return cells

    def chances(measure: Callable[[Chance], Estimate | None]) -> list[str]:
        return [
            ", ".join(_to_match(each.chance, measure) for each in _searched(tasks))
            for tasks in datasets.values()
        ]

    rows = [
        ["time", "a step of training", *both(lambda u: u.seconds_per_step, _milliseconds)],
        ["time", "one row, frozen", *both(lambda u: u.latency_seconds, _milliseconds)],
        ["time", "multiply-adds of one row", *both(lambda u: u.multiply_adds, number)],
        ["memory", "of the process, at most", *both(lambda u: u.peak_memory_bytes, _megabytes)],
        ["parameters", "trained", *both(lambda u: u.parameters, number)],
        ["design", "random designs to match FlexConv", *chances(lambda chance: chance.designs_to_match)],
        ["design", "their cost over one training", *chances(lambda chance: chance.factor_seconds)],
        *_shares(shares, list(datasets)),
        ["symmetry", "not yet measured", *[OPEN] * len(datasets)],
    ]
    note = (
        f"{label(single)} / the finalists of searches in {label(searched)}; design: each split by itself, "
        "with 95 % intervals, > where none matched. Memory is a process's, with torch in it: small networks "
        "hardly change it."
    )
    return f"{note}\n\n{_table(['efficiency', 'measure', *datasets], rows)}"


def _shares(comparison: Comparison | None, datasets: Sequence[str]) -> list[list[str]]:
    """Report errors along the share of training rows; a dash on datasets without such a series."""
    found = [series for series in comparison.series if series.by == "fraction"] if comparison else []
    if not found:
        return [["data", "error along the share of training rows: not yet run", *[OPEN] * len(datasets)]]
    rows = []
    for series in found:
        for line in series.lines:
            errors = ", ".join(f"{number(p.at)}: {percent(p.error)}" for p in line.points)
            here = [errors if name == series.dataset else OPEN for name in datasets]
            rows.append(["data", f"error by training rows, {label(line.space)} ({line.of})", *here])
    return rows


def samplers(comparisons: Mapping[str, Comparison]) -> str:
    """A row for each way to search on the same task: what it cost, what it chose, against chance."""
    head = ["run", "searches", "completed / stopped / failed", "cost of one", "best select error", "on test"]
    head += ["against random_search"]
    rows = []
    by_chance = comparisons.get("random_search")
    for name, comparison in comparisons.items():
        for task in comparison.tasks:
            found = task.searches
            counts = (sum(getattr(s, n) for s in found) for n in ("completed", "stopped", "failed"))
            rows.append(
                [
                    f"{name}, {task.task}",
                    str(len(found)),
                    " / ".join(map(str, counts)),
                    _over([each.spent for each in found], number) + (f" {found[0].unit}" if found else ""),
                    _over([each.curve[-1][1] if each.curve else None for each in found]),
                    _test([task], comparison.plan.searched[0]),
                    OPEN if comparison is by_chance else _against(task, by_chance),
                ]
            )
    note = (
        "Means over searches [lowest, highest]; on test mean ± sd over searches of what they chose, "
        "retrained. Against random_search: difference of the test errors, with its 95 % interval (Welch)."
    )
    return f"{note}\n\n{_table(head, rows)}"


def _against(task: TaskComparison, other: Comparison | None) -> str:
    """How much better a task's searches are on test than another run's; a dash where there is no saying."""
    theirs = [each for each in other.tasks if each.task == task.task] if other else []
    pair = [_finalist(each) for each in (*theirs, task)]
    if len(pair) < 2 or None in pair:
        return OPEN
    first, second = (each for each in pair if each)
    return signed(estimate(welch(first, second)), "better", "worse")


def _finalist(task: TaskComparison) -> Moments | None:
    """Test errors of a task's searches, n of them."""
    for each in task.finalists:
        if each.searches > 1 and each.test_error is not None and each.test_sd is not None:
            return Moments(each.test_error, each.test_sd / math.sqrt(each.n), each.n - 1.0)
    return None


def _datasets(comparison: Comparison) -> dict[str, list[TaskComparison]]:
    found: dict[str, list[TaskComparison]] = {}
    for task in comparison.tasks:
        found.setdefault(task.dataset, []).append(task)
    return found


def _searched(tasks: Iterable[TaskComparison]) -> list[SpaceComparison]:
    return [task.searched[0] for task in tasks if task.searched and task.searched[0].designs]


def _best_of(space: SpaceComparison) -> float | None:
    return next((each.error.value for each in space.best_of if each.n == space.n), None)


def _of(spaces: Sequence[SpaceComparison]) -> str:
    """`` (n = 20 of 100)``, if they all have the same."""
    sizes = {(space.n, space.designs) for space in spaces}
    return " (n = {} of {})".format(*sizes.pop()) if len(sizes) == 1 else ""


def _over(values: Sequence[float | None], printed: Callable[[float], str] = percent) -> str:
    """The mean, and the lowest and highest of several; a dash where any is unknown."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return OPEN
    if len(known) == 1:
        return printed(known[0])
    return f"{printed(statistics.fmean(known))} [{printed(min(known))}, {printed(max(known))}]"


def _to_match(chance: Chance | None, measure: Callable[[Chance], Estimate | None]) -> str:
    """Designs, or cost, until one matches; ``cannot say`` where the report does not say it either."""
    if chance is None or (found := measure(chance)) is None:
        return OPEN
    if found.high is None:
        return CANNOT_SAY if noise_hides(chance) else f"> {number(found.low)}"
    return (
        CANNOT_SAY
        if too_wide(found)
        else f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"
    )


def _seeds(levels: Sequence[Level | None]) -> str:
    if len(levels) == 1 and (level := levels[0]) and level.report_error is not None:
        return f"{percent(level.report_error)} ± {points(level.report_sd or 0.0)} (n = {level.seeds})"
    seeds = {level.seeds for level in levels if level}
    return _over([level.report_error if level else None for level in levels]) + (
        f" (n = {seeds.pop()} each)" if len(seeds) == 1 else ""
    )


def _gain(tasks: Sequence[TaskComparison]) -> str:
    gains = [space.gain for space in _searched(tasks)]
    if len(gains) == 1 and gains[0] is not None:
        return signed(gains[0], "better", "worse")
    bounds = [(gain.value, gain.low, gain.high) for gain in gains if gain]
    known = [(value, low, high) for value, low, high in bounds if None not in (value, low, high)]
    if not known or len(known) < len(gains):
        return OPEN
    value, low, high = (statistics.fmean(each) for each in zip(*known))
    return signed(Estimate(value=value, low=low, high=high), "better", "worse")


def _default(tasks: Sequence[TaskComparison]) -> str:
    """The default with the lowest mean select error, by its report error."""
    levels: dict[str, list[Level]] = {}
    for task in tasks:
        for level in task.defaults:
            levels.setdefault(level.space, []).append(level)
    whole = {
        name: statistics.fmean(errors)
        for name, found in levels.items()
        if len(errors := [level.select_error for level in found if level.select_error is not None])
        == len(tasks)
    }
    if not whole:
        return OPEN
    best = min(whole, key=whole.__getitem__)
    return f"{_seeds(levels[best])}, {label(best)}"


def _test(tasks: Sequence[TaskComparison], space: str) -> str:
    found = [each for task in tasks for each in task.finalists if each.space == space]
    if len(found) == 1 and found[0].test_error is not None:
        return f"{percent(found[0].test_error)} ± {points(found[0].test_sd or 0.0)} (n = {found[0].n})"
    return _over([each.test_error for each in found]) if len(found) == len(tasks) else OPEN


def _verdicts(tasks: Sequence[TaskComparison]) -> str:
    counts = Counter(map(verdict_text, tasks))
    return ", ".join(each if len(tasks) == 1 else f"{each}: {n}" for each, n in sorted(counts.items()))


def _milliseconds(seconds: float) -> str:
    return f"{number(1000 * seconds)} ms"


def _megabytes(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
