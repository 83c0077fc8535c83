"""Results in words. Every sentence carries its n; where nothing can be concluded it says what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from nas.efficiency.budgets import PREDICTS, Budgets
from nas.efficiency.controls import FixedControl
from nas.efficiency.elsewhere import ChosenElsewhere
from nas.efficiency.estimate import Estimate
from nas.efficiency.level import Level, learned_nothing
from nas.efficiency.observed import Finalist
from nas.efficiency.plan import Plan
from nas.efficiency.results import Chance, SpaceComparison, TaskComparison
from nas.efficiency.words import (
    bound,
    label,
    number,
    percent,
    plural,
    points,
    probability,
    share_span,
    signed,
)

WIDE = 10
"""A factor whose interval spans more than this is not stated."""
UNCHANGED = "No kernel size changed in this run: in every seed the last sizes are those of the first epoch."


def level_text(level: Level) -> str:
    """``7.8 % ± 0.3 (5 seeds)`` on the report half."""
    spread = "" if level.report_sd is None else f" ± {points(level.report_sd)}"
    failed = f", {level.failed} more failed" if level.failed else ""
    return f"{percent(level.report_error)}{spread} ({plural(level.seeds, 'seed')}{failed})"


def guess(level: Level, majority_error: float | None) -> str:
    """Of a design that learned nothing that shows in its answers; else empty."""
    if level.error is None or majority_error is None or level.error < majority_error - 1e-9:
        return ""
    return (
        f"{label(level.space)} ({plural(level.seeds, 'seed')}) is no better on validation rows than always "
        f"answering the most frequent class: {percent(level.error)} against {percent(majority_error)}."
    )


def of_task(task: TaskComparison, plan: Plan, chosen: Sequence[ChosenElsewhere] = ()) -> tuple[str, ...]:
    """The verdict sentence of every searched space first, then defaults, chance to match and finalists.

    `chosen`: the task's defaults that were chosen on the other tasks. None is said of described spaces.
    """
    single = label(plan.single)
    missing = _missing_single(task.single, single)
    if missing:
        found = [
            plural(s.designs, f"{label(s.space)} design") + (f" ({s.failed} failed)" if s.failed else "")
            for s in task.searched
            if s.designs
        ]
        beside = f" Trained so far: {', '.join(found)}." if found else ""
        return (f"{missing}: nothing can be concluded about {task.task} yet.{beside}",)
    verdicts = [_verdict_sentence(space, task, single) for space in task.searched]
    if not verdicts:
        assert task.single is not None  # or something would be missing
        verdicts = [f"{single} reaches {level_text(task.single)}; no space to search was planned."]
    verdicts[0] += " " + _against_default(task.defaults, single, plan, chosen)
    chances = [text for space in task.searched if (text := _for_one_training(space, single))]
    chances += [_chance(space, single) for space in task.searched if space.chance]
    chances += _learned_nothing(task, single)
    of_single = next((f for f in task.finalists if f.space == plan.single), None)
    finalists = [_finalist(f, of_single, single) for f in task.finalists if f is not of_single]
    return (*verdicts, *chances, *finalists)


def _for_one_training(space: SpaceComparison, single: str) -> str:
    """What a space reaches at the cost of one training of the single design, where that is given."""
    cost = next((each for each in space.equal_cost if each.trainings == 1), None)
    if cost is None or cost.gain is None or cost.gain.low is None or cost.gain.high is None:
        return ""
    subject = "a random" if cost.n == 1 else f"the expected best of {cost.n} random"
    return (
        f"At the cost of one training of {single} ({cost.unit}), {subject} {label(space.space)} design"
        f"{'' if cost.n == 1 else 's'} (N = {space.designs}) is {signed(cost.gain, 'better', 'worse')}."
    )


def _learned_nothing(task: TaskComparison, single: str) -> list[str]:
    if not single_learned_nothing(task):
        return []
    assert task.single is not None
    return [
        f"{single} ({percent(task.single.error)} on all validation rows) is not better, beyond noise, than "
        f"always answering the most frequent class ({percent(task.majority_error)}): that a design matches "
        "it means little."
    ]


def single_learned_nothing(task: TaskComparison) -> bool:
    """Whether the task's single design is not better, beyond noise, than the most frequent class."""
    level, majority = task.single, task.majority_error
    rows = task.rows_select + task.rows_report
    return level is not None and majority is not None and learned_nothing(level, majority, rows)


def _missing_single(level: Level | None, single: str) -> str:
    if level is None:
        return f"No training of {single} has ended (0 seeds)"
    if not level.seeds:
        return f"{single} failed in every training ({plural(level.failed, 'seed')})"
    return ""


