"""Tables of one task as plain text cells: the same words in the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nas.efficiency.estimate import Estimate, Unit
from nas.efficiency.level import Level
from nas.efficiency.observed import SearchCurve, WinnersCurse
from nas.efficiency.results import Chance, SpaceComparison, TaskComparison
from nas.efficiency.sentences import too_wide
from nas.efficiency.words import bits, bound, label, number, percent, points, probability
from nas.report_cells import Cell, where
from trials.record import Interval


class Table(NamedTuple):
    """A caption, column heads and rows of text."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def efficiency_table(task: TaskComparison) -> Table:
    """The single design, the searched spaces, the defaults: error, chance, cost, size; then anchors."""
    head = (
        "space",
        "report error",
        "test error (n)",
        "match f, p",
        "match f + margin, p",
        "p_run",
        "designs to match",
        "for an even chance",
        "cost to match",
        "factor",
        "bits",
        "parameters",
        "multiply-adds",
        "s per trial",
    )
    rows = [_level_row(task, task.single)] if task.single else []
    rows += [_space_row(task, space) for space in task.spaces if space.designs]
    rows += [_level_row(task, default) for default in task.defaults]
    anchors = [each for each in task.anchors if each.error is not None] if rows else []
    rows += [(each.name, percent(each.error), *["–"] * (len(head) - 2)) for each in anchors]
    caption = (
        "Errors: mean ± sd over seeds; of a searched space, the expected best of n with its 95 % "
        "interval; test errors of several searches: mean ± sd over searches. Brackets are 95 % intervals. "
        "Match: designs whose error, noise shrunk, is at most the single design's (f), or that plus the "
        "margin. p_run: the chance that one run of a random design matches one run of the single design. "
        "For an even chance: designs of which one matches with probability one half. Factor: cost "
        "to match over the cost of one training of the single design; a design at the population's "
        "median, at equal cost, has factor 2. Costs are device-seconds unless marked MA (multiply-adds). "
        "Bits: log2 of the designs in the space."
    )
    if anchors:
        caption += " The last rows need no network: usual settings, fitted once to the training rows."
    elif task.majority_error is not None:
        caption += f" Always answering the most frequent class: {percent(task.majority_error)} error."
    return Table(caption, head, tuple(rows))


def _level_row(task: TaskComparison, level: Level) -> tuple[str, ...]:
    spread = "" if level.report_sd is None else f" ± {points(level.report_sd)}"
    report = (
        "–" if level.report_error is None else f"{percent(level.report_error)}{spread} (n = {level.seeds})"
    )
    sizes = (number(level.parameters), number(level.multiply_adds)) if level.seeds else ("–", "–")
    return (
        label(level.space),
        report,
        _test(task, level.space),
        *["–"] * 7,
        bits(1),
        *sizes,
        number(level.seconds or None),
    )


def _space_row(task: TaskComparison, space: SpaceComparison) -> tuple[str, ...]:
    best = next((b.error for b in space.best_of if b.n == space.n), None)
    report = "–"
    if best is not None and best.value is not None:
        low, high = (points(b) if b is not None else "∞" for b in (best.low, best.high))
        report = f"{percent(best.value)} [{low}, {high}] (n = {space.n})"
    chance = space.chance
    run = designs = even = cost = factor = "–"
    if space.chance_run is not None:
        run = _probability(space.chance_run)
    if chance is not None:
        seconds = chance.factor_seconds is not None
        costs = chance.cost_seconds or chance.cost_multiply_adds
        ratio = chance.factor_seconds or chance.factor_multiply_adds
        unit = " s" if seconds else " MA"
        designs, even = _bounded(chance.designs_to_match), _bounded(chance.designs_even)
        cost = _bounded(costs) + unit
        factor = (
            "cannot say"
            if ratio.high is not None and too_wide(ratio)
            else _bounded(ratio) + ("" if seconds else unit)
        )
    return (
        f"{label(space.space)} (N = {space.designs})",
        report,
        _test(task, space.space),
        _matches(chance),
        _matches(space.chance_margin),
        run,
        designs,
        even,
        cost,
        factor,
        bits(space.size),
        number(space.parameters),
        number(space.multiply_adds),
        number(space.seconds),
    )


def _matches(chance: Chance | None) -> str:
    """Designs that match, and p: with k = 0 its one-sided bound only."""
    if chance is None:
        return "–"
    p = _probability(chance.chance) if chance.matches else f"≤ {probability(chance.chance.high or 0.0)}"
    return f"{chance.matches} of {chance.designs}, p {p}"


