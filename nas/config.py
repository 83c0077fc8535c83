"""A run is a frozen value: everything that decides what is trained and how it is judged."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from search_spaces import SPACES
from search_spaces.constraints import Constraint
from search_spaces.controls import AFTER_ALL, AFTER_EACH
from search_spaces.lookup import lookup
from trials.recipe import RECIPES, Recipe
from trials.reference import Task, as_task


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """The plan of a comparison, written to the run directory before the first trial.

    Attributes:
        name: of the run; MLflow's experiment carries it.
        tasks: `trials.Task`, or its text: a registered name, a directory or glob of Parquet files,
            ``module:attribute`` or ``file.py:name``, each with sizes, such as ``digits@rows=500``.
        rows: of the tasks that name none: at most so many for training and validation, None for all.
        splits: seeds of the split that tasks of fewer than 1,000 rows are run with, each a task of its own.
        spaces: what is compared: registered names, ``module:attribute``, ``file.py:name`` or export folders.
        single: the single-design space that is judged against the others.
        defaults: single-design spaces that stand for what a practitioner does without search.
        controls: spaces that isolate the claim: a population of each, like those of the searched spaces, or
            `seeds` trainings if it has one design; never searched, no finalists. ``twin_matched`` and
            ``twin_learned`` are made from what the single design learned (`search_spaces.controls`).
        described: spaces of several designs of which `described_designs` each are trained, to describe them:
            no search, no finalists, no transfer. One that ships is left out on tasks it cannot be made for.
        development: tasks that rules were tuned on, beside those that ship as such: shown, not judged. By
            their names, with or without sizes.
        references: (task, reference error) for normalised errors, beside the committed table. By the names of
            tasks of this run in records, with or without the seed of the split.
        recipe: how every design is trained: a registered name or your own.
        epochs: overrides the recipe's, None to keep it.
        population: designs drawn at random from each space, all trained for the whole recipe.
        repeats: designs of the population trained a second time, to measure seed noise.
        described_designs: of each described space.
        seeds: trainings of each single design.
        long: designs of each population, its first and so drawn at random, that are trained once more with
            4 times the epochs, and trainings of each single design (at most `seeds`): does B predict 4B?
        transfer: fresh seeds with which the best design of every searched space on every task is trained on
            every task, by taps and by fraction of the extent; 0 for none.
        search_trials: designs a search proposes, per search.
        search_seeds: searches per task and space.
        sampler: what proposes designs in a search: a tree-structured Parzen estimator, chance, or NSGA-II.
        second: what NSGA-II keeps low beside the error; the other samplers know the error alone.
        stopping: when a search stops a trial: asynchronous successive halving, once it is worse than the
            median of the completed trials at that epoch, or never.
        grace_epochs: epochs before a search may stop a trial.
        reduction_factor: of successive halving: one trial in so many goes on at each rung.
        finalist_seeds: fresh seeds each selected design is retrained with, then tested once.
        rates: other sampling rates, over that of training, at which finalists are looked at without
            retraining, on resampled report rows, such as 0.5 or 2.
        margin_points, margin_share: a difference counts when it exceeds the larger of so many points of
            error and this share of the single design's error.
        budget: designs whose expected best the single design is judged against; at most a fifth of the
            population, which is also the default (None).
        constraints: limits that every design keeps within before it trains, such as ``"parameters <= 1e6"``
            or ``"multiply_adds >= 2e5"``; designs are drawn and proposed again until they do.
        cpus_per_trial: processor threads of one trial; fixed, since it changes rounding.
        max_trials, max_device_hours, max_hours: budgets of the whole run, over all its resumptions, None for
            none; whichever is spent first ends it. Of trials that were begun; of device-hours in records; of
            hours that the run was held by a process. When the hours are over running trials are paused,
            otherwise they end first, so that each may be exceeded by what runs.
        checkpoint_gb: the checkpoints of all running trials take at most so many gigabytes (of 10^9 bytes).
        seed: of everything random in the run.
    """

    name: str
    tasks: tuple[str | Task, ...]
    rows: int | None = None
    splits: int = 1
    spaces: tuple[str, ...] = ("flexconv", "twin")
    single: str = "flexconv"
    defaults: tuple[str, ...] = ("twin_3x3", "twin_7x7")
    controls: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    references: tuple[tuple[str, float], ...] = ()
    recipe: str = "standard"
    epochs: int | None = None
    population: int = 100
    repeats: int = 8
    described_designs: int = 24
    seeds: int = 5
    long: int = 0
    transfer: int = 0
    search_trials: int = 40
    search_seeds: int = 3
    sampler: Literal["tpe", "random", "nsga2"] = "tpe"
    second: Literal["multiply_adds", "latency"] = "multiply_adds"
    stopping: Literal["asha", "median", "none"] = "asha"
    grace_epochs: int = 2
    reduction_factor: int = 3
    finalist_seeds: int = 3
    rates: tuple[float, ...] = ()
    margin_points: float = 1.0
    margin_share: float = 0.1
    budget: int | None = None
    constraints: tuple[str, ...] = ()
    cpus_per_trial: int = 1
    max_trials: int | None = None
    max_device_hours: float | None = None
    max_hours: float | None = None
    checkpoint_gb: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        sound = re.fullmatch(r"[A-Za-z0-9_@-][A-Za-z0-9._@-]*", self.name) is not None
        _require(sound, "name must be letters, digits and . _ @ -", self.name)
        for name in (
            "tasks",
            "spaces",
            "defaults",
            "controls",
            "described",
            "development",
            "references",
            "rates",
            "constraints",
        ):
            _require(isinstance(getattr(self, name), tuple), f"{name} must be a tuple", getattr(self, name))
        _require(bool(self.tasks), "tasks must name at least one task", self.tasks)
        names = [task.name for task in self.the_tasks()]
        _require(len(set(names)) == len(names), "tasks must differ in their names", ", ".join(names))
        _require(bool(self.spaces), "spaces must name at least one space", self.spaces)
        spaces = self.all_spaces
        _require(
            len(set(spaces)) == len(spaces),
            "spaces, defaults, controls and described must differ",
            ", ".join(spaces),
        )
        for name in self.controls:
            if ":" not in name:  # a function of the user's is looked up when it is made
                lookup("control", name, {**SPACES, **AFTER_EACH, **AFTER_ALL})
        for name in ("splits", "population", "described_designs", "seeds", "grace_epochs", "cpus_per_trial"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1", getattr(self, name))
        counts = ("repeats", "long", "transfer", "search_trials", "search_seeds", "finalist_seeds", "seed")
        for name in counts:
            _require(getattr(self, name) >= 0, f"{name} must not be negative", getattr(self, name))
        _require(self.long <= self.population, "long must be at most the population", self.long)
        most = max(1, self.population // 5)
        fits = self.budget is None or 1 <= self.budget <= most
        _require(fits, f"budget must be between 1 and a fifth of the population, {most}", self.budget)
        _require(self.reduction_factor >= 2, "reduction_factor must be at least 2", self.reduction_factor)
        _require(self.rows is None or self.rows >= 20, "rows must be at least 20, or none", self.rows)
        _require(self.epochs is None or self.epochs >= 1, "epochs must be at least 1, or none", self.epochs)
        for name in ("sampler", "second", "stopping"):
            options = get_args(get_type_hints(SearchConfig)[name])
            _require(
                getattr(self, name) in options, f"{name} must be {_either(options)}", getattr(self, name)
            )
        fits = self.max_trials is None or self.max_trials >= 1
        _require(fits, "max_trials must be at least 1, or none", self.max_trials)
        for name in ("max_device_hours", "max_hours"):
            hours = getattr(self, name)
            fits = hours is None or 0 < hours < math.inf
            _require(fits, f"{name} must be positive and finite, or none", hours)
        sound = 0 < self.checkpoint_gb < math.inf
        _require(sound, "checkpoint_gb must be positive and finite", self.checkpoint_gb)
        for rate in self.rates:
            _require(0 < rate < math.inf, "rates must be positive and finite", rate)
        for text in self.constraints:
            Constraint.parse(text)
        for name in self.development:
            known = {known for task in self.the_tasks() for known in (task.name, task.short)}
            _require(as_task(name).name in known, f"development must name some of {', '.join(names)}", name)
        for each in self.references:
            sound = len(each) == 2 and isinstance(each[0], str) and 0 <= each[1] < 1
            _require(sound, "references must be pairs of a task and an error in [0, 1)", each)
        referred = [name for name, _ in self.references]
        _require(len(set(referred)) == len(referred), "references must name each task once", referred)
        every = [replace(task, split=task.split + i) for task in self.the_tasks() for i in range(self.splits)]
        known = {name for task in every for name in (task.name, replace(task, split=0).name)}
        for name in referred:
            _require(name in known, f"references must name some of {', '.join(names)}", name)
        for name in ("margin_points", "margin_share"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, f"{name} must be finite and not negative", value)

    @property
    def all_spaces(self) -> tuple[str, ...]:
        """Every space trials are drawn from: compared, defaults, controls, described."""
        return self.spaces + self.defaults + self.controls + self.described

    @property
    def following(self) -> tuple[str, ...]:
        """Controls made from what the single design learned, so once its trainings have ended."""
        return tuple(name for name in self.controls if name in AFTER_ALL or name in AFTER_EACH)

    @property
    def searches(self) -> int:
        """Searches per task and searched space."""
        return self.search_seeds if self.search_trials else 0

    def tuned_on(self, task: Task) -> bool:
        """Whether a task is one of `development`."""
        names = {as_task(name).name for name in self.development}
        return bool(names & {task.name, task.short})

    @property
    def judged_budget(self) -> int:
        """Designs whose expected best the single design is judged against."""
        return self.budget if self.budget is not None else max(1, self.population // 5)

    def the_tasks(self) -> tuple[Task, ...]:
        """The tasks, with the run's number of rows put in where they name none.

        Raises:
            ValueError: a text does not describe a task.
        """
        asked = (as_task(task) for task in self.tasks)
        return tuple(task if task.rows is not None else replace(task, rows=self.rows) for task in asked)

    def the_recipe(self) -> Recipe:
        """The recipe with the run's number of epochs put in.

        Raises:
            ValueError: there is no such recipe.
        """
        recipe = lookup("recipe", self.recipe, RECIPES)
        if not isinstance(recipe, Recipe):
            raise ValueError(f"recipe {self.recipe!r} is a {type(recipe).__name__}, not a trials.Recipe")
        return recipe if self.epochs is None else replace(recipe, epochs=self.epochs)


def _either(options: Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, (", ".join(options[:-1]), options[-1])))


def _require(condition: bool, rule: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{rule}, got {value}")


def override(config: SearchConfig, assignments: Sequence[str]) -> SearchConfig:
    """The configuration with ``field=value`` texts put in, as typed after ``--set``.

    Tuples are written with commas, an absent value as ``none``. Commas within a task's sizes belong to it:
    ``tasks=digits@rows=200,resolution=4,mnist5k`` are two. References are ``task:error``.

    Raises:
        ValueError: an assignment has no ``=``, names no field, or its value does not fit the field.
    """
    hints = get_type_hints(SearchConfig)
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes field=value, got {assignment!r}")
        if name not in hints:
            known = ", ".join(field.name for field in fields(SearchConfig))
            raise ValueError(f"the configuration has no field {name!r}; it has {known}")
        changes[name] = _parse(name, hints[name], text)
    return replace(config, **changes)


def _parse(name: str, hint: Any, text: str) -> object:
    options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if type(None) in options and text.lower() == "none":
        return None
    hint = options[0]
    if name == "references":
        return _references(text)
    if name == "rates":
        return _rates(text)
    try:
        if get_origin(hint) is tuple:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            return _tasks(parts) if name in ("tasks", "development") else tuple(parts)
        if get_origin(hint) is Literal:
            if text not in get_args(hint):
                raise ValueError
            return text
        return hint(text)
    except ValueError:
        expected = _either(get_args(hint)) if get_origin(hint) is Literal else hint.__name__
        raise ValueError(f"--set {name}: expected {expected}, got {text!r}") from None


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"--set rates: expected numbers such as 0.5,2, got {text!r}") from None


def _references(text: str) -> tuple[tuple[str, float], ...]:
    parts = _tasks([part.strip() for part in text.split(",") if part.strip()])
    try:
        return tuple((task, float(error)) for task, _, error in (part.rpartition(":") for part in parts))
    except ValueError:
        raise ValueError(f"--set references: expected task:error,task:error, got {text!r}") from None


def _tasks(parts: list[str]) -> tuple[str, ...]:
    """Texts of tasks: a part of the form ``word=value`` continues the one before it, if that has sizes."""
    tasks: list[str] = []
    for part in parts:
        if re.fullmatch(r"[a-z_]+=[^@/=]*", part) and tasks and "@" in tasks[-1]:
            tasks[-1] += f",{part}"
        else:
            tasks.append(part)
    return tuple(tasks)
