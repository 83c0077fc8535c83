"""What a run consists of: its studies, and what the trials of each are."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Literal

import numpy as np

from nas.config import SearchConfig
from nas.limits import admission
from nas.population import population
from nas.sampler import Sampler
from nas.seeds import derived_seed
from search_spaces.architecture import Architecture
from search_spaces.complexity import KernelSizes
from search_spaces.space import Space, TaskShape, Values
from trials.logs import masked
from trials.recipe import LONG, Recipe
from trials.record import Kind, Status, Study, Trial
from trials.reference import Task

Wait = Literal["wait"]
Phase = Literal["first", "controls", "transfer", "described", "long"]
PHASES: tuple[Phase, ...] = ("first", "controls", "transfer", "described", "long")
"""The order in which trials are handed out. First the single design, defaults, populations, searches and
their finalists, so that a report of what was asked is there before the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What is kept in memory of a record: as much as later trials can rest on; see `TrialRecord`."""

    trial: Trial
    status: Status
    select_error: float
    multiply_adds: int
    kernel_sizes: KernelSizes


Ended = Callable[[Study], list[Outcome] | None]
"""A study's outcomes in the order of their numbers once all of its trials have ended, else None."""
Key = tuple[str | None, str]
"""What tells the designs of a study apart: the trial each was selected from, and the design's id."""
SEARCHED: Key = (None, "")
"""Of all trials of a search, whose designs nobody knows beforehand."""


