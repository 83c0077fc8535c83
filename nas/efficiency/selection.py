"""Which records a number may rest on: guards, refusals and grouping, before any statistics."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from nas.efficiency.halves import (
    ReportErrors,
    SelectErrors,
    ValidationErrors,
    report_errors,
    select_errors,
    validation_errors,
)
from nas.efficiency.plan import Plan
from nas.efficiency.superseded import superseded
from trials.recipe import LONG, Recipe
from trials.record import TrialRecord

FREE_PER_SPACE = ("learning_rate", "weight_decay")
SAME_IN_A_TASK = (
    "rows_train",
    "rows_select",
    "rows_report",
    "classes",
    "majority_error",
    "digest",
    "augmentation",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A record that no number rests on, and why."""

    trial: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """Distinct designs of a space on a task; `trials[i]` are the trainings of design i, first one first."""

    trials: tuple[tuple[TrialRecord, ...], ...]

    @property
    def first(self) -> list[TrialRecord]:
        """One training per design: what every statement about the population rests on."""
        return [trials[0] for trials in self.trials]

    @property
    def rows(self) -> int:
        """Validation rows (both halves) that errors are shares of; 1 where every training failed."""
        return max((record.rows_select + record.rows_report for record in self.first), default=0) or 1

    @property
    def rows_report(self) -> int:
        """Rows that report errors are shares of; 1 where every training failed."""
        return max((record.rows_report for record in self.first), default=0) or 1

    def errors(self) -> ValidationErrors:
        """(N,) errors of the first trainings on both halves."""
        return validation_errors(self.first)

    def select_errors(self) -> SelectErrors:
        """(N,) errors of the first trainings on the half that picks designs."""
        return select_errors(self.first)

    def report_errors(self) -> ReportErrors:
        """(N,) errors of the first trainings on the half that is shown."""
        return report_errors(self.first)

    def repeats(self) -> list[ValidationErrors]:
        """For each design the errors of all its trainings on both halves."""
        return [validation_errors(trials) for trials in self.trials]

    def report_repeats(self) -> list[ReportErrors]:
        """For each design the errors of all its trainings on the half that is shown."""
        return [report_errors(trials) for trials in self.trials]


def population_of(records: Iterable[TrialRecord]) -> Population:
    """Groups random trials by design: another seed of a known design is a repeat, not a new design.

    Raises:
        ValueError: a trial was proposed by a sampler or stopped early.
    """
    by_design: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.trial.study.seed, record.trial.number)):
        _require_random(record)
        by_design[record.trial.architecture.id].append(record)
    return Population(trials=tuple(tuple(trials) for trials in by_design.values()))


def _require_random(record: TrialRecord) -> None:
    study = record.trial.study
    if study.kind != "population" or record.status == "stopped":
        what = "was stopped early" if study.kind == "population" else f"is of kind {study.kind}"
        raise ValueError(
            f"a distribution is stated from whole, random trials only, but {record.trial.id} {what}; "
            'give trials of kind "population" that ran the whole recipe'
        )


def usable(records: Sequence[TrialRecord], plan: Plan) -> tuple[list[TrialRecord], list[LeftOut]]:
    """Splits off the records that nothing may rest on, each with its reason; in the order of their ids."""
    kept: list[TrialRecord] = []
    left: list[LeftOut] = []
    seen: dict[object, str] = {}
    known = {record.trial.id for record in records}
    beaten = superseded(records)
    for record in sorted(records, key=lambda record: record.trial.id):
        trial = record.trial
        # One training, whichever search selected it: its design and its seed are all that it depends on.
        key = (dataclasses.replace(trial.study, seed=0), trial.architecture, trial.seed)
        reason = _reason(record, plan, known) or beaten.get(trial.id, "")
        if not reason and trial.study.kind != "search" and key in seen:
            reason = f"same design and seed as {seen[key]}"
        if reason:
            left.append(LeftOut(trial=trial.id, reason=reason))
        else:
            seen[key] = trial.id
            kept.append(record)
    return kept, left


