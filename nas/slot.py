"""A slot: one trial after another, as the board says, in one kept process. Knows no cluster."""

from __future__ import annotations

import importlib
import os
import platform
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any, Protocol

from nas.lease import now
from nas.messages import Order, Told
from nas.placement import Place
from nas.probe import facts, probe, said
from nas.run_directory import RunDirectory
from nas.schedule import failed_record
from nas.tracking_place import drop_credentials
from trials.logs import reason_of
from trials.names import NotKept
from trials.record import EpochMetrics, Trial, TrialRecord, Verdict, ignored
from trials.reference import Task
from trials.storage import Storage, Unwritten, kept
from trials.surroundings import unseen_accelerators
from trials.task import TaskData

POLL_SECONDS = 0.25
BEAT_SECONDS = 5.0

Ask = Callable[..., Any]
"""Calls a method of the board, by its name; raises `Gone` if there is no board any more."""


class Gone(BaseException):
    """This slot is taken for dead, or its run is in other hands: it must write nothing more.

    Not an Exception, so that no trial takes it for its own failure.
    """


class Train(Protocol):
    """What `nas.finalists.train_and_test` and its stand-ins have in common."""

    def __call__(
        self,
        trial: Trial,
        task: TaskData,
        report: Callable[[EpochMetrics], Verdict],
        folder: Storage,
        device_share: float = 1.0,
        rates: Sequence[float] = (),
        *,
        asked: Callable[[], Verdict],
        timed: bool = False,
        checkpoint_bytes: int | None = None,
        on_kept: Callable[[int], None] = ignored,
    ) -> TrialRecord | None: ...


class Pulse:
    """Tells the board every few seconds that this slot lives, and what the board answers."""

    def __init__(self, ask: Ask, slot: int) -> None:
        self._ask, self._slot = ask, slot
        self._heard: tuple[str, Told] = ("", "continue")
        self._when = now()
        self._ended = threading.Event()

    def __enter__(self) -> Pulse:
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def asked(self, trial: Trial) -> Verdict:
        """What the trial should do, as last heard.

        Raises:
            Gone: it should not exist.
        """
        if now() - self._when > 3 * BEAT_SECONDS:  # this process, or the board, was stopped for a while
            self._hear()
        about, verdict = self._heard
        if verdict == "gone":
            raise Gone
        return verdict if about == trial.id else "continue"

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self._hear()

    def _hear(self) -> None:
        try:
            self._heard = self._ask("alive", self._slot)
        except Gone:
            self._heard = "", "gone"
        self._when = now()


def work(
    slot: int,
    node: str,
    ask: Ask,
    directory: RunDirectory,
    threads: int,
    accelerated: bool,
    train: str,
) -> None:
    """One trial after another until the board has none left.

    Args:
        slot: its number.
        node: the cluster's name for this machine.
        ask: calls the board.
        directory: of the run.
        threads: processors of one trial.
        accelerated: whether the slot has a share of an accelerator; one that has none sees none.
        train: what takes an order's trial from beginning to end, as ``module:function``; imported at once,
            while the board is still starting.
    """
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)))  # before torch
    drop_credentials()  # of a cluster or a job that was started with them
    if not accelerated:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    place = Place(node=node, host=platform.node(), process=os.getpid())
    threading.Thread(target=_arrive, args=(ask, slot, place), daemon=True).start()  # the board may start
    try:
        try:
            carry_out = _imported(train)
            place = _with_device(place) if accelerated else place
        except Exception as error:  # of this node: the others may do
            ask("probed", slot, place, facts(said(error)))
        opened = cache(_Opening(directory))  # studies take turns, and rows are memory maps
        with Pulse(ask, slot) as pulse, _telling(ask):
            while (answer := ask("next", slot, place)) is not None:
                if answer == "wait":
                    time.sleep(POLL_SECONDS)
                elif answer == "probe":
                    ask("probed", slot, place, probe(directory, opened))
                else:
                    outcome: TrialRecord | Unwritten | None
                    try:
                        outcome = _carried_out(answer, slot, ask, pulse, directory, opened, carry_out)
                    except Unwritten as error:
                        outcome = Unwritten(*error.args)
                    if place.device:
                        _give_memory_back()  # before anybody counts on it
                    ask("unwritten" if isinstance(outcome, Unwritten) else "finish", slot, outcome)
    except Gone:
        return
    except Exception:
        ask("broke", _reason())


def _arrive(ask: Ask, slot: int, place: Place) -> None:
    with suppress(Gone):
        ask("arrived", slot, place)


@contextmanager
def _telling(ask: Ask) -> Iterator[None]:
    """The board is told of checkpoints that are not kept."""
    show = warnings.showwarning

    def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, NotKept):
            ask("not_kept", str(message))
        show(message, category, *where, **more)

    warnings.showwarning = tell
    try:
        yield
    finally:
        warnings.showwarning = show


def _imported(train: str) -> Train:
    module, _, function = train.partition(":")
    found: Train = getattr(importlib.import_module(module), function)
    return found


def _with_device(place: Place) -> Place:
    import torch

    if not torch.cuda.is_available():  # also a cluster that was told of accelerators that are not there
        raise ValueError(
            unseen_accelerators()
            or f"the cluster counts accelerators there and torch {torch.__version__} sees none; start Ray "
            "there with the accelerators that it has, or give --gpus-per-trial 0 to use processors"
        )
    device = torch.cuda.get_device_properties()
    return replace(place, device=str(device.uuid), device_bytes=device.total_memory)


def _give_memory_back() -> None:
    from trials.isolation import give_memory_back  # needs torch

    give_memory_back()


def _carried_out(
    order: Order,
    slot: int,
    ask: Ask,
    pulse: Pulse,
    directory: RunDirectory,
    opened: Callable[[Task], TaskData],
    train: Train,
) -> TrialRecord | None:
    trial = order.trial
    folder = directory.folder(trial.id)

    def report(metrics: EpochMetrics) -> Verdict:
        verdict: Told = ask("report", slot, trial, metrics)
        if verdict == "gone":
            raise Gone
        return verdict

    try:
        return train(
            trial,
            opened(trial.task),
            report,
            folder,
            order.share,
            order.rates,
            asked=lambda: pulse.asked(trial),
            timed=order.timed,
            checkpoint_bytes=order.checkpoint_bytes,
            on_kept=partial(ask, "kept", slot, trial),
        )
    except Unwritten:
        raise
    except Exception as error:
        with kept():
            return replace(failed_record(trial, reason_of(error), folder), device_share=order.share)


def end_process(process: int) -> None:
    """Kill a process of this machine, also one that is stopped."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


class _Opening:
    """Opens a task on this machine, which may have a copy of the data of its own."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def __call__(self, task: Task) -> TaskData:
        """
        Raises:
            ValueError: its rows are not those with which the run began.
        """
        from trials.task import open_task

        data, run = open_task(task), self._directory.info()
        for began in run.tasks if run else ():
            if began.task == task and began.digest != data.digest:
                raise ValueError(
                    f"the data of {task} on {platform.node()} are not those the run began with: digest "
                    f"{data.digest}, in run.json {began.digest}; give every machine the same data"
                )
        return data


def _reason() -> str:
    text = traceback.format_exc().strip()
    return f"{text.splitlines()[-1]}\n{text}"
