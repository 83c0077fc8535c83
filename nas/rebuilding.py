"""A run shown in MLflow from its records alone, in any store; what is there already is not added again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from nas.lease import holder
from nas.logged_models import log_finalists
from nas.reading import Found
from nas.run_directory import RunDirectory, open_run
from nas.tables import tables
from nas.tracked import Closing, closing
from nas.tracking_place import artifact_folder, checked_uri, experiment_of, tracking_address
from nas.writer import Refused, Shown
from trials.record import Study, TrialRecord

T = TypeVar("T")
REPORT = ("report.html", "report.md", "report.json")
EVERY = 200
"""Trials after which a line says how far it is."""
AT_ONCE = 4
"""Trials that are sent side by side: a store waits for its disk and a client for the store."""
IN_A_ROW = 8
"""Trials that fail one after the other before the rest is not tried: the store is not there."""


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
        uri: of the store; None: that of the run.
        say: told how far it is.

    Raises:
        ValueError: it is no run, who holds it shows it there, or the store does not take it.
    """
    from nas.tracking import Store

    directory = open_run(where)
    if (info := directory.info()) is None:
        raise ValueError(f"{where} has no run.json: the run never got so far that it could be shown")
    theirs, experiment = tracking_address(directory, info), experiment_of(directory, info)
    address = checked_uri(uri) or theirs
    if address == theirs and (held := holder(directory.storage)) is not None:
        raise ValueError(
            f"process {held.pid} on {held.host} runs {where} and shows it in {theirs} itself; wait for its "
            "end, or name another store by --tracking-uri"
        )
    try:
        place = artifact_folder(address, directory, info)
        store = Store(address, experiment, place, directory.folder, lambda: info)
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
    refused, failed = _sent(store, records, say)
    trouble: Exception | None = None
    for record in failed:  # once more, on their own
        try:
            refused += _refusal(store.end, record)
        except Exception as error:
            trouble = trouble or error
    info, running = directory.info(), holder(directory.storage) is not None
    ended = {record.trial.id for record in records}
    for trial in found.trials:
        if trial.id not in ended:
            refused += _refusal(partial(store.wait, trial, info.created if info else 0.0), running)
    if (last := at_the_end(directory, found)) is not None:
        refused += _refusal(store.finish, last)
    if refused:
        say(f"MLflow refuses {len(refused)} things for good, the first: {refused[0]}")
    if trouble is not None:
        raise trouble
    return len(found.trials)


def _sent(
    store: Shown, records: Sequence[TrialRecord], say: Callable[[str], None]
) -> tuple[list[Refused], list[TrialRecord]]:
    """What the store refuses for good, and the trials it did not take; `IN_A_ROW` of these end it."""
    first: dict[Study, TrialRecord] = {}
    for record in sorted(records, key=lambda record: record.started):
        first.setdefault(record.trial.study, record)
    begins = {record.trial.id for record in first.values()}
    rest = [record for record in records if record.trial.id not in begins]
    refused: list[Refused] = []
    failed: list[TrialRecord] = []
    in_a_row = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, (record, found) in enumerate(_in_turn(store, first.values(), rest, pool), start=1):
            in_a_row = in_a_row + 1 if isinstance(found, Exception) else 0
            if isinstance(found, Exception):
                failed.append(record)
            else:
                refused += found
            if in_a_row == IN_A_ROW:
                pool.shutdown(cancel_futures=True)
                assert isinstance(found, Exception)
                raise found
            if number % EVERY == 0:
                say(f"{number:,} of {len(records):,} trials")
    return refused, failed


def _in_turn(
    store: Shown, first: Iterable[TrialRecord], rest: Iterable[TrialRecord], pool: Executor
) -> Iterator[tuple[TrialRecord, list[Refused] | Exception]]:
    """The first of each study one after the other, since they make it; then the rest side by side."""
    yield from map(partial(_tried, store), first)
    yield from pool.map(partial(_tried, store), rest)


def _tried(store: Shown, record: TrialRecord) -> tuple[TrialRecord, list[Refused] | Exception]:
    try:
        return record, _refusal(store.end, record)
    except Exception as error:
        return record, error


def _refusal(send: Callable[[T], None], what: T) -> list[Refused]:
    try:
        send(what)
    except Refused as error:
        return [error]
    return []