def _reason(record: TrialRecord, plan: Plan, known: Container[str]) -> str:
    study = record.trial.study
    if study.space not in plan.all_spaces:
        return f"space {study.space} is not in the plan"
    origin = record.trial.selected_from
    if study.kind == "finalist" and study.space in plan.searched and origin not in known:
        return f"selected from {origin}, which has no record here" if origin else "no search selected it"
    if study.kind == "transfer" and not (study.source and study.by):
        return "a transfer trial that does not say from which task, or how, its design was carried"
    if record.status == "failed":
        return ""
    if not record.curve:
        return "ended without a finished epoch"
    numbers = (record.select_error, record.report_error, record.error if record.rows_select else 0.0)
    if not all(math.isfinite(number) for number in numbers) or not record.rows_select + record.rows_report:
        return "errors or validation rows are missing"
    if study.kind == "finalist" and record.test is None:
        return "a finalist without its look at the test split"
    if study.kind in ("long", "transfer") and record.status == "stopped":
        return f"a {study.kind} trial that was stopped early"
    return ""


def refuse_differing_recipes(records: Sequence[TrialRecord]) -> None:
    """Within a task everything but `FREE_PER_SPACE` must agree; within a space, on any task, those too.

    So must `SAME_IN_A_TASK` of trials that did not fail; an empty digest is unknown. The same data may lie
    elsewhere for some trials, which their digest shows: one without a digest must have been trained from
    where one with a digest was, if there is one, else all from one place. Long trials must have `LONG` times
    the epochs of the others.

    Raises:
        ValueError: names the field, both values and both trials.
    """
    of_task: dict[str, TrialRecord] = {}
    of_space: dict[str, TrialRecord] = {}
    of_data: dict[tuple[str, str], TrialRecord] = {}
    places: dict[str, dict[str, TrialRecord]] = defaultdict(dict)
    for record in records:
        if record.digest and record.status != "failed":
            places[record.trial.study.task].setdefault(record.trial.task.source, record)
    for record in records:
        study = record.trial.study
        first = of_task.setdefault(study.task, record)
        _refuse(first, record, _recipe_fields(record.trial.recipe, exclude=FREE_PER_SPACE), "in one task")
        sibling = of_space.setdefault(study.space, record)
        _refuse(sibling, record, FREE_PER_SPACE, "in one space")
        ours, known = record.trial.task, places[study.task] or {first.trial.task.source: first}
        other = first if record.digest else known.get(ours.source, next(iter(known.values())))
        theirs = other.trial.task.at(ours.source) if record.digest else other.trial.task
        if ours != theirs:
            raise _difference("task", str(other.trial.task), str(ours), other, record, "in one task")
        for name in SAME_IN_A_TASK if record.status != "failed" else ():
            value = getattr(record, name)
            same = of_data.setdefault((study.task, name), record) if value != "" else record
            if getattr(same, name) != value:
                raise _difference(name, getattr(same, name), value, same, record, "in one task")


def _recipe_fields(recipe: Recipe, exclude: Iterable[str] = ()) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(recipe) if field.name not in exclude)


def _refuse(first: TrialRecord, second: TrialRecord, names: Iterable[str], where: str) -> None:
    ours, theirs = _lengthened(first), _lengthened(second)
    for name in names if ours != theirs else ():
        if getattr(ours, name) != getattr(theirs, name):
            a, b = getattr(first.trial.recipe, name), getattr(second.trial.recipe, name)
            if name == "epochs" and "long" in (first.trial.study.kind, second.trial.study.kind):
                where += f" ({LONG} times as many in long trials)"
            raise _difference(name, a, b, first, second, where)


def _lengthened(record: TrialRecord) -> Recipe:
    """The recipe at 4B, whichever budget the trial had."""
    recipe = record.trial.recipe
    return recipe if record.trial.study.kind == "long" else _longer(recipe)


@cache
def _longer(recipe: Recipe) -> Recipe:
    return recipe.lengthened(LONG)


def _difference(
    name: str, a: object, b: object, first: TrialRecord, second: TrialRecord, where: str
) -> ValueError:
    return ValueError(
        f"{name} must be the same {where}, got {a!r} in {first.trial.id} and {b!r} in {second.trial.id}; "
        "compare runs of one recipe, or give the tasks different names"
    )


def common_settings(records: Sequence[TrialRecord]) -> dict[str, str | int | float]:
    """Fields of the recipe with one value in all records; of long trials those are at their own budget.

    Several words are one text, joined by +; without any, ``"none"``.
    """
    recipes = [record.trial.recipe for record in records if record.trial.study.kind != "long"]
    if not recipes:
        return {}
    names = _recipe_fields(recipes[0], exclude=("per_space",))
    values = {name: {getattr(recipe, name) for recipe in recipes} for name in names}
    return {
        name: ("+".join(value) or "none") if isinstance(value, tuple) else value
        for name, (value, *others) in values.items()
        if not others
    }
