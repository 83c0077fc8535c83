"""Who holds a run: numbered objects in its storage, of which the highest one counts.

lease/000001.json   who took the run first; rewritten every 10 s while held
lease/000002.json   who took it over, once the first was released, dead or silent

An object is made by an exclusive create, so of several who try one wins; a holder that finds a higher number
has lost the run. No clock is compared with another machine's: a watcher waits for a change by its own, which
does not jump.
"""

from __future__ import annotations

import json
import os
import platform
import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from trials.plain import dumps, from_plain
from trials.storage import Storage, is_full

BEAT_SECONDS = 10.0
PATIENCE = 60.0
"""Seconds without a change after which a holder counts as dead."""
TRUST_SECONDS = PATIENCE / 2
"""Seconds after a confirmation for which a holder writes without looking; the rest is for the write."""
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # also counts while a machine sleeps


class Held(ValueError):
    """The run is alive in other hands."""


class LeaseLost(RuntimeError):
    """The run is, or may be, in other hands by now: nothing more must be written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """The content of a lease.

    Attributes:
        holder: who took it, different for every call of `take`.
        host: name of the machine, for messages.
        place: within which the process number means something; empty where that cannot be known.
        pid, born: number and start (clock ticks after boot) of the process that took it.
        beat: changes whenever it is renewed.
        held: seconds that drivers have held the run, those before this one included.
        released: nobody holds the run.
    """

    holder: str
    host: str
    place: str
    pid: int
    born: str
    beat: int = 0
    held: float = 0.0
    released: bool = False

    @property
    def gone(self) -> bool:
        """Whether its process certainly exists no more."""
        return bool(self.place) and self.place == _place() and _born(self.pid) != self.born


def take(storage: Storage, say: Callable[[str], None], patience: float = PATIENCE) -> Lease:
    """Take hold of a run.

    A holder is watched until its lease changes (it lives) or has not for `patience` seconds (it is dead); one
    that released the run, or whose process on this machine has ended, is not waited for.

    Raises:
        Held: somebody else holds it.
        OSError: the storage cannot be read or written.
    """
    number, before = _highest(storage)
    if before is not None:
        number, before = _watched(storage, number, before, say, patience)
    last = None if before is None else _read(before)
    hold = Hold(
        holder=uuid.uuid4().hex,
        host=platform.node(),
        place=_place(),
        pid=os.getpid(),
        born=_born(os.getpid()),
        held=last.held if last else 0.0,
    )
    lease = Lease(storage, number + 1, hold)
    if not storage.create(_name(number + 1), dumps(hold).encode()):
        raise _held(storage, 0.0)
    every = _numbers(storage)
    if max(every) > number + 1:  # it went on twice while we slept, and removed the old ones
        storage.remove(_name(number + 1))
        raise _held(storage, 0.0)
    for old in every:
        if old < number:
            storage.remove(_name(old))
    return lease


class Lease:
    """A run held. It can be pickled, so that other processes of the same machine renew it too.

    Args:
        storage: of the run.
        number: of the object that holds it.
        hold: what was written there first.
    """

    def __init__(self, storage: Storage, number: int, hold: Hold) -> None:
        self._storage, self.number, self._hold = storage, number, hold
        self._taken = self._confirmed = now()
        self._lost = ""
        self._ending: threading.Event | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_ending", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _ending=None, _lock=threading.Lock())

    def __enter__(self) -> Lease:
        self.keep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> float:
        """Seconds that drivers have held the run, this one and those before it."""
        return self._hold.held + now() - self._taken

    def keep(self) -> None:
        """Renew it in a thread of this process from now on."""
        if self._ending is None:
            self._ending = threading.Event()
            threading.Thread(target=self._beat, args=(self._ending,), name="lease", daemon=True).start()

    def require(self) -> None:
        """To be called before a write.

        On a full disk nobody can renew: then it is enough that nobody else has taken the run.

        Raises:
            LeaseLost: somebody else has taken the run, or that cannot be ruled out.
        """
        if not self._lost and self._hold.gone:  # this is another process of a driver that died
            self._lost = f"its driver (process {self._hold.pid}) has died"
        if not self._lost and now() - self._confirmed > TRUST_SECONDS:
            try:
                self._renew()
            except OSError as error:
                if is_full(error) and not self._taken_over():
                    return  # it is ours; whether there is room is for the write itself to find out
                raise LeaseLost(
                    f"this process cannot confirm that it still holds {self._storage.root} "
                    f"({error}) and writes nothing; go on with --resume"
                ) from error
        if self._lost:
            raise LeaseLost(
                f"this process no longer holds {self._storage.root}: {self._lost}; it writes nothing more"
            )

    def release(self) -> None:
        """Let go of the run, so that the next driver need not wait; if it was lost, nothing happens."""
        if self._ending is not None:
            self._ending.set()
        with suppress(OSError):  # it is then taken over after a while
            self._renew(released=True)
        self._lost = self._lost or "it was released"

    def _taken_over(self) -> bool:
        """Whether somebody else holds the run, or that cannot be seen."""
        try:
            return _highest(self._storage)[0] != self.number
        except OSError:
            return True

    def _beat(self, ending: threading.Event) -> None:
        while not ending.wait(BEAT_SECONDS) and not self._lost:
            with suppress(OSError):  # tried again; `require` says when it has gone on for too long
                self._renew()

    def _renew(self, released: bool = False) -> None:
        with self._lock:
            began = now()  # a watcher cannot have seen the change earlier
            number, data = _highest(self._storage)
            found = None if data is None else _read(data)
            if number < self.number:
                self._lost = "its lease was removed"
            elif number > self.number:
                self._lost = f"{_who(found)} took it over"
            elif found is not None and found.released:
                self._lost = "it was released"
            if self._lost:
                return
            beat = (found or self._hold).beat + 1
            content = replace(self._hold, beat=beat, held=round(self.held, 3), released=released)
            self._storage.put(_name(self.number), dumps(content).encode())
            self._confirmed = began
            if released:
                self._lost = "it was released"


def holder(storage: Storage) -> Hold | None:
    """Who took the run last and has not released it; None if nobody. They may be dead: `take` finds out."""
    _, data = _highest(storage)
    found = None if data is None else _read(data)
    return None if found is None or found.released or found.gone else found


def _watched(
    storage: Storage, number: int, data: bytes, say: Callable[[str], None], patience: float
) -> tuple[int, bytes]:
    """The number and the last content of a lease that is free: this one, or one that was released after it.

    Raises:
        Held: it changed while it was watched, or a higher one appeared.
    """
    began = looked = now()
    told = False
    while True:
        hold = _read(data)
        if hold is not None and (hold.released or hold.gone):
            return number, data
        if not told:
            say(f"{_who(hold)} had {storage.root}: waiting up to {patience:.0f} s for a sign of it")
            told = True
        if now() - began >= patience:
            say(f"{_who(hold)} has not renewed its hold on {storage.root} for {patience:.0f} s: taking over")
            return number, data
        time.sleep(min(1.0, patience / 20))
        before, looked = looked, now()
        latest, found = _highest(storage)
        if found is None:
            return number, data  # somebody removed it by hand
        if (latest, found) != (number, data):
            number, data, hold = latest, found, _read(found)
            if hold is None or not hold.released:
                raise _held(storage, now() - before)


def _held(storage: Storage, ago: float) -> Held:
    _, data = _highest(storage)
    return Held(
        f"{_who(_read(data or b''))} holds {storage.root} and renewed that {ago:.0f} s ago; "
        "wait for it or stop it with `nas stop`"
    )


def _who(hold: Hold | None) -> str:
    return "another process" if hold is None else f"process {hold.pid} on {hold.host}"


def _highest(storage: Storage) -> tuple[int, bytes | None]:
    """The number of the lease that counts and its content; 0 and None if there is none."""
    number = max(_numbers(storage), default=0)
    return number, (storage.get(_name(number)) or b"") if number else None


def _numbers(storage: Storage) -> list[int]:
    found = (re.fullmatch(r"lease/(\d+)\.json", name) for name in storage.names("lease/"))
    return [int(match[1]) for match in found if match]


def _name(number: int) -> str:
    return f"lease/{number:06d}.json"


def _read(data: bytes) -> Hold | None:
    try:
        return from_plain(Hold, json.loads(data))
    except ValueError:  # of another version, or damaged: whoever wrote it is only watched
        return None


def now() -> float:
    """Seconds by a clock of this machine that nobody sets."""
    return time.clock_gettime(_CLOCK)


@cache
def _place() -> str:
    """This boot of this machine, and what its process numbers are counted in (containers have their own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """When a process of this machine started; empty if there is none, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]
