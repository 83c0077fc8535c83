"""Records that contradict a fair comparison as a whole: what was selected by what, and what saw test rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from trials.record import Study, TrialRecord


def refuse_unfair_tests(records: Sequence[TrialRecord]) -> None:
    """Test rows are for finalists, and a finalist is the design its search found by select error alone.

    A finalist's design must be that of the completed trial of its search (same task, space and seed) with the
    lowest select error, ties by number, among the records given: another choice may have been made by what it
    shows on report or test rows.

    Raises:
        ValueError: names the trials.
    """
    searched: dict[Study, list[TrialRecord]] = defaultdict(list)
    for record in records:
        kind = record.trial.study.kind
        if kind != "finalist" and record.test is not None:
            raise ValueError(
                f"test rows are for finalists only, but {record.trial.id} is of kind {kind} and holds a test "
                "error; compare without it, and keep nothing that was chosen by it"
            )
        if kind == "search" and record.status == "completed":
            searched[record.trial.study].append(record)
    best = {study: min(trials, key=_by_select) for study, trials in searched.items()}
    by_id = {record.trial.id: record for record in records}
    for record in records:
        if record.trial.study.kind == "finalist" and record.trial.selected_from in by_id:
            _refuse_other_choice(record, by_id[record.trial.selected_from], best)


def _by_select(record: TrialRecord) -> tuple[float, int]:
    return record.select_error, record.trial.number


def _refuse_other_choice(finalist: TrialRecord, chosen: TrialRecord, best: dict[Study, TrialRecord]) -> None:
    study, origin = finalist.trial.study, chosen.trial.study
    if (origin.kind, origin.task, origin.space, origin.seed) != (
        "search",
        study.task,
        study.space,
        study.seed,
    ):
        raise ValueError(
            f"a finalist is selected by the search of its own task, space and seed, but {finalist.trial.id} "
            f"says it is from {chosen.trial.id}; compare without it"
        )
    first = best.get(origin)
    if first is None or first.trial.id != chosen.trial.id:
        lowest = f"not {first.trial.id} ({first.select_error:.4g})" if first else "which did not complete"
        raise ValueError(
            "a finalist is the completed trial with the lowest select error of its search, but "
            f"{finalist.trial.id} is from {chosen.trial.id} ({chosen.select_error:.4g}), {lowest}; compare "
            "without it"
        )
    if finalist.trial.architecture != chosen.trial.architecture:
        raise ValueError(
            f"a finalist has the design it was selected for, but {finalist.trial.id} has another one than "
            f"{chosen.trial.id}; compare without it"
        )
