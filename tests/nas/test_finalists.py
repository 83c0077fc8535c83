"""A finalist leaves the predictions that its metrics follow from."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.finalists import train_and_test
from tests.trials.examples import trial
from trials import metrics, plain, predictions, record
from trials.storage import Storage, Unwritten
from trials.task import TaskData, open_task


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits@rows=200")


def test_metrics_of_a_finalist_follow_from_its_stored_predictions(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, kind="finalist", epochs=2)
    found = train_and_test(wanted, digits, record.keep_going, Storage(str(tmp_path)))
    assert found is not None and found.status == "completed" and found.test is not None, found
    stored = predictions.read(Storage(str(tmp_path)))
    assert (stored.trial, stored.digest) == (wanted.id, digits.digest)
    assert stored.class_names == digits.class_names
    shown, tested = stored.splits["report"], stored.splits["test"]
    assert np.array_equal(shown.labels, digits.report.labels)
    assert np.mean(shown.probabilities.argmax(axis=1) != shown.labels) == found.report_error
    assert len(tested.labels) == digits.test_rows == found.test.rows
    assert metrics.measure(tested.labels, tested.probabilities) == found.test
    assert found.test.error_interval is not None and found.test.auroc_interval is not None
    assert plain.from_plain(record.TrialRecord, json.loads(plain.dumps(found))) == found


def test_a_finalist_is_timed_and_looked_at_on_other_rates(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, "flexconv", kind="finalist", epochs=1)
    found = train_and_test(wanted, digits, record.keep_going, Storage(str(tmp_path)), rates=(1.0, 2.0, 0.3))
    assert found is not None and found.status == "completed" and found.test is not None
    assert found.latency_seconds is not None and 0 < found.latency_seconds < 1
    same, double, odd = found.at_rates
    assert (same.rate, same.error) == (1.0, found.report_error)
    assert double.error is not None and odd.error is None and "whole number" in odd.reason
    assert plain.from_plain(record.TrialRecord, json.loads(plain.dumps(found))) == found


def test_others_are_not_tested(digits: TaskData, tmp_path: Path) -> None:
    found = train_and_test(trial(digits, epochs=1), digits, record.keep_going, Storage(str(tmp_path)))
    assert found is not None and found.status == "completed" and found.test is None
    assert found.latency_seconds is None and found.at_rates == ()
    assert not (tmp_path / "predictions.parquet").exists()


def test_what_was_spent_stays_on_record_where_the_test_fails(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, kind="finalist", epochs=1)
    wanted = replace(wanted, task=replace(wanted.task, source=str(tmp_path / "gone.npz")))
    found = train_and_test(wanted, digits, record.keep_going, Storage(str(tmp_path)))
    assert found is not None and found.status == "failed" and found.test is None
    assert found.reason.startswith("the test failed") and found.seconds_training > 0


@pytest.mark.parametrize("name", ["weights.safetensors", "predictions.parquet"])
def test_what_cannot_be_written_fails_no_trial_and_is_written_later(
    digits: TaskData, tmp_path: Path, name: str
) -> None:
    wanted, folder = trial(digits, kind="finalist", epochs=2), Storage(str(tmp_path))
    (tmp_path / name).mkdir()  # nothing can be written there
    told: list[int] = []

    def report(metrics: record.EpochMetrics) -> record.Verdict:
        told.append(metrics.epoch)
        return "continue"

    with pytest.raises(Unwritten, match="directory"):
        train_and_test(wanted, digits, report, folder)
    (tmp_path / name).rmdir()
    found = train_and_test(wanted, digits, report, folder)
    assert found is not None and found.status == "completed" and found.test is not None
    assert predictions.read(folder).trial == wanted.id and (tmp_path / "weights.safetensors").is_file()


def test_an_error_of_a_users_code_is_the_trials_own(digits: TaskData, tmp_path: Path) -> None:
    def report(metrics: record.EpochMetrics) -> record.Verdict:
        raise OSError(errno.ENOSPC, "their disk")

    found = train_and_test(trial(digits, epochs=1), digits, report, Storage(str(tmp_path)))
    assert found is not None and found.status == "failed" and "their disk" in found.reason
