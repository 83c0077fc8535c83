"""Which trial comes next. Pure bookkeeping over a run directory: knows no cluster.

A trial is written down before it is handed out, its record when it ends; a schedule made anew from the
directory goes on where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from nas.config import SearchConfig
from nas.limits import Admits, admission
from nas.run_directory import RunDirectory
from nas.sampler import Sampler
from nas.seeds import derived_seed
from search_spaces.architecture import Architecture
from search_spaces.constraints import ENUMERATED
from search_spaces.space import Space, TaskShape, Values
from trials.plain import from_plain, to_plain
from trials.recipe import LONG
from trials.record import EpochMetrics, Kind, Study, Trial, TrialRecord
from trials.reference import Task

Wait = Literal["wait"]
Verdict = Literal["continue", "stop", "pause"]
MAX_ATTEMPTS = 3


@dataclass(slots=True)
class _Plan:
    """A study's trials: how many in all, how many handed out, and what the next one is."""

    study: Study
    total: int
    propose: Callable[[int], Trial | None]  # None: not yet
    issued: int = 0
    ended: int = 0
    sampler: Sampler | None = None


class Schedule:
    """The state of a run: studies, what is running where, what has ended.

    Args:
        config: the plan.
        tasks: in the order of the configuration.
        spaces: the space of every (task name, space name).
        shapes: of every task's inputs, by name.
        directory: already started for `config`.
    """

    def __init__(
        self,
        config: SearchConfig,
        tasks: tuple[Task, ...],
        spaces: Mapping[tuple[str, str], Space],
        shapes: Mapping[str, TaskShape],
        directory: RunDirectory,
    ) -> None:
        self.config, self.directory = config, directory
        self.paused = False
        self.records: dict[str, TrialRecord] = {}
        self._running: dict[int, Trial] = {}  # by slot
        self._attempts: dict[str, int] = {}
        self._recipe = config.the_recipe()
        self._plans: dict[Study, _Plan] = {}
        for task in tasks:
            for name in config.all_spaces:
                for plan in self._studies(task, spaces[task.name, name], shapes[task.name]):
                    self._plans[plan.study] = plan
        self._orphans = self._restore()
        self._write_planned()

    # ------------------------------------------------------------------ what the slots call

    def next(self, slot: int) -> Trial | Wait | None:
        """The trial that a free slot should run; "wait" if one may come later, None if none will."""
        if self.paused:
            return None
        if (lost := self._running.pop(slot, None)) is not None:
            self._orphans.insert(0, lost)  # its worker died
        while self._orphans:
            trial = self._orphans.pop(0)
            if self._attempts.get(trial.id, 0) < MAX_ATTEMPTS:
                return self._hand_out(slot, trial)
            folder = self.directory.folder(trial.id)
            self.finish(None, failed_record(trial, f"its worker died {MAX_ATTEMPTS} times", folder))
        waiting = [plan for plan in self._plans.values() if plan.issued < plan.total]
        for plan in sorted(waiting, key=_urgency):
            if (proposed := plan.propose(plan.issued)) is not None:
                plan.issued += 1
                self.directory.put_trial(proposed)
                return self._hand_out(slot, proposed)
        return "wait" if self.ended < self.total else None

    def report(self, trial: Trial, metrics: EpochMetrics) -> Verdict:
        """Take an epoch's result: what the trial should do now."""
        if self.paused:
            return "pause"
        sampler = self._plans[trial.study].sampler
        if sampler is None:
            return "continue"
        stop = sampler.report(trial.number, metrics.epoch, metrics.select_error)
        return "stop" if stop and metrics.epoch < trial.recipe.epochs else "continue"

    def finish(self, slot: int | None, record: TrialRecord) -> None:
        """Take a record. It is on disk when this returns."""
        self.directory.put_record(record)
        if slot is not None:
            self._running.pop(slot, None)
        self._end(record)

    @property
    def total(self) -> int:
        """Trials planned, as far as it is known."""
        return sum(plan.total for plan in self._plans.values())

    @property
    def ended(self) -> int:
        """Planned trials that have a record."""
        return sum(plan.ended for plan in self._plans.values())

    # ------------------------------------------------------------------ what a run consists of

    def _studies(self, task: Task, space: Space, shape: TaskShape) -> list[_Plan]:
        config = self.config
        admits = admission(space, shape, config.constraints)

        def study(kind: Kind, seed: int = 0) -> Study:
            return Study(task=task.name, space=space.name, kind=kind, seed=seed)

        if space.single:
            values = space.sample(np.random.default_rng(0))
            plans = []
            for each, total in (
                (study("population"), config.seeds),
                (study("finalist"), config.finalist_seeds),
                (study("long"), min(config.long, config.seeds)),
            ):
                plans.append(_Plan(each, total, self._drawn(each, task, space, [values] * total)))
            return plans
        seed_drawn = derived_seed(config.seed, task.name, space.name)
        designs = population(space, config.population, seed_drawn, admits)
        plans = []
        for each, drawn in (
            (study("population"), designs + designs[: config.repeats]),
            (study("long"), designs[: config.long]),
        ):
            plans.append(_Plan(each, len(drawn), self._drawn(each, task, space, drawn)))
        for seed in range(config.search_seeds if config.search_trials else 0):
            sampler = Sampler(
                space,
                admits=admits,
                method=config.sampler,
                seed=derived_seed(config.seed, study("search", seed).name),
                grace_epochs=config.grace_epochs,
                reduction_factor=config.reduction_factor,
            )
            searched, finalists = study("search", seed), study("finalist", seed)
            propose = self._proposed(searched, task, space, sampler)
            plans += [
                _Plan(searched, config.search_trials, propose, sampler=sampler),
                _Plan(finalists, config.finalist_seeds, self._finalist(finalists, searched)),
            ]
        return plans

    def _trial(self, study: Study, number: int, task: Task, space: Space, values: Values) -> Trial:
        recipe = self._recipe.for_space(space.name)
        return Trial(
            study=study,
            number=number,
            task=task,
            architecture=space.decode(values),
            values=values,
            recipe=recipe.lengthened(LONG) if study.kind == "long" else recipe,
            seed=derived_seed(self.config.seed, study.name, number),
        )

    def _drawn(self, study: Study, task: Task, space: Space, designs: list[Values]) -> Callable[[int], Trial]:
        return lambda number: self._trial(study, number, task, space, designs[number])

    def _proposed(self, study: Study, task: Task, space: Space, sampler: Sampler) -> Callable[[int], Trial]:
        def propose(number: int) -> Trial:
            values = sampler.ask()
            try:
                return self._trial(study, number, task, space, values)
            except Exception as error:  # the user's own space; the trial fails with this as its reason
                broken = Architecture.of("undecodable", error=f"{type(error).__name__}: {error}")
                sound = replace(space, assemble=lambda values: broken)
                return self._trial(study, number, task, sound, values)

        return propose

    def _finalist(self, study: Study, searched: Study) -> Callable[[int], Trial | None]:
        """Retrainings of the search's best design on `select`, once the search has ended."""

        def propose(number: int) -> Trial | None:
            if self._plans[searched].ended < self._plans[searched].total:
                return None
            ended = [r for r in self.records.values() if r.trial.study == searched]
            completed = [r for r in ended if r.status == "completed"]
            if not completed:
                self._plans[study].total = self._plans[study].issued  # nothing to retrain
                self._write_planned()
                return None
            best = min(completed, key=lambda r: (r.select_error, r.trial.number)).trial
            seed = derived_seed(self.config.seed, study.name, number)
            return replace(best, study=study, number=number, seed=seed, selected_from=best.id)

        return propose

    # ------------------------------------------------------------------ bookkeeping

    def _hand_out(self, slot: int, trial: Trial) -> Trial:
        self._running[slot] = trial
        self._attempts[trial.id] = self._attempts.get(trial.id, 0) + 1
        return trial

    def _end(self, record: TrialRecord) -> None:
        self.records[record.trial.id] = record
        plan = self._plans[record.trial.study]
        plan.ended += 1
        if plan.sampler is not None:
            plan.sampler.tell(record.trial.number, record.status, record.select_error)

    def _write_planned(self) -> None:
        """So that a report of the unfinished run can say how much is missing."""
        self.directory.put_planned({plan.study.name: plan.total for plan in self._plans.values()})

    def _restore(self) -> list[Trial]:
        """Put every trial of the directory back; those without a record are to be run again."""
        self.directory.drop_orphans()
        records, unreadable = self.directory.read_records()
        if unreadable:
            raise ValueError(f"{unreadable[0]}; remove that file and its trial is run again")
        trials, damaged = self.directory.read_trials()
        if damaged:
            raise ValueError(f"{damaged[0]}; remove its folder, and a drawn trial is run again")
        ended = {record.trial.id: record for record in records}
        orphans = []
        for trial in sorted(trials, key=lambda trial: trial.number):
            plan = self._plans.get(trial.study)
            if plan is None or trial.number >= plan.total:
                continue  # trained elsewhere and added by hand: compared, not scheduled
            if trial.number != plan.issued and plan.sampler is not None:
                raise ValueError(
                    f"trial {plan.issued} of {trial.study.name} is missing, and a search cannot go on "
                    "without its history; put the folder back, or remove all folders of that search"
                )
            while plan.issued < trial.number:  # a folder was removed: that trial is run again
                if (missing := plan.propose(plan.issued)) is not None:
                    self.directory.put_trial(missing)
                    orphans.append(missing)
                plan.issued += 1
            plan.issued += 1
            if plan.sampler is not None:
                plan.sampler.restore(dict(trial.values))
            if trial.id not in ended:
                orphans.append(trial)
                continue
            record = ended[trial.id]
            if plan.sampler is not None:
                for metrics in record.curve:
                    plan.sampler.report(trial.number, metrics.epoch, metrics.select_error)
            self._end(record)
        return orphans


