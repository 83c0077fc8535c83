"""A run from outside: what its holder does about requests, and how others leave them."""

from __future__ import annotations

import os
import platform
from contextlib import suppress

from rich.console import Console

from nas import requests
from nas.config import SearchConfig
from nas.growing import merged, with_growth
from nas.lease import Lease, LeaseLost, holder, now
from nas.opening import continued, opened
from nas.requests import Request, Steering
from nas.run_directory import RunDirectory, RunInfo, open_run
from nas.trial_names import found
from trials.logs import masked
from trials.plain import dumps

LOOK_SECONDS = 5.0
"""How often the holder looks for requests."""
ANSWER_SECONDS = 30.0
"""How long who asks waits for an answer."""


class Reins:
    """A run that this process holds, and what it does about requests.

    Args:
        directory: of the run.
        config, info: what it covers now.
        lease: with which it is held.
        console: where it is said what others ask.

    Attributes:
        stopped: why no trials should be run at all; "" if they should.
    """

    def __init__(
        self, directory: RunDirectory, config: SearchConfig, info: RunInfo, lease: Lease, console: Console
    ) -> None:
        self.directory, self.config, self.info, self.lease = directory, config, info, lease
        self.stopped = ""
        self._console = console
        self._looked = float("-inf")
        self._cancelling: set[str] = set()  # requests that this process was told of

    def write(self, info: RunInfo) -> None:
        """Write run.json."""
        self.lease.require()
        self.directory.put("run.json", dumps(info))
        self.info = info

    def before(self) -> None:
        """Carry out what was asked before there was a trial to cancel: growing and stopping."""
        for name, request in self._pending().items():
            if request.what == "grow":
                self._grow(name, request, None)
            elif request.what == "stop":
                self.stopped = f"asked for by {request.by}"
                self._done(name)

    def tick(self, steering: Steering) -> None:
        """Carry out what is asked, every few seconds; cheap in between."""
        if now() - self._looked < LOOK_SECONDS:
            return
        self._looked = now()
        for name, request in self._pending().items():
            if request.what == "grow":
                self._grow(name, request, steering)
            elif request.what == "stop":
                self._say(
                    f"stopping, as asked for by {request.by}: running trials save themselves where they can"
                )
                steering.pause(f"asked for by {request.by}")
                self._done(name)
            else:
                self._cancel(name, request, steering)

    def after(self, grows: bool = True) -> bool:
        """What was asked since the last trial ended: whether there is more to run now.

        Args:
            grows: whether the run may; if not, who asked finds it unanswered.
        """
        plan = self.config
        for name, request in self._pending().items():
            if request.what == "grow":
                if grows:
                    self._grow(name, request, None)
            elif request.accepted:
                self._done_if_recorded(name, request)
            else:
                self._say(f"nothing runs any more: what {request.by} asked for ({request.what}) is dropped")
                self._done(name)
        return self.config != plan

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)

    def _pending(self) -> dict[str, Request]:
        found: dict[str, Request] = {}
        with suppress(OSError):  # read again in a few seconds
            found, unreadable = requests.pending(self.directory.storage)
            for line in unreadable:
                self._say(line)
        if found:
            self.lease.require()
        return found

    def _cancel(self, name: str, request: Request, steering: Steering) -> None:
        """Kept until the trial has its record, since a driver that dies forgets what it was told."""
        if request.accepted and self._done_if_recorded(name, request):
            return
        if name in self._cancelling:
            return
        if steering.cancel(request.trial):
            self._cancelling.add(name)
            self._say(f"{request.trial} is cancelled, as asked for by {request.by}")
            with suppress(OSError):
                requests.accept(self.directory.storage, name, request)
        else:
            self._refuse(name, request, f"{request.trial} neither runs nor waits to go on")

    def _done_if_recorded(self, name: str, request: Request) -> bool:
        recorded = self.directory.storage.get(f"trials/{request.trial}/record.json") is not None
        if recorded:
            self._done(name)
        return recorded

    def _grow(self, name: str, request: Request, steering: Steering | None) -> None:
        assert request.config is not None
        try:
            plan = merged(self.config, request.config)
            if plan != self.config:
                self._take_on(plan, steering)
                self._say(f"the run has grown, as asked for by {request.by}")
        except LeaseLost:
            raise
        except Exception as error:  # of code and data that others name
            self._refuse(name, request, masked(f"it cannot be done there: {error}"))
            return
        self._done(name)

    def _take_on(self, plan: SearchConfig, steering: Steering | None) -> None:
        info = continued(self.info, opened(plan, None, self._console), str(self.directory))
        info = with_growth(info, self.config, plan, len(self.directory.read_records()[0]))
        write_plan(self.directory, plan, info, self.lease)
        if steering is not None:
            tasks = tuple(each.task for each in info.tasks)
            try:
                steering.grow(plan, tasks, {each.name: each.shape for each in info.tasks})
            except Exception:
                write_plan(self.directory, self.config, self.info, self.lease)
                raise
        self.config, self.info = plan, info

    def _done(self, name: str) -> None:
        with suppress(OSError):  # it is then carried out again, which changes nothing
            requests.done(self.directory.storage, name)

    def _refuse(self, name: str, request: Request, reason: str) -> None:
        self._say(f"what {request.by} asked for is refused: {reason}")
        with suppress(OSError):
            requests.refuse(self.directory.storage, name, request, reason)


