"""Tables across tasks: transfer, defaults chosen on the other tasks, aggregates, per-dataset effects."""

from __future__ import annotations

from nas.efficiency.across import score
from nas.efficiency.aggregates import Aggregate, Standing
from nas.efficiency.elsewhere import ChosenElsewhere
from nas.efficiency.estimate import Estimate
from nas.efficiency.ranks import Effect, Pair
from nas.efficiency.results import Comparison
from nas.efficiency.transfer import ENOUGH_SEEDS, Cell, TransferMatrix
from nas.efficiency.words import label, number, percent, points, probability, span
from nas.figures_across import across_name
from nas.report_cells import where
from nas.report_tables import Table

PROFILE_AT = (0.0, 0.25, 0.5, 1.0)


def across_tables(comparison: Comparison) -> dict[str, Table]:
    """File-safe name -> table, of all tables over tasks that have rows."""
    development = comparison.plan.development
    tables = {across_name("transfer", m.space): transfer_table(m, development) for m in comparison.transfer}
    tables[across_name("defaults")] = _chosen_table(comparison.chosen)
    if comparison.aggregate is not None:
        tables[across_name("aggregate")] = _standing_table(comparison.aggregate)
        tables[across_name("effects")] = _effect_table(comparison.aggregate)
        tables[across_name("references")] = _scale_table(comparison.aggregate)
    return {name: table for name, table in tables.items() if table.rows}


def transfer_table(matrix: TransferMatrix, development: tuple[str, ...]) -> Table:
    """Where a design was chosen against where it was trained; the numbers of the figure."""
    head = ("design", *(f"{task} (development)" if task in development else task for task in matrix.tasks))
    rows = tuple((label(row.name), *map(_cell, row.cells)) for row in matrix.rows)
    caption = (
        f"Transfer of {label(matrix.space)} designs: report error, mean ± sd over fresh seeds; below it the "
        "points that this is above own best, the design chosen on the column's own task and retrained, with "
        "Welch's 95 % interval."
    )
    caption += where("descriptive", rows, f"Fewer than {ENOUGH_SEEDS} seeds: descriptive.")
    words = "As by taps: no trials of its own, but those by taps of the same design."
    caption += where("as by taps", rows, words) + where("–", rows, "–: not trained, or not possible.")
    return Table(caption, head, rows)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    if cell.own and cell.as_taps:
        return "as by taps"
    spread = "" if cell.sd is None else f" ± {points(cell.sd)}"
    sample = [f"n = {cell.seeds}"]
    sample += [f"{cell.failed} failed"] if cell.failed else []
    sample += ["descriptive"] if cell.descriptive else []
    sample += ["as by taps"] if cell.as_taps else []
    against = "own best" if cell.own else _above(cell.difference)
    return f"{percent(cell.error)}{spread} ({', '.join(sample)}; {against})"


def _above(difference: Estimate | None) -> str:
    if difference is None or difference.value is None:
        return "no interval"
    return f"{'+' * (difference.value >= 0)}{points(difference.value)} {span(difference)}"


def _chosen_table(chosen: tuple[ChosenElsewhere, ...]) -> Table:
    rows = tuple(
        (
            each.task,
            label(each.name),
            f"{number(each.rank)} of {each.candidates}",
            ", ".join(each.tasks),
        )
        for each in chosen
    )
    caption = (
        "Defaults chosen on the other tasks (leave one task out): of the designs chosen on tasks of other "
        "datasets the one with the best mean rank, by select error of its trainings, over the tasks it was "
        "ranked on. It is one of the task's defaults."
    )
    return Table(caption, ("task", "default", "mean rank", "ranked on"), rows)


def _standing_table(aggregate: Aggregate) -> Table:
    marked = " These are development tasks: no evidence." if aggregate.of == "development" else ""
    caption = (
        f"Over {aggregate.of} tasks, a dataset counts once.{marked} Normalised report error: 0 is the "
        "reference, 1 always the most frequent class. Runs: of fixed designs trainings over seeds; of a "
        "searched space retrainings of what its searches selected. IQM: interquartile mean; improvement: the "
        "chance that a run of the single design has the lower error; both with 95 % intervals by a bootstrap "
        "of runs within tasks, for these tasks. Last columns: share of tasks x runs at or below an error."
    )
    head = ("design or space", "runs (failed)", "IQM", "improvement", *(f"≤ {tau:g}" for tau in PROFILE_AT))
    rows = tuple(
        (
            label(each.name),
            f"{each.runs} ({each.failed})",
            score(each.iqm),
            "–" if each.improvement is None else _probability(each.improvement),
            *(percent(_share(each, tau)) for tau in PROFILE_AT),
        )
        for each in aggregate.standings
    )
    return Table(caption, head, rows)


def _probability(estimate: Estimate) -> str:
    value, low, high = (probability(p or 0.0) for p in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _share(standing: Standing, tau: float) -> float:
    return max((share for level, share in standing.profile if level <= tau), default=0.0)


def _effect_table(aggregate: Aggregate) -> Table:
    datasets = [effect.dataset for count in aggregate.signs[:1] for effect in count.effects]
    tests = {pair.other: pair for pair in aggregate.tests.pairs} if aggregate.tests else {}
    rows = tuple(
        (
            label(count.other),
            *map(_effect, count.effects),
            f"{count.wins} / {count.losses} / {count.unclear}",
            *([_tested(tests[count.other])] if tests else []),
        )
        for count in aggregate.signs
    )
    caption = (
        "Effect on every dataset: points of report error by which the single design is better (negative: "
        "worse), mean over the dataset's tasks, 95 % interval over runs. The last column counts the datasets "
        "on which the interval says better, worse, or neither."
    )
    head = ("single design against", *datasets, "better / worse / cannot say")
    return Table(caption, (*head, *(["Wilcoxon p (Holm)"] if tests else [])), rows)


def _tested(pair: Pair) -> str:
    return f"{probability(pair.p)} ({probability(pair.holm)})"


def _effect(effect: Effect) -> str:
    return _above(effect.difference)


def _scale_table(aggregate: Aggregate) -> Table:
    rows = tuple(
        (scale.task, scale.dataset, percent(scale.reference), scale.how, percent(scale.majority))
        for scale in aggregate.scales
    )
    caption = (
        "What errors are normalised by: a committed table of baselines, or the configuration; never the best "
        "error found."
    )
    return Table(caption, ("task", "dataset", "reference error", "obtained by", "most frequent class"), rows)
