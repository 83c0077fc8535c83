"""Retrainings of a design that was the best of its search until the run grew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trials.record import TrialRecord


def superseded(records: Sequence[TrialRecord]) -> dict[str, str]:
    """Finalists and transfer trials that another design should have by now: the better one, by trial.

    A trial found later is no sign of a choice by report or test rows; where the better one had begun before
    the retraining did, the choice itself was wrong, which `refuse_unfair_tests` refuses.
    """
    by_id = {record.trial.id: record for record in records}
    searched: dict[tuple[str, str, int | None], list[TrialRecord]] = defaultdict(list)
    for record in records:
        study = record.trial.study
        if record.status == "completed" and study.kind in ("search", "population"):
            searched[study.task, study.space, None].append(record)
            if study.kind == "search":
                searched[study.task, study.space, study.seed].append(record)
    found = {}
    for record in records:
        study, chosen = record.trial.study, by_id.get(record.trial.selected_from or "")
        if chosen is None or study.kind not in ("finalist", "transfer"):
            continue
        one_search = (study.task, study.space, study.seed)
        every = (study.source, study.space, None)
        for other in searched[one_search if study.kind == "finalist" else every]:
            if _order(other) < _order(chosen) and other.started > record.started:
                found[record.trial.id] = other.trial.id
    return found


def _order(record: TrialRecord) -> tuple[float, str]:
    return record.select_error, record.trial.id