def key(trial: Trial) -> Key:
    """What the study of a trial knows it by, whatever its number."""
    return SEARCHED if trial.study.kind == "search" else (trial.selected_from, trial.architecture.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trial that a study is to have, under a number that is still to be found."""

    key: Key
    make: Callable[[int], Trial]


@dataclass(slots=True)
class Planned:
    """A study, and how far it is.

    Attributes:
        expected: how many trials it has, at most while that rests on trials that have not ended.
        wanted: the trials it is to have, given those that are there; "wait" while they rest on trials that
            have not ended.
        there: what trials that were handed out are known by, by number.
        left: number and trial of those to come, None while `wanted` says wait.
        outcomes: of trials that ended, by number.
    """

    study: Study
    expected: int
    wanted: Callable[[Counter[Key]], list[Wanted] | Wait]
    phase: Phase = "first"
    sampler: Sampler | None = None
    there: dict[int, Key] = field(default_factory=dict)
    left: deque[tuple[int, Wanted]] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Trials there are, at most while it waits."""
        return max(self.expected, len(self.there)) if self.left is None else len(self.there) + len(self.left)

    @property
    def ended(self) -> bool:
        """Whether every trial has an outcome."""
        return self.left is not None and not self.left and len(self.outcomes) == len(self.there)

    @property
    def urgency(self) -> tuple[int, float]:
        """What goes first: by phase, then the study furthest behind.

        Searches go a little ahead, since finalists wait for them. A study that waits for others lets later
        ones by, so that no slot is idle; it is asked again each time.
        """
        ahead = 0.6 if self.study.kind == "search" else 1.0
        return PHASES.index(self.phase), len(self.there) / max(1, self.total) * ahead

    def settle(self) -> bool:
        """Find out what is to come, once that can be known; False while it cannot.

        A design that was handed out is wanted no more, whatever its number: a study that grew goes on behind
        its last trial, and one of which a folder was removed has that number filled again.
        """
        if self.left is None and (wanted := self.wanted(there := Counter(self.there.values()))) != "wait":
            free = (number for number in count() if number not in self.there)
            missing = []
            for each in wanted:
                if there[each.key] > 0:
                    there[each.key] -= 1
                else:
                    missing.append(each)
            self.left = deque(zip(free, missing))
        return self.left is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Maker:
    """Makes the trials of one space on one task."""

    config: SearchConfig
    task: Task
    shape: TaskShape
    space: Space

    @property
    def recipe(self) -> Recipe:
        """With the rates of the space."""
        return self.config.the_recipe().for_space(self.space.like or self.space.name)

    def study(self, kind: Kind, seed: int = 0) -> Study:
        return Study(task=self.task.name, space=self.space.name, kind=kind, seed=seed)

    def trial(self, study: Study, number: int, values: Values) -> Trial:
        recipe = self.recipe
        return Trial(
            study=study,
            number=number,
            task=self.task,
            architecture=self.space.decode(values),
            values=values,
            recipe=recipe.lengthened(LONG) if study.kind == "long" else recipe,
            seed=self.seed(study, number),
            weight=self.space.weight(values) if study.kind == "population" else 1.0,
        )

    def seed(self, study: Study, number: int) -> int:
        return derived_seed(self.config.seed, study.name, number)

    def designs(self, limits: tuple[str, ...], count: int | None = None) -> list[Values]:
        """Of the population, or so many: different ones, drawn at random within the limits."""
        seed = derived_seed(self.config.seed, self.task.name, self.space.name)
        admits = admission(self.space, self.shape, limits)
        return population(self.space, self.config.population if count is None else count, seed, admits)

    def drawn(self, study: Study, designs: list[Values], phase: Phase = "first") -> Planned:
        """A study whose designs are known before anything runs."""
        return Planned(study, len(designs), lambda there: self.wanted(study, designs), phase=phase)

    def wanted(self, study: Study, designs: list[Values]) -> list[Wanted]:
        """Trials of known designs."""
        return [
            Wanted((None, self.space.decode(values).id), partial(self.trial, study, values=values))
            for values in designs
        ]


def makers_of(
    config: SearchConfig,
    tasks: tuple[Task, ...],
    spaces: Mapping[tuple[str, str], Space],
    shapes: Mapping[str, TaskShape],
) -> dict[tuple[str, str], Maker]:
    """A maker for each (task name, name of a space in the configuration that can be made there)."""
    return {
        (task.name, name): Maker(
            config=config, task=task, shape=shapes[task.name], space=spaces[task.name, name]
        )
        for task in tasks
        for name in config.all_spaces
        if (task.name, name) in spaces
    }


def single_design(maker: Maker) -> list[Planned]:
    """Of a space with one design: seeds of it, finalists, long trials."""
    config = maker.config
    values = maker.space.sample(np.random.default_rng(0))
    return [
        maker.drawn(maker.study("population"), [values] * config.seeds),
        maker.drawn(maker.study("finalist"), [values] * config.finalist_seeds),
        maker.drawn(maker.study("long"), [values] * min(config.long, config.seeds), "long"),
    ]


def described(maker: Maker) -> Planned:
    """A few designs of a space that is only described."""
    designs = maker.designs(maker.config.constraints, maker.config.described_designs)
    return maker.drawn(maker.study("population"), designs, "described")


def searched(maker: Maker, ended: Ended) -> list[Planned]:
    """Of a space that is searched: its population with repeats, long trials, searches and their finalists."""
    config = maker.config
    designs = maker.designs(config.constraints)
    studies = [
        maker.drawn(maker.study("population"), designs + designs[: config.repeats]),
        maker.drawn(maker.study("long"), designs[: config.long], "long"),
    ]
    for seed in range(config.searches):
        study, finalists = maker.study("search", seed), maker.study("finalist", seed)
        sampler = Sampler(
            maker.space,
            admits=admission(maker.space, maker.shape, config.constraints),
            method=config.sampler,
            stopping=config.stopping,
            seed=derived_seed(config.seed, study.name),
            grace_epochs=config.grace_epochs,
            reduction_factor=config.reduction_factor,
        )
        studies += [
            _search(maker, study, sampler),
            Planned(
                finalists, config.finalist_seeds, partial(_retrained, maker, finalists, study, ended=ended)
            ),
        ]
    return studies


def _search(maker: Maker, study: Study, sampler: Sampler) -> Planned:
    def propose(number: int) -> Trial:
        values = sampler.ask()
        try:
            return maker.trial(study, number, values)
        except Exception as error:  # the user's own space; the trial fails with this as its reason
            broken = Architecture.of("undecodable", error=masked(f"{type(error).__name__}: {error}"))
            sound = replace(maker.space, assemble=lambda values: broken)
            return replace(maker, space=sound).trial(study, number, values)

    trials = maker.config.search_trials
    return Planned(study, trials, lambda there: [Wanted(SEARCHED, propose)] * trials, sampler=sampler)


def _retrained(
    maker: Maker, study: Study, search: Study, there: Counter[Key], *, ended: Ended
) -> list[Wanted] | Wait:
    """Retrainings of the search's best design on `select`, once the search has ended."""
    if (outcomes := ended(search)) is None:
        return "wait"
    if (best := best_of(outcomes)) is None:
        return []

    def retrain(number: int) -> Trial:
        seed = maker.seed(study, number)
        return replace(best, study=study, number=number, seed=seed, selected_from=best.id)

    return [Wanted((best.id, best.architecture.id), retrain)] * maker.config.finalist_seeds


def best_of(outcomes: list[Outcome]) -> Trial | None:
    """The completed trial of the lowest `select` error; of equal ones the first by its id."""
    completed = [each for each in outcomes if each.status == "completed"]
    return min(completed, key=lambda each: (each.select_error, each.trial.id)).trial if completed else None
