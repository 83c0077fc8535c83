"""The closed-form trial: deterministic, its optimum known, verdicts and resumption honoured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces import SPACES
from tests.trials.examples import trial, untimed
from trials import plain, record, soundness, synthetic, task
from trials.storage import Storage


@pytest.fixture(scope="module")
def digits() -> task.TaskData:
    return task.open_task("digits@rows=200")


def run(wanted: record.Trial, of: task.TaskData) -> record.TrialRecord:
    found = synthetic.run_trial(wanted, of)
    assert found is not None
    return found


def test_a_record_repeats_exactly_but_for_the_time_of_day(digits: task.TaskData) -> None:
    one, other = (replace(run(trial(digits), digits), started=0, finished=0) for _ in range(2))
    assert one == other and plain.from_plain(record.TrialRecord, plain.to_plain(one)) == one
    assert run(trial(digits, seed=1), digits).curve != one.curve


def test_the_optimum_is_best_and_distance_orders_designs(digits: task.TaskData) -> None:
    space = SPACES["twin"](digits.shape)
    errors = {}
    for kernel in (3, 5, 9):
        values = {choice.name: kernel for choice in space.choices}
        errors[kernel] = run(replace(trial(digits), values=dict(values)), digits).error
    assert errors[5] == min(errors.values()) == pytest.approx(0.05, abs=0.03)
    assert errors[9] > errors[3] > errors[5]
    assert run(trial(digits, "flexconv"), digits).status == "completed"


def test_verdicts_and_resumption(digits: task.TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, epochs=6)
    told: list[int] = []

    def pause_once(metrics: record.EpochMetrics) -> record.Verdict:
        told.append(metrics.epoch)
        return "pause" if told == [1, 2, 3, 4] else "continue"

    assert synthetic.run_trial(wanted, digits, report=pause_once, folder=Storage(str(tmp_path))) is None
    resumed = synthetic.run_trial(wanted, digits, report=pause_once, folder=Storage(str(tmp_path)))
    assert told == [1, 2, 3, 4, 1, 2, 3, 4, 5, 6] and resumed is not None
    assert untimed(resumed.curve) == untimed(run(wanted, digits).curve)
    stopped = synthetic.run_trial(wanted, digits, report=lambda _: "stop")
    assert stopped is not None and stopped.status == "stopped" and len(stopped.curve) == 1
    assert stopped.seconds < resumed.seconds


def test_it_can_be_asked_timed_and_cancelled_as_a_real_one(digits: task.TaskData, tmp_path: Path) -> None:
    wanted, folder = trial(digits, epochs=4), Storage(str(tmp_path))
    answers: list[record.Verdict] = ["continue", "continue", "pause"]
    paused = synthetic.run_trial(wanted, digits, folder=folder, asked=lambda: answers.pop(0))
    assert paused is None and not answers
    found = synthetic.run_trial(wanted, digits, folder=folder, timed=True, device_share=0.5)
    assert found is not None and found.latency_seconds and found.device_share == 0.5
    assert untimed(found.curve) == untimed(run(wanted, digits).curve)
    assert run(wanted, digits).latency_seconds is None
    for how in ({"asked": lambda: "cancel"}, {"report": lambda _: "cancel"}):
        gone = synthetic.run_trial(wanted, digits, **how)
        assert gone is not None and gone.status == "failed" and gone.reason == record.CANCELLED
        assert soundness.flaw(gone) == "" and len(gone.curve) == ("report" in how)
