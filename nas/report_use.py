"""Tables of what is shown beside the verdict: controls, searches over time, the cost of use, fronts."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from nas.efficiency.anytime import FEWEST, TimeTo
from nas.efficiency.budget_pairs import NEAR
from nas.efficiency.control_sentences import differs
from nas.efficiency.controls import FixedControl
from nas.efficiency.estimate import Estimate, Unit, turned
from nas.efficiency.observed import WinnersCurse
from nas.efficiency.results import TaskComparison
from nas.efficiency.usage import Usage
from nas.efficiency.words import bound, label, number, percent, plural, points, span
from nas.report_cells import Cell, where
from nas.report_series import rate_table
from nas.report_tables import Table


def use_tables(task: TaskComparison) -> dict[str, Table]:
    """Those that have rows, by name."""
    tables = {
        "controls": control_table(task),
        "times": time_table(task),
        "curse": curse_table(task),
        "rates": rate_table(task),
        "budget-pairs": budget_pair_table(task),
        "use": use_table(task),
        "training": training_table(task),
        "fronts": front_table(task),
    }
    return {name: table for name, table in tables.items() if table.rows}


def control_table(task: TaskComparison) -> Table:
    """Every control: what differs, its error, its difference to the single design, its costs."""
    single = task.single.space if task.single else ""
    rows = []
    for space in task.controls:
        best = next((each.error.value for each in space.best_of if each.n == space.n), None)
        rows.append(
            (
                f"{label(space.space)} (N = {space.designs})",
                differs(space.space, single),
                "–" if best is None else f"{percent(best)} (best of {space.n})",
                _difference(turned(space.gain) if space.gain else None),
                number(space.multiply_adds),
                number(space.seconds),
            )
        )
    for control in task.fixed_controls:
        level = control.level
        rows.append(
            (
                f"{label(level.space)} ({plural(control.designs, 'design')})",
                differs(level.space, single),
                _error(level.report_error, level.report_sd, level.seeds),
                _difference(level.difference),
                number(level.multiply_adds),
                _both_costs(control),
            )
        )
    caption = (
        "Controls: each differs from the single design in one thing; no verdict rests on them. Difference: "
        "its report error minus the single design's, in points, with the 95 % interval; of a population that "
        "of the expected best of n by select error. Seconds of one training; where sizes were taken from a "
        "training of the single design, that one is charged too (after +)."
    )
    caption += where(" MA", rows, "MA: in multiply-adds.")
    head = ("control", "what differs", "report error", "difference", "multiply-adds", "s per trial")
    return Table(caption, head, tuple(rows))


def _both_costs(control: FixedControl) -> str:
    """Its own, and that of the training its sizes were taken from; multiply-adds where seconds are apart."""
    own, both, unit = control.own_seconds, control.level.seconds, ""
    if own is None or both is None:
        own, both, unit = control.own_training_multiply_adds, control.level.training_multiply_adds, " MA"
    text = f"{number(own)} + {number(both - own)}" if control.sources else number(both)
    missing = f" (unknown of {control.unknown})" if control.unknown else ""
    return Cell(f"{text}{unit}{missing}", both, unit.strip())


def time_table(task: TaskComparison) -> Table:
    """Cost until the searches of a space reach the fixed targets."""
    rows = [
        (
            label(found.space),
            f"{time.name} = {percent(time.target)}",
            f"{time.reached} of {time.searches}",
            found.unit,
            _median(time, found.unit),
        )
        for found in task.anytime
        for time in found.times
    ]
    caption = (
        "Cost until a search's best select error reaches a fixed target (f: the single design's mean select "
        "error): median over searches by Kaplan and Meier, those that did not reach it censored at their "
        f"whole cost; 95 % interval by log(-log), none below {FEWEST} searches."
    )
    caption += where("> ", rows, "After >: fewer than half had reached it at this cost.")
    return Table(caption, ("searches of", "target", "reached", "unit", "median cost"), tuple(rows))


def _median(time: TimeTo, unit: Unit) -> str:
    median = time.median
    if median.value is None:
        return Cell(f"> {number(time.known)}", time.known, f"{unit}, censored")
    around = "" if median.low is None else f" [{number(median.low)}, {bound(median.high)}]"
    return Cell(f"{number(median.value)}{around}", median.value, unit)


def curse_table(task: TaskComparison) -> Table:
    """The gap between select and test error: of kept weights, and of designs retrained."""
    rows = []
    for found in task.finalists:
        if found.kept:
            of = f"weights kept (export; best of {plural(found.trainings, 'finalist')})"
            rows.append((label(found.space), of, *_gap([found.kept]), "1"))
        if found.curses:
            n = f"{plural(len(found.curses), 'search')}, {sum(curse.n for curse in found.curses)} trainings"
            rows.append((label(found.space), "design retrained, fresh seeds", *_gap(found.curses), n))
    caption = (
        "Winner's curse: test error minus the select error that something was picked by, mean ± sd. Weights "
        "kept: of the finalist that export gives, picked by select error among finalists. Design retrained: "
        "of each search's best trial, whose design is trained again with fresh seeds."
    )
    return Table(caption, ("space", "what", "select → test", "gap", "n"), tuple(rows))


def _gap(curses: Sequence[WinnersCurse]) -> tuple[str, str]:
    select, test, gaps = (
        [getattr(curse, name) for curse in curses] for name in ("select_error", "test_error", "gap")
    )
    spread = f" ± {points(stdev(gaps))}" if len(gaps) > 1 else ""
    return f"{percent(fmean(select))} → {percent(fmean(test))}", f"{points(fmean(gaps))}{spread} points"


def budget_pair_table(task: TaskComparison) -> Table:
    """Every space against the single design at the budgets whose costs are nearest."""
    rows = [
        (
            f"{label(found.space)} at {found.length} (n = {found.trainings})",
            f"{found.single_length} (n = {found.single_trainings})",
            f"{found.ratio:.2g} ({found.unit})",
            _difference(found.difference),
        )
        for found in task.budget_pairs
    ]
    caption = (
        "Budgets at about equal cost: of B epochs (the run's) and 4B (four times as many) on either side the "
        f"pair whose costs of one training are nearest, where their ratio is at most {NEAR:g}. Difference: "
        "mean report error of random designs (of a fixed design, of its seeds) minus the single design's, in "
        "points, with Welch's 95 % interval."
    )
    return Table(caption, ("space", "single design at", "ratio of costs", "difference"), tuple(rows))


def use_table(task: TaskComparison) -> Table:
    """What a trained network costs in use, next to its error."""
    rows = [
        (
            _design(usage),
            _error(usage.report_error, usage.report_sd, usage.trainings),
            number(usage.parameters),
            number(usage.multiply_adds),
            _seconds(usage.latency_seconds),
        )
        for usage in task.usage
    ]
    caption = (
        "In use: report error, parameters, multiply-adds and latency of one row (median of repeated forward "
        "passes of finalists with their weights at rest, on the device and threads of the trial, beside "
        "whatever else ran there)."
    )
    return Table(caption, ("design", "report error", "parameters", "multiply-adds", "latency"), tuple(rows))


def training_table(task: TaskComparison) -> Table:
    """What one training costs."""
    rows = [
        (
            _design(usage),
            number(usage.steps),
            _seconds(usage.seconds_per_step),
            number(usage.training_multiply_adds),
            number(usage.training_executed or None),
            *(_megabytes(each) for each in (usage.peak_memory_bytes, usage.peak_device_bytes)),
            "–" if usage.joules is None else f"{number(usage.joules)} ({usage.joules_of})",
        )
        for usage in task.usage
    ]
    caption = (
        "One training: steps, wall time of a step (forward, backward and update), multiply-adds as spatial "
        "convolution (canonical) and as they ran, largest memory of the process and on the accelerator, "
        "joules where the hardware counts them. Means over trainings, of a step the median; memory is the "
        "largest."
    )
    head = ("design", "steps", "step", "multiply-adds", "executed", "memory", "on device", "joules")
    return Table(caption, head, tuple(rows))


def front_table(task: TaskComparison) -> Table:
    """Hypervolumes, and by whose front a fixed design is dominated."""
    rows = []
    for front in task.fronts:
        fixed = front.points[0].trial == ""
        rows.append(
            (
                label(front.space) if fixed else f"{label(front.space)} (N = {front.designs})",
                front.cost.replace("_", "-"),
                "–" if fixed else str(len(front.points)),
                "–" if front.hypervolume is None else f"{front.hypervolume:.3f}",
                (", ".join(map(label, front.dominated_by)) or "none") if fixed else "–",
            )
        )
    caption = (
        "Fronts of error against cost: random designs that no other is better than in select error and cost, "
        "shown by report error; fixed designs are one point, means over seeds. Hypervolume: share of the "
        "plane of error and log cost that is dominated, from always answering the most frequent class at the "
        "largest cost of all designs here (0) to no error at the smallest (1); more designs can only gain. "
        "Dominated by: spaces with a design on their front that is no worse in report error and cost. That "
        "design is one of N, trained once: noise favours it."
    )
    head = ("design or space", "cost", "on the front", "hypervolume", "dominated by")
    return Table(caption, head, tuple(rows))


def _design(usage: Usage) -> str:
    return label(usage.space) if usage.of == "fixed" else f"{label(usage.space)}, {usage.of}"


def _error(error: float | None, sd: float | None, n: int) -> str:
    return f"{percent(error)}{'' if sd is None else f' ± {points(sd)}'} (n = {n})"


def _difference(found: Estimate | None) -> str:
    return "–" if found is None or found.value is None else f"{points(found.value)} {span(found)}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return Cell(f"{number(1000 * value)} ms" if value < 1 else f"{number(value)} s", value)


def _megabytes(size: int | None) -> str:
    return f"{size / 2**20:.0f} MiB" if size else "–"