def _probability(estimate: Estimate) -> str:
    value, low, high = (probability(p or 0.0) for p in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _bounded(estimate: Estimate) -> str:
    """A value and its interval, or the one-sided bound."""
    if estimate.high is None:
        return f"≥ {number(estimate.low)}"
    return f"{number(estimate.value)} [{bound(estimate.low)}, {bound(estimate.high)}]"


def _test(task: TaskComparison, space: str) -> str:
    for finalist in task.finalists:
        if finalist.space == space and finalist.test_error is not None:
            spread = "" if finalist.test_sd is None else f" ± {points(finalist.test_sd)}"
            return f"{percent(finalist.test_error)}{spread} (n = {finalist.n})"
    return "–"


def search_table(task: TaskComparison) -> Table | None:
    """Every search: its trials, its best, its time to the single design's error, its finalist on test."""
    if not task.searches:
        return None
    curses = {(f.space, c.search_seed): c for f in task.finalists for c in f.curses}
    rows = []
    for search in task.searches:
        curse = curses.get((search.space, search.seed))
        ended = f"{search.completed} / {search.stopped} / {search.failed}"
        rows.append(
            (
                f"{label(search.space)}, seed {search.seed}",
                ended,
                _cost(search.unit, search.spent),
                percent(search.curve[-1][1]) if search.curve else "–",
                _time(search, search.to_single),
                _time(search, search.to_margin),
                *_curse(curse),
            )
        )
    caption = (
        "Searches choose and stop trials by select error, so no statement about a distribution rests on "
        "them. Winner's curse: test error of the selected design, retrained, minus the select error its "
        "search saw."
    )
    units = {search.unit for search in task.searches}
    caption += " s: device-seconds." * ("device-seconds" in units)
    caption += " MA: multiply-adds." * ("multiply-adds" in units)
    caption += where("> ", rows, "After >: censored, the target was not reached within this cost.")
    head = (
        "search",
        "completed / stopped / failed",
        "cost",
        "best select error",
        "cost to f",
        "cost to f + margin",
        "select → test",
        "winner's curse",
    )
    return Table(caption, head, tuple(rows))


def _curse(curse: WinnersCurse | None) -> tuple[str, str]:
    if curse is None:
        return "–", "–"
    both = f"{percent(curse.select_error)} → {percent(curse.test_error)} (n = {curse.n})"
    return both, f"{points(curse.gap)} points"


def _cost(unit: Unit, spent: float) -> Cell:
    sign = "s" if unit == "device-seconds" else "MA"
    return Cell(f"{number(spent)} {sign}", spent, sign)


def _time(search: SearchCurve, reached: float | None) -> str:
    if search.target is None:
        return "–"
    if reached is not None:
        return _cost(search.unit, reached)
    spent = _cost(search.unit, search.spent)
    return Cell(f"> {spent}", search.spent, f"{spent.group}, censored")


def test_table(task: TaskComparison) -> Table | None:
    """Every finalist: its metrics on the test rows, each with its interval over these rows."""
    if not any(finalist.tested for finalist in task.finalists):
        return None
    rows = []
    resamples = {tested.metrics.resamples for finalist in task.finalists for tested in finalist.tested}
    counts = " to ".join(f"{count:,}" for count in sorted(filter(None, resamples)))
    of = f" of {counts} resamples" if counts else ""
    for finalist in task.finalists:
        for tested in finalist.tested:
            found = tested.metrics
            rows.append(
                (
                    label(finalist.space),
                    tested.trial,
                    str(found.rows),
                    _over_rows(percent(found.error), points, found.error_interval),
                    _over_rows(number(found.loss), number, found.loss_interval),
                    _over_rows(percent(found.balanced_accuracy), points, found.balanced_accuracy_interval),
                    "–"
                    if found.auroc is None
                    else _over_rows(probability(found.auroc), probability, found.auroc_interval),
                )
            )
    caption = (
        "Finalists on test: one training each. Brackets are 95 % intervals over test rows taken as "
        f"independent, for this training and this split: Wilson's for the error, a bootstrap{of} for the "
        "others; none where too few rows are wrong for it to hold. Loss: cross-entropy in nats, at most 15.9 "
        "a row. AUROC: of several classes the mean of each against the rest. All follow from the stored "
        "predictions."
    )
    head = ("space", "trial", "test rows", "error", "loss", "balanced accuracy", "AUROC")
    return Table(caption, head, tuple(rows))


def _over_rows(value: str, printed: Callable[[float], str], interval: Interval | None) -> str:
    return value if interval is None else f"{value} [{printed(interval.low)}, {printed(interval.high)}]"


def kernel_table(task: TaskComparison) -> Table | None:
    """Kernel sizes per layer, first layer first."""
    if not task.kernel_sizes:
        return None
    rows = tuple(
        (label(k.space), k.of, ", ".join(_taps(layer) for layer in k.layers)) for k in task.kernel_sizes
    )
    return Table(
        "Taps along each axis of every convolution wider than 1, first layer first.",
        ("space", "of", "kernel sizes"),
        rows,
    )


def _taps(layer: Sequence[float]) -> str:
    return "x".join(f"{taps:.3g}" for taps in layer)
