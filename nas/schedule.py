"""Which trial comes next. Pure bookkeeping over a run directory: knows no cluster.

A trial is written down before it is handed out, its record when it ends; a schedule made anew from the
directory goes on where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from nas.config import SearchConfig
from nas.following import control, transfers
from nas.run_directory import RunDirectory
from nas.studies import PHASES, Planned, Wait, makers_of, searched, single_design
from search_spaces.space import Space, TaskShape
from trials.plain import from_plain, to_plain
from trials.record import EpochMetrics, Study, Trial, TrialRecord
from trials.reference import Task
from trials.storage import Storage

Verdict = Literal["continue", "stop", "pause"]
MAX_ATTEMPTS = 3


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
        makers = makers_of(config, tasks, spaces, shapes)
        self._plans: dict[Study, Planned] = {}
        for task in tasks:
            for name in config.all_spaces:
                maker = makers[task.name, name]
                if name in config.controls:
                    single = makers[task.name, config.single].study("population")
                    self._add(control(name, maker, single, self._ended))
                else:
                    self._add(*(single_design(maker) if maker.space.single else searched(maker, self._ended)))
        self._add(*(transfers(makers, self._ended) if config.transfer else ()))
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
        waiting = [plan for plan in self._plans.values() if len(plan.issued) < plan.total]
        for plan in sorted(waiting, key=urgency):
            number = next(number for number in range(plan.total) if number not in plan.issued)
            proposed = plan.propose(number)
            if proposed is None:
                plan.total = len(plan.issued)
                self._write_planned()
            elif proposed != "wait":
                plan.issued.add(number)
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
        return sum(len(plan.records) for plan in self._plans.values())

    # ------------------------------------------------------------------ bookkeeping

    def _add(self, *plans: Planned) -> None:
        self._plans |= {plan.study: plan for plan in plans}

    def _ended(self, study: Study) -> list[TrialRecord] | None:
        plan = self._plans[study]
        return sorted(plan.records, key=lambda record: record.trial.number) if plan.ended else None

    def _hand_out(self, slot: int, trial: Trial) -> Trial:
        self._running[slot] = trial
        self._attempts[trial.id] = self._attempts.get(trial.id, 0) + 1
        return trial

    def _end(self, record: TrialRecord) -> None:
        self.records[record.trial.id] = record
        plan = self._plans[record.trial.study]
        plan.records.append(record)
        if plan.sampler is not None:
            plan.sampler.tell(record.trial.number, record.status, record.select_error)

    def _write_planned(self) -> None:
        """So that a report of the unfinished run can say how much is missing."""
        self.directory.put_planned(
            {plan.study.name: plan.total for plan in self._plans.values() if plan.total}
        )

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
            if trial.number != len(plan.issued) and plan.sampler is not None:
                raise ValueError(
                    f"trial {len(plan.issued)} of {trial.study.name} is missing, and a search cannot go on "
                    "without its history; put the folder back, or remove all folders of that search"
                )
            plan.issued.add(trial.number)
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


def urgency(plan: Planned) -> tuple[int, float]:
    """What goes first: by phase (see `PHASES`), then the study furthest behind.

    Searches go a little ahead, since finalists wait for them. A study that waits for others lets later ones
    by, so that no slot is idle; it is asked again each time.
    """
    ahead = 0.6 if plan.study.kind == "search" else 1.0
    return PHASES.index(plan.phase), len(plan.issued) / plan.total * ahead


def failed_record(trial: Trial, reason: str, folder: Storage) -> TrialRecord:
    """The record of a trial that cannot go on; with what it had spent by a checkpoint in its folder."""
    now = time.time()
    failed = TrialRecord(trial=trial, status="failed", reason=reason, started=now, finished=now)
    if "checkpoint.pt" not in folder.names():
        return failed
    from trials.ledger import spent  # needs torch

    return from_plain(TrialRecord, to_plain(failed) | spent(folder, trial))
