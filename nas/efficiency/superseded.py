"""Trials of a design that was the best one until the run grew: kept in the directory, in no number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trials.record import Study, TrialRecord


def superseded(records: Sequence[TrialRecord]) -> dict[str, str]:
    """Finalists and transfers whose design a search that went on, or a larger population, has beaten; why.

    A finalist's design must have been picked by select error alone: its trial had ended when the finalist
    began, and all that are better had not. Others are left to `refuse_unfair_tests`.
    """
    by_id = {record.trial.id: record for record in records}
    searched: dict[Study, list[TrialRecord]] = defaultdict(list)
    drawn: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.trial.id):
        study = record.trial.study
        if record.status == "completed" and study.kind in ("search", "population"):
            drawn[study.task, study.space].append(record)
            if study.kind == "search":
                searched[study].append(record)
    found = {}
    for record in records:
        study, origin = record.trial.study, by_id.get(record.trial.selected_from or "")
        if origin is None or study.kind not in ("finalist", "transfer"):
            continue
        if study.kind == "finalist":
            search = Study(task=study.task, space=study.space, kind="search", seed=study.seed)
            others = searched[search] if origin.trial.study == search else []
        else:
            others = drawn[study.source, study.space]
        better = [each for each in others if each.select_error < origin.select_error]
        if better and (study.kind == "transfer" or _fair(record, origin, better)):
            now = min(better, key=lambda each: each.select_error).trial.id
            found[record.trial.id] = f"its design, of {origin.trial.id}, was the best; now that of {now} is"
    return found


def _fair(finalist: TrialRecord, origin: TrialRecord, better: Sequence[TrialRecord]) -> bool:
    """Whether nobody could know of the better ones; a trial that failed shows nothing anyway."""
    known = any(each.finished <= finalist.started for each in better)
    return finalist.status == "failed" or (origin.finished <= finalist.started and not known)
