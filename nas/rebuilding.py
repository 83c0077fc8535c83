"""A run shown in MLflow from its records alone: in any store, as often as one likes without adding anything."""

from __future__ import annotations

from collections.abc import Callable

from nas.lease import holder
from nas.reading import Found
from nas.run_directory import RunDirectory
from nas.tables import tables
from nas.tracked import Closing, closing
from nas.writer import Shown

REPORT = ("report.html", "report.md", "report.json")
EVERY = 200
"""Trials after which a line says how far it is."""


def at_the_end(directory: RunDirectory, found: Found) -> Closing | None:
    """What a run's end shows besides its trials; None while none has ended.

    Its artifacts are the report as it lies in the run directory, and tables of all trials and epochs.
    """
    if not found.records:
        return None
    names = [*REPORT, *directory.storage.names("figures/")]
    files = directory.storage.get_all(names) | tables(found.records, directory.info())
    return closing(found, directory.planned(), files)


def rebuild(directory: RunDirectory, store: Shown, say: Callable[[str], None]) -> int:
    """Show every trial and the report; how many trials there are.

    Args:
        directory: of the run, which may go on meanwhile.
        store: open.
        say: told now and then how far it is.
    """
    found = directory.read()
    for line in found.damaged + found.unreadable:
        say(line)
    records = sorted(found.records, key=lambda record: (record.finished, record.trial.id))
    for number, record in enumerate(records, start=1):
        store.end(record)
        if number % EVERY == 0:
            say(f"{number:,} of {len(records):,} trials")
    info, running = directory.info(), holder(directory.storage) is not None
    ended = {record.trial.id for record in records}
    for trial in found.trials:
        if trial.id not in ended:
            store.wait(trial, info.created if info else 0.0, running)
    if (last := at_the_end(directory, found)) is not None:
        store.finish(last)
    return len(found.trials)