def _urgency(plan: _Plan) -> tuple[bool, float]:
    """The study furthest behind goes first; searches a little ahead, since finalists wait for them.

    Long trials go last: a report of everything else is there before them.
    """
    ahead = 0.6 if plan.study.kind == "search" else 1.0
    return plan.study.kind == "long", plan.issued / plan.total * ahead


def population(space: Space, count: int, seed: int, admits: Admits = lambda values: True) -> list[Values]:
    """`count` different admitted designs by the space's law; all of them, in random order, if it has no more.

    Raises:
        ValueError: values that the space offers cannot be assembled to a design, or none was admitted.
    """
    rng = np.random.default_rng(seed)
    few = space.size <= max(count, ENUMERATED)
    everything = [values for values in space.enumerate() if admits(values)] if few else []
    if few and (space.size <= count or len(everything) <= count):
        drawn = (everything[i] for i in rng.permutation(len(everything)))
    else:  # bounded, since a space may give the same design for different values, or admit few
        drawn = (values for _ in range(1000 * count) if admits(values := space.sample(rng)))
    designs: dict[str, Values] = {}
    for values in drawn:
        try:
            designs.setdefault(space.decode(values).id, values)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"the space {space.name} cannot assemble {values}: {what}") from error
        if len(designs) == count:
            break
    if not designs:
        raise ValueError(f"no design of {space.name} was found that keeps within the limits")
    return list(designs.values())


def failed_record(trial: Trial, reason: str, folder: Path) -> TrialRecord:
    """The record of a trial that cannot go on; with what it had spent by a checkpoint in its folder."""
    now = time.time()
    failed = TrialRecord(trial=trial, status="failed", reason=reason, started=now, finished=now)
    if not (folder / "checkpoint.pt").is_file():
        return failed
    from trials.ledger import spent  # needs torch

    return from_plain(TrialRecord, to_plain(failed) | spent(folder, trial))
