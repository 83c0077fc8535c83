"""What a run consists of: its studies, and what the trials of each are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from nas.config import SearchConfig
from nas.limits import admission
from nas.population import population
from nas.sampler import Sampler
from nas.seeds import derived_seed
from search_spaces.architecture import Architecture
from search_spaces.space import Space, TaskShape, Values
from trials.recipe import LONG, Recipe
from trials.record import Kind, Study, Trial, TrialRecord
from trials.reference import Task

Wait = Literal["wait"]
Propose = Callable[[int], Trial | Wait | None]
"""Number -> that trial; "wait" while it rests on trials that have not ended; None if there is none."""
Ended = Callable[[Study], list[TrialRecord] | None]
"""A study's records in the order of their numbers once all of its trials have ended, else None."""
Phase = Literal["first", "controls", "transfer", "long"]
PHASES: tuple[Phase, ...] = ("first", "controls", "transfer", "long")
"""The order in which trials are handed out. First the single design, defaults, populations, searches and
their finalists, so that a report of what was asked is there before the rest."""


@dataclass(slots=True)
class Planned:
    """A study, and how far it is.

    Attributes:
        total: how many trials there are, at most while that rests on trials that have not ended.
        issued: numbers of the trials handed out.
        records: of those that ended.
    """

    study: Study
    total: int
    propose: Propose
    phase: Phase = "first"
    sampler: Sampler | None = None
    issued: set[int] = field(default_factory=set)
    records: list[TrialRecord] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether every trial has a record."""
        return len(self.records) >= self.total


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
        return self.config.the_recipe().for_space(self.space.name)

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

    def designs(self, limits: tuple[str, ...]) -> list[Values]:
        """Of the population: different ones, drawn at random within the limits."""
        seed = derived_seed(self.config.seed, self.task.name, self.space.name)
        admits = admission(self.space, self.shape, limits)
        return population(self.space, self.config.population, seed, admits)

    def drawn(self, study: Study, designs: list[Values], phase: Phase = "first") -> Planned:
        """A study whose designs are known before anything runs."""
        return Planned(
            study, len(designs), lambda number: self.trial(study, number, designs[number]), phase=phase
        )


def makers_of(
    config: SearchConfig,
    tasks: tuple[Task, ...],
    spaces: Mapping[tuple[str, str], Space],
    shapes: Mapping[str, TaskShape],
) -> dict[tuple[str, str], Maker]:
    """A maker for each (task name, name of a space in the configuration)."""
    return {
        (task.name, name): Maker(
            config=config, task=task, shape=shapes[task.name], space=spaces[task.name, name]
        )
        for task in tasks
        for name in config.all_spaces
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
            seed=derived_seed(config.seed, study.name),
            grace_epochs=config.grace_epochs,
            reduction_factor=config.reduction_factor,
        )
        studies += [
            Planned(study, config.search_trials, _proposed(maker, study, sampler), sampler=sampler),
            Planned(finalists, config.finalist_seeds, _retrained(maker, finalists, study, ended)),
        ]
    return studies


def _proposed(maker: Maker, study: Study, sampler: Sampler) -> Propose:
    def propose(number: int) -> Trial:
        values = sampler.ask()
        try:
            return maker.trial(study, number, values)
        except Exception as error:  # the user's own space; the trial fails with this as its reason
            broken = Architecture.of("undecodable", error=f"{type(error).__name__}: {error}")
            sound = replace(maker.space, assemble=lambda values: broken)
            return replace(maker, space=sound).trial(study, number, values)

    return propose


def _retrained(maker: Maker, study: Study, search: Study, ended: Ended) -> Propose:
    """Retrainings of the search's best design on `select`, once the search has ended."""

    def propose(number: int) -> Trial | Wait | None:
        if (records := ended(search)) is None:
            return "wait"
        if (best := best_of(records)) is None:
            return None
        seed = maker.seed(study, number)
        return replace(best, study=study, number=number, seed=seed, selected_from=best.id)

    return propose


def best_of(records: list[TrialRecord]) -> Trial | None:
    """The completed trial of the lowest `select` error; of equal ones the first by its id."""
    completed = [record for record in records if record.status == "completed"]
    return min(completed, key=lambda r: (r.select_error, r.trial.id)).trial if completed else None
