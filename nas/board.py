"""What the slots ask: the schedule, with who is alive where, and what stops the run. Knows no cluster."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from nas.config import SearchConfig
from nas.lease import Lease, LeaseLost
from nas.messages import Event, News, Order, Told
from nas.open_space import spaces_by_task
from nas.placement import Place, Placement
from nas.probe import Facts, trouble
from nas.run_directory import RunDirectory
from nas.schedule import Schedule
from nas.studies import Wait
from search_spaces.space import TaskShape
from trials.record import EpochMetrics, Trial, TrialRecord
from trials.reference import Task
from trials.storage import is_full

SILENT_SECONDS = 60.0
"""A slot that gave no sign for so long is stalled."""
ARRIVING = 10
"""Times as long a process may take to import what it trains with."""
MAX_PROBES = 3
"""Processes that may die while they look at one node."""
MAX_STILLBORN = 20
"""Slots in a row that may die before they ever have anything to do."""
LONGEST_LOOK = 1.0
"""Seconds that count at most between two looks: while this process slept, nobody could be heard."""


class Board:
    """The only writer of designs and records.

    Args:
        silent_seconds: a slot that gave no sign for so long is stalled.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, silent_seconds: float = SILENT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._silent_seconds, self._clock = silent_seconds, clock
        self._events: list[Event] = []
        self._lines: list[str] = []
        self._error: Exception | None = None
        self._places: dict[int, Place] = {}
        self._heard: dict[int, float] = {}  # by slot, on the clock of `_awake`
        self._trials: dict[int, Trial] = {}  # by slot
        self._gone: set[int] = set()
        self._nodes: dict[str, str | None] = {}  # "": sound, None: a slot is looking, else why not
        self._looking: dict[int, str] = {}  # by slot, at which node
        self._probes_lost: Counter[str] = Counter()  # by node
        self._worked: set[int] = set()  # slots that looked at a node or had a trial
        self._stillborn = 0
        self._awake, self._looked = 0.0, self._clock()
        self._slots = 1
        self._nothing_left = self._not_kept = False

    def start(
        self,
        config: SearchConfig,
        tasks: tuple[Task, ...],
        shapes: dict[str, TaskShape],
        directory: RunDirectory,
        lease: Lease,
        placement: Placement,
        driver: Facts,
        folder: Path,
    ) -> None:
        """Make the schedule, apart from the constructor so that its errors reach the driver as they are.

        `folder`: the driver's working directory, in which the plan's relative names mean something.
        """
        os.chdir(folder)
        self._lease, self._placement, self._driver = lease, placement, driver
        try:
            directory.reserve()
        except OSError as error:
            raise ValueError(_unwritten(error)) from error
        self._schedule = Schedule(config, tasks, spaces_by_task(config, tasks, shapes), shapes, directory)
        self._looked = self._clock()

    # ------------------------------------------------------------------ what the slots call

    def arrived(self, slot: int, place: Place) -> None:
        """A slot's process has begun; until it is ready it gives no further sign."""
        if slot not in self._gone and slot not in self._places:
            self._places[slot] = place
            self._heard[slot] = self._awake + (ARRIVING - 1) * self._silent_seconds

    def next(self, slot: int, place: Place) -> Order | Literal["probe"] | Wait | None:
        """What a free slot should do: an order, look at its node, wait, or end (None)."""
        if slot in self._gone or self._done:
            return None
        self._places[slot], self._heard[slot] = place, self._awake
        if place.node not in self._nodes:
            self._nodes[place.node], self._looking[slot] = None, place.node
            return "probe"
        if self._nodes[place.node] != "":
            return "wait"
        with self._writing():
            self._lease.require()
            trial = self._schedule.next(slot, lambda trial: self._placement.fits(place, trial))
            if isinstance(trial, Trial):
                return self._order(slot, place, trial)
            self._nothing_left = trial is None
            return trial
        return None

    def probed(self, slot: int, place: Place, facts: Facts) -> None:
        """Take what a slot found out about its node; trouble also from one that was not told to look."""
        if slot in self._gone:
            return
        self._places[slot], self._heard[slot] = place, self._awake
        self._worked.add(slot)
        if self._looking.pop(slot, None) is None and not facts.trouble:
            return  # the run has grown meanwhile: there is more to look at
        before = self._nodes.get(place.node)
        self._nodes[place.node] = reason = before or trouble(self._driver, facts)
        if reason and not before:
            self._lines.append(f"{place.host} is left out: {reason}")

    def alive(self, slot: int) -> tuple[str, Told]:
        """A sign of life: the slot's trial by its id and what it should do."""
        if slot in self._gone or self._lost:
            return "", "gone"
        if slot in self._places:
            self._heard[slot] = self._awake
        trial = self._trials.get(slot)
        return ("", "continue") if trial is None else (trial.id, self._schedule.asked(trial))

    def report(self, slot: int, trial: Trial, metrics: EpochMetrics) -> Told:
        """Take an epoch's result: what the trial should do now."""
        if slot in self._gone or self._lost:
            return "gone"
        self._heard[slot] = self._awake
        self._events.append(("epoch", trial, metrics))
        return self._schedule.report(trial, metrics)

    def kept(self, slot: int, trial: Trial, epochs: int) -> None:
        """The trial's first epochs are in its checkpoint: they stay as they were reported."""
        if slot not in self._gone and not self._lost:
            self._events.append(("kept", trial, epochs))

    def finish(self, slot: int, record: TrialRecord | None) -> None:
        """Take a record, or None of a trial that was paused. It is on disk when this returns."""
        if slot in self._gone or self._lost:
            return
        self._heard[slot] = self._awake
        trial = self._trials.pop(slot)
        others = self._placement.leave(slot)
        with self._writing():
            self._lease.require()
            if record is None or (record.out_of_memory and self._placement.is_to_be_alone(trial)):
                self._schedule.again(slot)
                return
            self._placement.learn(record)
            record = replace(record, co_residents=others)
            self._schedule.finish(slot, record)
            self._events.append(("ended", trial, record))

    def not_kept(self, why: str) -> None:
        """A checkpoint was not written: the user is told of the first one."""
        if not self._not_kept:
            self._lines.append(f"{why}; such trials begin again after an interruption (said once)")
        self._not_kept = True

    def unwritten(self, slot: int, error: OSError) -> None:
        """A slot could not write or read what its trial keeps: the trial waits, and the run pauses."""
        if slot not in self._gone:
            self._stop(ValueError(_unwritten(error)))
            self.finish(slot, None)

    def broke(self, reason: str) -> None:
        """A slot cannot work at all."""
        self._stop(RuntimeError(f"no trial can run: {reason}; mend that and go on with --resume"))

    # ------------------------------------------------------------------ what the driver calls

    def lost(self, slot: int) -> tuple[bool, bool]:
        """A slot's process is dead: its trial goes to another. As `ended`."""
        slow, _ = self.ended(slot)
        self._placement.leave(slot)
        if self._trials.pop(slot, None) is not None:
            self._nothing_left = False
            with self._writing():
                self._lease.require()
                self._schedule.lost(slot)
        return slow, self._done

    def ended(self, slot: int) -> tuple[bool, bool]:
        """A slot has ended. Whether slots die so often that new ones should come slowly, and whether nothing
        is left to hand out."""
        place = self._places.pop(slot, None)
        self._heard.pop(slot, None)
        if place is not None and self._looking.pop(slot, None) is not None:
            self._probe_lost(place)
        if slot not in self._gone and not self._done:
            self._stillborn = 0 if slot in self._worked else self._stillborn + 1
        self._gone.add(slot)
        slow = self._stillborn >= MAX_STILLBORN
        if slow and not any(self._nodes.get(each.node) == "" for each in self._places.values()):
            self.broke(f"{MAX_STILLBORN} processes died before they could ask for a trial")
        return slow, self._done

    def pause(self) -> None:
        """Hand out nothing more, and let running trials save and leave."""
        self._schedule.paused = True

    def cancel(self, trial_id: str) -> bool:
        """End a trial as failed; False if it is not one that can be."""
        with self._writing():
            self._lease.require()
            return self._schedule.cancel(trial_id)
        return False

    def grow(self, config: SearchConfig, tasks: tuple[Task, ...], shapes: dict[str, TaskShape]) -> None:
        """Go on with a larger plan. What is running stays."""
        spaces = spaces_by_task(config, tasks, shapes)
        with self._writing():
            self._lease.require()
            self._schedule = self._schedule.grown(config, tasks, spaces, shapes)
            self._nothing_left = False
            self._looking.clear()  # what is new may not be everywhere
            self._nodes = {node: reason for node, reason in self._nodes.items() if reason}

    def news(self, slots: int) -> News:
        """What happened since the last call.

        Args:
            slots: that the cluster can hold.
        """
        now = self._clock()
        self._awake += min(now - self._looked, LONGEST_LOOK)
        self._looked, self._slots = now, slots
        self._schedule.held = self._lease.held
        if self._schedule.failing:
            self._stop(RuntimeError(self._schedule.over))
        self._refuse_if_all_left_out()
        events, self._events = self._events, []
        lines, self._lines = self._lines, []
        silent = (s for s, heard in self._heard.items() if self._awake - heard > self._silent_seconds)
        return News(
            events=tuple(events),
            ended=self._schedule.ended,
            total=self._schedule.total,
            running=len(self._trials),
            over=self._schedule.over,
            stalled=tuple((slot, self._places[slot]) for slot in silent),
            lines=tuple(lines),
            done=self._done,
            error=self._error,
        )

    # ------------------------------------------------------------------ bookkeeping

    @property
    def _lost(self) -> bool:
        return isinstance(self._error, LeaseLost)

    @property
    def _done(self) -> bool:
        schedule = self._schedule
        stays = schedule.pausing and not self._trials  # also where no slot is left to ask
        return self._nothing_left or schedule.paused or stays or schedule.ended >= schedule.total

    def _probe_lost(self, place: Place) -> None:
        """A slot died looking: the next one looks, but not for ever."""
        del self._nodes[place.node]
        self._probes_lost[place.node] += 1
        if self._probes_lost[place.node] >= MAX_PROBES:
            self._nodes[place.node] = reason = (
                f"{MAX_PROBES} processes died while they opened the tasks there"
            )
            self._lines.append(f"{place.host} is left out: {reason}")

    def _order(self, slot: int, place: Place, trial: Trial) -> Order:
        config = self._schedule.config
        self._trials[slot] = trial
        self._worked.add(slot)
        self._events.append(("started", trial, None))
        return Order(
            trial=trial,
            share=self._placement.take(slot, place, trial),
            rates=config.rates,
            timed=trial.study.kind == "search" and config.second == "latency",
            checkpoint_bytes=int(config.checkpoint_gb * 1e9 / self._slots),
        )

    def _stop(self, error: Exception) -> None:
        self._error = self._error or error
        self._schedule.paused = True

    def _refuse_if_all_left_out(self) -> None:
        nodes = {place.node: place.host for place in self._places.values()}
        if len(self._places) >= self._slots and nodes and all(self._nodes.get(node) for node in nodes):
            each = "; ".join(f"{host}: {self._nodes[node]}" for node, host in nodes.items())
            self._stop(ValueError(f"no node can run a trial: {each}"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around what asks for the lease and then writes: without it, or on a full disk, the run pauses."""
        try:
            yield
            if self._schedule.directory.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except LeaseLost as error:
            self._stop(error)
        except OSError as error:
            self._stop(ValueError(_unwritten(error)))


def _unwritten(error: OSError) -> str:
    way = "make room" if is_full(error) else "mend that"
    return f"the run cannot be written ({error.strerror or error}); {way} and go on with --resume"
