"""Which trial comes next. Pure bookkeeping over a run directory: knows no cluster.

A trial is written down before it is handed out, its record when it ends; a schedule made anew from the
directory goes on where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

from nas.config import SearchConfig
from nas.ending import Budgets
from nas.following import all_plans
from nas.run_directory import RunDirectory
from nas.sharing import Sharing
from nas.studies import Outcome, Planned, Wait, key, makers_of
from search_spaces.space import Space, TaskShape
from trials.names import CHECKPOINT
from trials.plain import from_plain, to_plain
from trials.record import CANCELLED, EpochMetrics, Study, Trial, TrialRecord, Verdict
from trials.reference import Task
from trials.storage import Storage

MAX_ATTEMPTS = 3
"""Workers that may die of one trial, without an epoch more than ever before, before it is given up."""
AHEAD = 32
"""Designs of a study that are tried in turn on a slot that has no room for some."""

Fits = Callable[[Trial], bool]


class Schedule:
    """The state of a run: studies, what is running where, what has ended.

    Args:
        config: the plan.
        tasks: in the order of the configuration.
        spaces: the space of every (task name, space name).
        shapes: of every task's inputs, by name.
        directory: already started for `config`.
        before: the schedule that this one replaces while trials run, if it does; see `grown`.

    Attributes:
        paused: nothing is handed out, and trials that run are told to pause; set from outside.
        held: seconds that processes have held the run; set from outside.
    """

    def __init__(
        self,
        config: SearchConfig,
        tasks: tuple[Task, ...],
        spaces: Mapping[tuple[str, str], Space],
        shapes: Mapping[str, TaskShape],
        directory: RunDirectory,
        before: Schedule | None = None,
    ) -> None:
        self.config, self.directory = config, directory
        self.paused, self.held = False, 0.0
        self._budgets = Budgets(config)
        self._running: dict[int, Trial] = {}  # by slot
        self._handed_out: dict[str, int] = {}
        self._deaths: dict[str, int] = {}  # since it last came further
        self._reached: dict[str, int] = {}  # epochs
        self._cancelled: set[str] = set()
        self._sharing = Sharing()
        self._plans: dict[Study, Planned] = {}
        self._add(*all_plans(makers_of(config, tasks, spaces, shapes), self._ended))
        if before is None:
            directory.drop_orphans()  # not while a trial may be writing
        self._orphans = self._restore()
        if before is not None:
            self._take_over(before)
        for plan in self._plans.values():
            plan.settle()
        self._write_planned()

    # ------------------------------------------------------------------ what the slots call

    def next(self, slot: int, fits: Fits = lambda trial: True) -> Trial | Wait | None:
        """The trial that a free slot should run; "wait" if one may come later, None if none will.

        Args:
            slot: its number. If a trial is running there, its worker died.
            fits: whether the slot has room for a trial; one that it has not is kept for another time.
        """
        if self.paused:
            return None
        if slot in self._running:
            self.lost(slot)
        if not self.pausing:
            for trial in self._orphans:
                if fits(trial):
                    self._orphans.remove(trial)
                    return self._hand_out(slot, trial)
        if self.over:
            return "wait" if self._orphans and not self.pausing else None
        return self._new(slot, fits) or ("wait" if self.ended < self.total else None)

    def report(self, trial: Trial, metrics: EpochMetrics) -> Verdict:
        """Take an epoch's result: what the trial should do now."""
        if metrics.epoch > self._reached.get(trial.id, 0):
            self._reached[trial.id] = metrics.epoch
            self._deaths.pop(trial.id, None)  # nodes that go away are not its fault
        told = self.asked(trial)
        sampler = self._plans[trial.study].sampler
        if told != "continue" or sampler is None:
            return told
        stop = sampler.report(trial.number, metrics.epoch, metrics.select_error)
        return "stop" if stop and metrics.epoch < trial.recipe.epochs else "continue"

    def asked(self, trial: Trial) -> Verdict:
        """What a trial should do in the middle of an epoch.

        One that runs nowhere any more, since its worker was thought dead, is told to end; nobody will take
        its record.
        """
        if self.paused or self.pausing:
            return "pause"
        running = any(each.id == trial.id for each in self._running.values())
        return "continue" if running and trial.id not in self._cancelled else "cancel"

    def finish(self, slot: int, record: TrialRecord) -> None:
        """Take a record. It is on disk when this returns; that of a worker thought dead is not wanted."""
        running = self._running.get(slot)
        if running is not None and running.id == record.trial.id:
            self._put(running, record)
            del self._running[slot]

    def again(self, slot: int) -> None:
        """Hand the trial of a slot out again, another time and perhaps elsewhere; no worker died."""
        if (trial := self._running.pop(slot, None)) is not None:
            self._put_back(trial)

    def lost(self, slot: int) -> None:
        """The process of a slot died: its trial is handed out again, or given up."""
        if (trial := self._running.pop(slot, None)) is None:
            return
        self._deaths[trial.id] = self._deaths.get(trial.id, 0) + 1
        if self._deaths[trial.id] < MAX_ATTEMPTS:
            self._put_back(trial)
        else:
            self._fail(trial, f"its worker died {MAX_ATTEMPTS} times in one epoch")

    def cancel(self, trial_id: str) -> bool:
        """End a trial as failed; False if it ended already, or was never handed out."""
        if any(trial.id == trial_id for trial in self._running.values()):
            self._cancelled.add(trial_id)
            return True
        for trial in self._orphans:
            if trial.id == trial_id:
                self._orphans.remove(trial)
                self._fail(trial, CANCELLED)
                return True
        return False

    def grown(
        self,
        config: SearchConfig,
        tasks: tuple[Task, ...],
        spaces: Mapping[tuple[str, str], Space],
        shapes: Mapping[str, TaskShape],
    ) -> Schedule:
        """The schedule of a larger plan (`nas.growing`); what is running goes on under it."""
        return Schedule(config, tasks, spaces, shapes, self.directory, before=self)

    @property
    def over(self) -> str:
        """Why nothing more is handed out although work is left; empty if that is not so."""
        if self.ended == self.total:
            return ""
        return self._budgets.failing or self._budgets.spent(self.held)

    @property
    def failing(self) -> bool:
        """Whether it is over because one cause made trial after trial fail."""
        return bool(self._budgets.failing)

    @property
    def records(self) -> dict[str, Outcome]:
        """What is kept of the records of planned trials, by trial."""
        return {each.trial.id: each for plan in self._plans.values() for each in plan.outcomes.values()}

    @property
    def total(self) -> int:
        """Trials planned, as far as it is known."""
        return sum(plan.total for plan in self._plans.values())

    @property
    def ended(self) -> int:
        """Planned trials that have a record."""
        return sum(len(plan.outcomes) for plan in self._plans.values())

    # ------------------------------------------------------------------ bookkeeping

    @property
    def pausing(self) -> bool:
        """Whether trials that run are to pause too."""
        return self._budgets.pauses(self.held)

    def _add(self, *plans: Planned) -> None:
        self._plans |= {plan.study: plan for plan in plans}

    def _ended(self, study: Study) -> list[Outcome] | None:
        plan = self._plans[study]
        return [plan.outcomes[number] for number in sorted(plan.outcomes)] if plan.ended else None

    def _new(self, slot: int, fits: Fits) -> Trial | None:
        """A trial that was never handed out."""
        kept = {trial.study for trial in self._orphans}
        open_plans = [plan for plan in self._plans.values() if plan.left is None or plan.left]
        for plan in sorted(open_plans, key=lambda plan: plan.urgency):
            if plan.left is None and plan.settle():
                self._write_planned()
            if not plan.left:
                continue
            if plan.sampler is not None:
                if plan.study in kept:  # what would be proposed beyond it knows less
                    continue
                trial = self._issue(plan, 0)
                if fits(trial):
                    return self._hand_out(slot, trial)
                self._orphans.append(trial)
            else:
                for place, (number, wanted) in enumerate(islice(plan.left, AHEAD)):
                    if fits(wanted.make(number)):
                        return self._hand_out(slot, self._issue(plan, place))
        return None

    def _issue(self, plan: Planned, place: int) -> Trial:
        assert plan.left is not None
        number, wanted = plan.left[place]
        trial = wanted.make(number)
        self.directory.put_trial(trial)
        del plan.left[place]
        plan.there[number] = wanted.key
        self._budgets.begun += 1
        return trial

    def _hand_out(self, slot: int, trial: Trial) -> Trial:
        self._running[slot] = trial
        self._handed_out[trial.id] = self._handed_out.get(trial.id, 0) + 1
        return trial

    def _put_back(self, trial: Trial) -> None:
        if trial.id in self._cancelled:
            self._fail(trial, CANCELLED)
        else:
            self._orphans.insert(0, trial)

    def _fail(self, trial: Trial, reason: str) -> None:
        self._put(trial, failed_record(trial, reason, self.directory.folder(trial.id)))

    def _put(self, trial: Trial, record: TrialRecord) -> None:
        record = replace(record, attempts=self._handed_out.pop(trial.id, 1))
        self.directory.put_record(record)
        self._deaths.pop(trial.id, None)
        self._reached.pop(trial.id, None)
        self._cancelled.discard(trial.id)
        self._budgets.note(record)
        self._end(trial, record)

    def _end(self, trial: Trial, record: TrialRecord) -> None:
        plan, number = self._plans[trial.study], trial.number
        plan.outcomes[number] = Outcome(
            trial=trial,
            status=record.status,
            select_error=record.select_error,
            multiply_adds=record.multiply_adds,
            kernel_sizes=self._sharing.one(record.kernel_sizes),
        )
        self._budgets.device_seconds += record.seconds
        if plan.sampler is not None:
            second = record.latency_seconds if self.config.second == "latency" else record.multiply_adds
            plan.sampler.tell(number, record.status, record.select_error, second)

    def _write_planned(self) -> None:
        """So that a report of the unfinished run can say how much is missing."""
        self.directory.put_planned(
            {plan.study.name: plan.total for plan in self._plans.values() if plan.total}
        )

    def _restore(self) -> list[Trial]:
        """Put every trial of the directory back; those without a record are to be run again."""
        found = self.directory.read()
        if found.unreadable:
            raise ValueError(f"{found.unreadable[0]}; remove that file and its trial is run again")
        if found.damaged:
            raise ValueError(f"{found.damaged[0]}; remove its folder, and a drawn trial is run again")
        ended = {record.trial.id: record for record in found.records}
        orphans = []
        for trial in map(self._sharing.trial, sorted(found.trials, key=lambda trial: trial.number)):
            plan = self._plans.get(trial.study)
            if plan is None or (plan.sampler is not None and trial.number >= plan.expected):
                continue  # trained elsewhere and added by hand: compared, not scheduled
            if trial.number != len(plan.there) and plan.sampler is not None:
                raise ValueError(
                    f"trial {len(plan.there)} of {trial.study.name} is missing, and a search cannot go on "
                    "without its history; put the folder back, or remove all folders of that search"
                )
            plan.there[trial.number] = key(trial)
            self._budgets.begun += 1
            if plan.sampler is not None:
                plan.sampler.restore(dict(trial.values))
            if trial.id not in ended:
                orphans.append(trial)
                continue
            record = ended[trial.id]
            if plan.sampler is not None:
                for metrics in record.curve:
                    plan.sampler.report(trial.number, metrics.epoch, metrics.select_error)
            self._end(trial, record)
        return orphans

    def _take_over(self, before: Schedule) -> None:
        """Go on with what runs under another schedule."""
        self.paused, self.held = before.paused, before.held
        self._handed_out, self._deaths = before._handed_out, before._deaths
        self._reached = before._reached
        self._cancelled, self._running = before._cancelled, before._running
        self._budgets.take_over(before._budgets)
        running = {trial.id for trial in self._running.values()}
        self._orphans = [trial for trial in self._orphans if trial.id not in running]
        for trial in self._running.values():
            sampler, old = self._plans[trial.study].sampler, before._plans[trial.study].sampler
            if sampler is not None and old is not None:
                for epoch, error in old.reported(trial.number).items():
                    sampler.report(trial.number, epoch, error)


def failed_record(trial: Trial, reason: str, folder: Storage) -> TrialRecord:
    """The record of a trial that cannot go on; with what it had spent by a checkpoint in its folder."""
    now = time.time()
    failed = TrialRecord(trial=trial, status="failed", reason=reason, started=now, finished=now)
    if CHECKPOINT not in folder.names():
        return failed
    from trials.ledger import spent  # needs torch

    return from_plain(TrialRecord, to_plain(failed) | spent(folder, trial))