def _verdict_sentence(space: SpaceComparison, task: TaskComparison, single: str) -> str:
    level, name = task.single, label(space.space)
    assert level is not None and task.margin is not None
    start = f"{single} reaches {level_text(level)} in 1 training; "
    if not space.designs:
        return f"{start}no {name} design was trained yet (N = 0): cannot say whether to search."
    if space.failed == space.designs:
        return f"{start}all {space.designs} {name} designs failed: cannot say whether to search."
    if space.n is None:
        return f"{start}of {name} only one design was trained (N = 1): cannot say whether to search."
    sample = f"N = {space.designs}" + (f", {space.failed} failed" if space.failed else "")
    subject = "a random" if space.n == 1 else f"the expected best of {space.n}"
    subject += f" {name} design" + ("" if space.n == 1 else "s") + f" ({sample})"
    assert space.gain is not None  # of a training that ended, and of two designs
    if level.seeds < 2:
        return (
            f"{start}{subject} is {_gain_only(space.gain)}; with one seed of {single} there is no interval: "
            "cannot say whether to search."
        )
    gain = signed(space.gain, "better", "worse") + at_cost(space)
    rule = f"margin {points(task.margin)} points, {plural(task.rows_report, 'report row')}"
    rule += "; every design of the space was trained" if space.census else ""
    rule += f"; {space.reason}" if space.reason else ""
    rule += f"; {would}" if (would := _would(space)) else ""
    return f"{start}{subject} is {gain}: {_conclusion(space, single)} ({rule})."


def _would(space: SpaceComparison) -> str:
    """What would decide where it cannot be said."""
    would = space.resolving
    if would is None:
        return ""
    if would.designs is None or would.seeds is None:
        return "no number of designs would decide it: the difference seen is too close to the margin"
    return (
        f"about {number(would.designs)} designs and {plural(would.seeds, 'seed')} would decide it, if the "
        "difference stays as seen"
    )


def _gain_only(gain: Estimate) -> str:
    value = gain.value or 0.0
    return f"{points(abs(value))} points {'better' if value >= 0 else 'worse'}"


def at_cost(space: SpaceComparison | FixedControl) -> str:
    """`` at 31x the device-time`` of one training of the single design; or empty."""
    if space.cost_ratio_seconds is not None:
        return f" at {number(space.cost_ratio_seconds)}x the device-time"
    if space.cost_ratio_multiply_adds is not None:
        return f" at {number(space.cost_ratio_multiply_adds)}x the multiply-adds"
    return ""


def _conclusion(space: SpaceComparison, single: str) -> str:
    if space.verdict == "search":
        return f"search, {single} loses by more than the margin"
    return "cannot say whether to search" if space.verdict == "cannot say" else space.verdict


def best_default(defaults: Sequence[Level]) -> Level | None:
    """The default with the lowest select error, if one was trained; with a failed training after the rest."""
    known = [default for default in defaults if default.select_error is not None]
    return min(
        known, key=lambda default: (default.failed > 0, default.select_error, default.space), default=None
    )


def loses_to_default(task: TaskComparison) -> bool:
    """Whether the single design is worse than any of its defaults, by the interval."""
    return bool(lost_to(task.defaults))


def lost_to(defaults: Sequence[Level]) -> list[str]:
    """Defaults than which the single design is worse, by the interval."""
    return [default.space for default in defaults if default.verdict == "worse"]


def verdict_text(task: TaskComparison) -> str:
    """The task's verdict; ``descriptive`` where its population is too small for one."""
    return "descriptive" if task.searched and task.searched[0].descriptive else task.verdict


def _against_default(
    defaults: Sequence[Level], single: str, plan: Plan, chosen: Sequence[ChosenElsewhere]
) -> str:
    best = best_default(defaults)
    if best is None:
        planned = ", ".join(map(label, plan.defaults)) or "none planned"
        return f"No default ({planned}; 0 seeds) was trained: cannot say whether {single} beats one."
    known = sum(default.select_error is not None for default in defaults)
    which = f"best of {known} defaults by select error" if known > 1 else "the only default"
    which = f"{plural(best.seeds, 'seed')}, {which}"
    subject = f"The {label(best.space)} default ({which})"
    if found := next((each for each in chosen if each.name == best.space), None):
        subject = (
            f"The default chosen on the other tasks ({label(found.space)} design of {found.source}, carried "
            f"by {found.by}, of {plural(found.candidates, 'candidate')} on "
            f"{plural(len(found.tasks), 'task')}; {which})"
        )
    others = [label(name) for name in lost_to(defaults) if name != best.space]
    also = "also loses" if best.verdict == "worse" else "loses"
    more = f" {single} {also} to {', '.join(others)}." if others else ""
    if best.difference is None:
        return (
            f"{subject} reaches {percent(best.report_error)}; without two seeds on either side there is no "
            f"interval: cannot say whether {single} beats it.{more}"
        )
    text = f"{subject} is {signed(best.difference, 'worse', 'better')}"
    if best.verdict == "worse":
        return f"{text}: {single} loses to it.{more}"
    sure = best.verdict == "better than the default"
    return f"{text}.{more}" if sure else f"{text}: cannot say which is better.{more}"


