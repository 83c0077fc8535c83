"""What is said across tasks: transfer, defaults of the other tasks, aggregates, signs and rank tests."""

from __future__ import annotations

from collections.abc import Sequence

from nas.efficiency.aggregates import Aggregate, Standing
from nas.efficiency.elsewhere import ChosenElsewhere
from nas.efficiency.estimate import Estimate
from nas.efficiency.plan import Plan
from nas.efficiency.ranks import ENOUGH_DATASETS, RankTests, SignCount
from nas.efficiency.transfer import Loss, TransferMatrix
from nas.efficiency.words import label, plural, probability, signed

MARKED = "These are development tasks, where rules were tuned or answers built in: they show the instrument."


def across(
    matrices: Sequence[TransferMatrix],
    chosen: Sequence[ChosenElsewhere],
    aggregate: Aggregate | None,
    plan: Plan,
    tasks: int,
) -> tuple[str, ...]:
    """Sentences in the order of the tables; of what cannot be said, that, with the n that is there."""
    if tasks < 2:
        return (
            f"{plural(tasks, 'task')}: no transfer, no default of the other tasks, nothing to aggregate.",
        )
    said = [_carried(matrix) for matrix in matrices] or [
        "No transfer trial has ended (n = 0): cannot say whether a design of one task is of use on another."
    ]
    if plan.searched and not chosen:
        said.append(
            "No default was chosen on the other tasks: that takes transfer trials from and on 2 datasets."
        )
    if aggregate is None:
        said.append(f"{label(plan.single)} was trained on fewer than 2 tasks: nothing is aggregated.")
    else:
        said += _aggregate(aggregate, plan)
        said += [MARKED] if aggregate.of == "development" else []
    return tuple(said)


def _carried(matrix: TransferMatrix) -> str:
    """Designed once, used everywhere? Losses against a task's own best design, retrained."""
    name = label(matrix.space)
    by_way = {loss.carried: loss for loss in matrix.losses if loss.carried}
    fixed = [loss for loss in matrix.losses if not loss.carried]
    if not matrix.losses:
        cells = sum(cell is not None for row in matrix.rows for cell in row.cells)
        return (
            f"Of {plural(cells, 'cell')} of the {name} transfer matrix none can be held against own best, "
            "with 3 trainings each: cannot say what a design of another task loses."
        )
    parts = [f"carried by {way} it is {_loss(loss)}" for way, loss in by_way.items()]
    text = (
        f"Against a task's own best {name} design, retrained, a design chosen on a task of another dataset: "
    )
    text += "; ".join(parts) if parts else "none was trained (0 cells)"
    text += "".join(f"; {label(loss.name)} is {_loss(loss)}" for loss in fixed)
    return f"{text}. Means over {matrix.of} tasks, intervals of seeds alone."


def _loss(loss: Loss) -> str:
    failed = f", {loss.failed} failed" if loss.failed else ""
    left = f", without {', '.join(loss.left_out)}, where trainings failed" if loss.left_out else ""
    sample = f"{plural(loss.cells, 'cell')}, {plural(loss.datasets, 'dataset')}{failed}{left}"
    return f"{signed(loss.loss, 'worse', 'better')} ({sample})"


def _aggregate(aggregate: Aggregate, plan: Plan) -> list[str]:
    single = label(plan.single)
    said = []
    if aggregate.standings:
        tasks = plural(len(aggregate.scales), "task")
        over = f"{plural(aggregate.datasets, f'{aggregate.of} dataset')} ({tasks})"
        means = [f"{label(each.name)} {score(each.iqm)} ({_runs(each)})" for each in aggregate.standings]
        said.append(
            f"Over {over}, interquartile mean of the normalised report error (0: the reference, 1: always "
            f"the most frequent class): {', '.join(means)}."
        )
        chances = [
            f"{_chance(each.improvement)} against {label(each.name)}"
            for each in aggregate.standings
            if each.improvement is not None
        ]
        if chances:
            said.append(
                f"The chance that a run of {single} has a lower error than another's, over the same "
                f"{plural(aggregate.datasets, 'dataset')}: {', '.join(chances)}."
            )
    said += [_signs(aggregate.signs, single)] if aggregate.signs else []
    if aggregate.tests is not None:
        said.append(_tests(aggregate.tests, single))
    elif aggregate.signs:
        few = len(aggregate.signs[0].effects)
        said.append(
            f"{plural(few, 'independent dataset')}, fewer than {ENOUGH_DATASETS}: effects and signs only, no "
            "rank test."
        )
    if aggregate.missing:
        listed = "; ".join(f"{label(each.name)} ({each.reason})" for each in aggregate.missing)
        said.append(f"Left out over tasks ({len(aggregate.missing)}): {listed}.")
    return said


def score(estimate: Estimate) -> str:
    """A normalised error with its interval: ``0.213 [0.184, 0.242]``; infinite where too many runs failed."""
    if estimate.value is None:
        return "∞"
    low = "-∞" if estimate.low is None else _three(estimate.low)
    high = "∞" if estimate.high is None else _three(estimate.high)
    return f"{_three(estimate.value)} [{low}, {high}]"


def _three(value: float) -> str:
    """Three decimals, no negative zero."""
    return f"{round(value, 3) + 0.0:.3f}"


def _chance(estimate: Estimate) -> str:
    value, low, high = (probability(p or 0.0) for p in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _runs(standing: Standing) -> str:
    failed = f", {standing.failed} failed" if standing.failed else ""
    searches = f" of {plural(standing.searches, 'search')}" if standing.searches else ""
    return f"{plural(standing.runs, 'run')}{searches}{failed}"


def _signs(counts: Sequence[SignCount], single: str) -> str:
    datasets = plural(len(counts[0].effects), "dataset")
    each = (
        f"better than {label(count.other)} on {count.wins}, worse on {count.losses}, cannot say on "
        f"{count.unclear}"
        for count in counts
    )
    return f"By intervals of report errors on each of {datasets}, {single} is {'; '.join(each)}."


def _tests(tests: RankTests, single: str) -> str:
    friedman = "" if tests.friedman is None else f"Friedman p = {probability(tests.friedman)}; "
    clear = [
        f"{'better' if pair.better > pair.worse else 'worse'} than {label(pair.other)}, p = "
        f"{probability(pair.holm)}"
        for pair in tests.pairs
        if pair.holm <= 0.05
    ]
    found = "; ".join(clear) if clear else "no clear difference"
    return (
        f"Rank tests over n = {tests.datasets} datasets: {friedman}Wilcoxon, {single} against each of "
        f"{len(tests.pairs)}, Holm: {found}. Attainable at this n: {probability(tests.attainable)}, with "
        f"Holm {probability(tests.attainable_holm)}."
    )
