"""Which finalists are left out because their search has found better since, and which are refused."""

from __future__ import annotations

from dataclasses import replace

from nas.efficiency.superseded import superseded
from tests.nas.builders import record

OLD, NEW = (record("twin", i, error, kind="search") for i, error in ((0, 0.3), (1, 0.1)))
FINALIST = replace(
    record("twin", kind="finalist", test_error=0.3, selected_from=OLD.trial.id, seed=50),
    started=OLD.finished,
)


def test_a_finalist_is_superseded_by_a_trial_that_ended_after_it_began() -> None:
    later = replace(NEW, finished=FINALIST.started + 1)
    assert list(superseded([OLD, later, FINALIST])) == [FINALIST.trial.id]
    assert not superseded([OLD, FINALIST])


def test_one_that_was_not_the_best_when_it_began_is_left_to_the_refusals() -> None:
    known = replace(NEW, finished=FINALIST.started)
    assert not superseded([OLD, known, FINALIST])
    assert superseded([OLD, known, replace(FINALIST, status="failed", reason="no")])  # shows nothing
