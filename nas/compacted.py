"""Finished trials of a run in one object, to read thousands of them quickly: a copy, never the truth.

``records.parquet`` holds design and record of every trial that had both, and the stamp of each object at
that time (`Storage.stamps`). A reader lists the objects, takes from the copy what has the same stamp, and
reads the rest; what was edited or removed since is seen, and a damaged or missing copy costs time only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from trials.storage import Storage

COPY = "records.parquet"
DESIGN, RECORD = "design.json", "record.json"
_OBJECT = re.compile(rf"trials/[^/]+/({DESIGN}|{RECORD})".replace(".json", r"\.json"))
_COLUMNS = ("trial", "design", "design_stamp", "record", "record_stamp")
_LEAST, _SHARE = 256, 0.25
"""The copy is made again when so many records are not in it, and so large a share of those that are."""
PATIENCE = 60.0
"""Seconds that a run waits for a copy at its end."""

Content = bytes | OSError | ValueError
"""Of an object, or why it cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Designs and records as they are at one moment.

    Attributes:
        of: by folder of the trial, then `DESIGN` and `RECORD` where they are.
        stamps: the same way.
        copied: trials whose record is in the copy as it is.
    """

    of: dict[str, dict[str, Content]]
    stamps: dict[str, dict[str, str]]
    copied: int

    @property
    def missing(self) -> int:
        """Trials with a record that is not in the copy."""
        return sum(RECORD in each for each in self.of.values()) - self.copied


def read(storage: Storage) -> Contents:
    """All designs and records of a run.

    Raises:
        OSError: the run cannot be listed.
    """
    stamps: dict[str, dict[str, str]] = {}
    for name, stamp in sorted(storage.stamps("trials/").items()):
        if _OBJECT.fullmatch(name):
            _, trial, kind = name.split("/")
            stamps.setdefault(trial, {})[kind] = stamp
    of: dict[str, dict[str, Content]] = {trial: {} for trial in stamps}
    copied = 0
    for trial, kinds in _copy(storage):
        known = stamps.get(trial, {})
        same = {kind: data for kind, (data, stamp) in kinds.items() if known.get(kind) == stamp}
        of.get(trial, {}).update(same)
        copied += RECORD in same
    rest = [
        f"trials/{trial}/{kind}" for trial, kinds in stamps.items() for kind in kinds if kind not in of[trial]
    ]
    for name, content in _each(storage, rest).items():
        _, trial, kind = name.split("/")
        of[trial][kind] = content
    return Contents(of=of, stamps=stamps, copied=copied)


def compact(storage: Storage) -> int:
    """Make the copy again; how many trials it holds.

    Raises:
        OSError: the run cannot be read, or the copy not be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = read(storage)
    rows: list[dict[str, str | bytes]] = []
    for trial, kinds in found.of.items():
        design, record = kinds.get(DESIGN), kinds.get(RECORD)
        if isinstance(design, bytes) and isinstance(record, bytes):
            stamps = found.stamps[trial]
            rows.append(
                {
                    "trial": trial,
                    "design": design,
                    "design_stamp": stamps[DESIGN],
                    "record": record,
                    "record_stamp": stamps[RECORD],
                }
            )
    types = {"design": pa.binary(), "record": pa.binary()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd", use_dictionary=False)
    storage.put(COPY, sink.getvalue().to_pybytes())
    return len(rows)


class Compaction:
    """Makes the copy again while a run goes on, whenever enough has ended.

    In a process of its own, since it takes the memory of all records at once.

    Args:
        storage: of the run.
        say: one line for the user, where that fails.
    """

    def __init__(self, storage: Storage, say: Callable[[str], None]) -> None:
        self._storage, self._say = storage, say
        self._copied = self._ended = 0
        self._process: subprocess.Popen[str] | None = None

    def ended(self) -> None:
        """One record more is there."""
        self._ended += 1
        if self._process is not None and self._process.poll() is not None:
            self._wait()
        if self._ended >= max(_LEAST, _SHARE * self._copied) and self._process is None:
            self._start()

    def close(self) -> None:
        """The run ends: copy what is not in the copy yet."""
        self._wait()
        if self._ended:
            self._start()
            self._wait()

    def _start(self) -> None:
        self._ended = 0
        command = [sys.executable, "-m", "nas.compacted", self._storage.root]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run, which waits for it
        )

    def _wait(self) -> None:
        """For the process; it is a copy: if it fails or takes long, the next one is due soon."""
        if self._process is None:
            return
        told, why = "", ""
        try:
            told, wrong = self._process.communicate(timeout=PATIENCE)
            if self._process.returncode != 0:
                why = (wrong.strip().splitlines() or [f"it ended with {self._process.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            why = f"not done after {PATIENCE:.0f} s"
        if why:
            self._say(f"{COPY} could not be made again ({why}): nothing is lost, reading takes longer")
        self._process, self._copied = None, 0
        with suppress(ValueError, IndexError):  # whatever else a site prints there
            self._copied = int(told.splitlines()[-1])


def _copy(storage: Storage) -> list[tuple[str, dict[str, tuple[bytes, str]]]]:
    """What the copy holds; nothing if it is not there, damaged or another thing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if (data := storage.get(COPY)) is None:
            return []
        columns: Mapping[str, list[str | bytes]] = pq.read_table(pa.BufferReader(data)).to_pydict()
        return [
            (trial, {DESIGN: (design, design_stamp), RECORD: (record, record_stamp)})
            for trial, design, design_stamp, record, record_stamp in zip(
                *(columns[name] for name in _COLUMNS), strict=True
            )
            if isinstance(design, bytes) and isinstance(record, bytes)
        ]
    except (OSError, pa.ArrowException, KeyError):
        return []


def _each(storage: Storage, names: list[str]) -> dict[str, Content]:
    """What is there of these; where one cannot be read, why."""
    with suppress(OSError, ValueError):
        return dict(storage.get_all(names))
    found: dict[str, Content] = {}
    for name in names:
        try:
            data = storage.get(name)
        except (OSError, ValueError) as error:
            found[name] = error
        else:
            if data is not None:
                found[name] = data
    return found


if __name__ == "__main__":
    print(compact(Storage(sys.argv[1])))