def _chance(space: SpaceComparison, single: str) -> str:
    chance = space.chance
    assert chance is not None
    name = label(space.space)
    counted = "Descriptive: " if space.descriptive else ""
    counted += (
        f"{chance.matches} of {chance.designs} random {name} designs match {single} once noise is shrunk"
    )
    unit = "device-time" if chance.factor_seconds else "multiply-adds"
    factor = chance.factor_seconds or chance.factor_multiply_adds
    if chance.designs_to_match.high is None:
        side = "one-sided 95 %" if chance.matches == 0 else "95 %"
        if noise_hides(chance):
            return f"{counted}, but noise hides how many do: p at most {probability(most(chance))} ({side})."
        low = number(chance.designs_to_match.low)
        least = f"factor at least {number(factor.low)} in {unit} ({side})"
        return f"{counted}: at least {low} designs to match, {least}."
    designs = chance.designs_to_match
    if too_wide(designs):
        hidden = f"noise hides how many do, p {share_span(chance.chance)}"
        return f"{counted}, but {hidden}: cannot say at what factor of the cost."
    some = "1 design" if number(designs.value) == "1" else f"{number(designs.value)} designs"
    text = f"{counted}: {some} to match [{bound(designs.low)}, {bound(designs.high)}]"
    if too_wide(factor):
        return f"{text}; cannot say at what factor of the cost (its interval spans more than {WIDE}x)."
    text += f", factor {number(factor.value)} [{bound(factor.low)}, {bound(factor.high)}] in {unit}"
    return f"{text} (a design at the population's median, at equal cost, has factor 2)."


def noise_hides(chance: Chance) -> bool:
    """Whether a bound on p of over 1/2 says nothing, and is so high by noise: 1 - 0.05^(1/N) is N's own."""
    of_number: float = 1 - 0.05 ** (1 / chance.designs)
    return most(chance) > max(0.5, of_number + 0.01)


def most(chance: Chance) -> float:
    """The upper bound of p."""
    return 1.0 if chance.chance.high is None else chance.chance.high


def too_wide(factor: Estimate) -> bool:
    """Whether an interval spans more than 10x."""
    return factor.low is None or factor.high is None or factor.low <= 0 or factor.high / factor.low > WIDE


def _finalist(finalist: Finalist, of_single: Finalist | None, single: str) -> str:
    name = label(finalist.space)
    spread = "" if finalist.test_sd is None else f" ± {points(finalist.test_sd)}"
    how = " from one search" if finalist.searches == 1 else ""
    sample = f"n = {finalist.n}"
    if finalist.searches > 1:
        sample += f" searches, {plural(finalist.trainings, 'training')}"
    text = f"On test, {name} finalists{how} reach {percent(finalist.test_error)}{spread} ({sample})"
    failed = [
        f"{side.failed} of {side.failed + side.trainings} {label(side.space)} finalists failed"
        for side in (finalist, of_single)
        if side and side.failed
    ]
    if finalist.difference is None:
        why = " and ".join(failed) or f"there are fewer than two of {name} or of {single}"
        return f"{text}; {why}: cannot say which is better."
    unclear = (finalist.difference.low or 0.0) <= 0 <= (finalist.difference.high or 0.0)
    text = f"{text}, {signed(finalist.difference, 'worse', 'better')} than {single}"
    return f"{text}: cannot say which is better." if unclear else f"{text}."


def correlation(budgets: Budgets) -> str:
    """``0.35 [-0.30, 0.78]``, or a dash."""
    if budgets.correlation is None or budgets.low is None or budgets.high is None:
        return "–"
    return f"{budgets.correlation:.2f} [{budgets.low:.2f}, {budgets.high:.2f}]"


def prediction(budgets: Budgets) -> str:
    """Of a space with several designs: that B does not predict 4B, or why that cannot be said; else empty."""
    name, n = label(budgets.space), budgets.designs
    if budgets.correlation is None:
        why = f"n = {n}, fewer than 4" if n < 4 else f"n = {n}, all of one error"
        for budget, which in ((budgets.short, ""), (budgets.long, "long ")):
            if n >= 4 and budget.failed == n:
                why = f"all {n} {which}trials failed"
        return f"Cannot say whether B predicts 4B on this task: {name} designs trained at both: {why}."
    if round(budgets.correlation, 2) >= PREDICTS:
        return ""
    text = (
        f"B (epochs: {budgets.short.epochs}) does not predict 4B ({budgets.long.epochs}) on this task: ranks "
        f"of {name} designs correlate by {correlation(budgets)} (Spearman, n = {n}), below {PREDICTS:g}."
    )
    unclear = budgets.high is not None and budgets.high >= PREDICTS
    return f"{text} The interval holds {PREDICTS:g}: more designs may say otherwise." if unclear else text


def untuned(rate: float, decay: float) -> str:
    """Of a space whose learning rate and weight decay nobody has chosen yet."""
    return (
        f"Learning rate {rate:g} and weight decay {decay:g} are the recipe's own: they were not chosen for "
        "this space on development tasks, as FlexConv's and the twin's were."
    )


def rejected(share: float, draws: int, limits: Sequence[str]) -> str:
    """What a run's limits leave out of a space; its population and searches hold the rest."""
    return (
        f"Limits ({', '.join(limits)}) reject {percent(share)} of its designs, estimated from {draws:,} "
        "draws by the population's law; everything said here is of those within them."
    )