def write_plan(directory: RunDirectory, plan: SearchConfig, info: RunInfo, lease: Lease) -> None:
    """Write config.json and run.json.

    A run that grows knows its tasks before it plans trials of them, so run.json goes first: killed in
    between, it holds more than the plan names, and the next driver writes it again. A new run has its plan
    first, since a folder without one is nobody's run.
    """
    lease.require()
    texts = {"run.json": dumps(info), "config.json": dumps(plan)}
    for name in texts if directory.has_plan() else reversed(texts):
        directory.put(name, texts[name])


def ask_to_grow(directory: RunDirectory, config: SearchConfig, patience: float = ANSWER_SECONDS) -> bool:
    """Ask the holder to cover a configuration as well; False if there is no answer.

    Raises:
        ValueError: it was refused.
    """
    storage = directory.storage
    name = requests.leave(storage, Request(what="grow", by=_me(), config=config))
    if requests.answered(storage, name, patience):
        return True
    if holder(storage) is None:
        requests.done(storage, name)
    return False


def stop(where: str, trial: str | None = None, patience: float = ANSWER_SECONDS) -> str:
    """Ask the holder of a run to stop it, or to cancel one trial; what was done.

    Raises:
        ValueError: nobody holds the run, it has no such trial or that has ended, or there is no answer.
    """
    directory = open_run(where)
    storage = directory.storage
    if (held := holder(storage)) is None:
        raise ValueError(f"nobody runs {where}: there is nothing to stop")
    if trial is not None:
        trial = found(trial, (known.id for known in directory.read_trials()[0]), where)
        if storage.get(f"trials/{trial}/record.json") is not None:
            raise ValueError(f"{trial} has ended; there is nothing to stop")
    what = f"trial {trial}" if trial else "the run"
    asked = Request(what="cancel" if trial else "stop", by=_me(), trial=trial or "")
    name = requests.leave(storage, asked)
    if requests.answered(storage, name, patience):
        stopping = f"{where} is stopping: running trials save themselves where they can"
        return f"{trial} is cancelled" if trial else stopping
    requests.done(storage, name)
    raise ValueError(
        f"process {held.pid} on {held.host} did not stop {what} within {patience:.0f} s and is no longer "
        "asked to; if it is dead, nas run with --resume takes the run over"
    )


def _me() -> str:
    return f"process {os.getpid()} on {platform.node()}"
