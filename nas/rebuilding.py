"""A run shown in MLflow from its records alone, in any store; what is there already is not added again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nas.lease import holder
from nas.logged_models import log_finalists
from nas.reading import Found
from nas.run_directory import RunDirectory, open_run
from nas.tables import tables
from nas.tracked import Closing, closing
from nas.tracking_place import artifact_folder, checked_uri, experiment_of, tracking_address
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


def rebuild_into(where: Path | str, uri: str | None, say: Callable[[str], None]) -> str:
    """Show a run in an MLflow store, from its directory; where its trials are then.

    Args:
        where: the run directory, a path or a URL.
        uri: of the store; None: MLFLOW_TRACKING_URI, else that of the run.
        say: told how far it is.

    Raises:
        ValueError: it is no run, or the store does not take it.
    """
    from nas.tracking import Store

    directory = open_run(where)
    if (info := directory.info()) is None:
        raise ValueError(f"{where} has no run.json: the run never got so far that it could be shown")
    given = checked_uri(uri or os.environ.get("MLFLOW_TRACKING_URI"))
    address, experiment = given or tracking_address(directory, info), experiment_of(directory, info)
    try:
        store = Store(address, experiment, artifact_folder(address), directory.folder, lambda: info)
        trials = rebuild(directory, store, say)
        store.tidy()
        log_finalists(directory, info, address, say)
    except Exception as error:  # whatever MLflow raises
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ValueError(f"{address} did not take it: {why}; repeat the command, it goes on") from error
    return f"{trials:,} trials are in {address}, experiment {experiment}"


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
