"""Baselines know what they should, and only of training and validation rows."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from trials import baselines, task
from trials.dataset import ArrayPart, Dataset


def ramps() -> Dataset:
    """Rising and falling series of 2 channels and 9 to 12 steps, and noise."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(2), 100)
    inputs = np.full((200, 2, 12), np.nan, dtype=np.float32)
    for row, label in zip(inputs, labels):
        n = rng.integers(9, 13)
        row[:, :n] = (2 * label - 1) * np.linspace(-1, 1, n) + 0.2 * rng.standard_normal((2, n))
    return Dataset(train=ArrayPart(inputs, labels), class_names=("falling", "rising"))


def test_of_digits() -> None:
    data = task.open_task("digits")
    found = {each.name: each for each in baselines.baselines(data)}
    assert list(found) == ["most frequent class", "logistic regression", "extra trees"]
    assert found["most frequent class"].error == data.majority_error
    for name in ("logistic regression", "extra trees"):
        error = found[name].error
        assert error is not None and 0 < error < 0.08
        assert found[name].seconds > 0 and found[name].note == ""


def test_of_series_of_variable_length() -> None:
    data = task.open_task("tests.trials.test_baselines:ramps")
    assert data.shape.variable
    for each in baselines.baselines(data)[1:3]:
        assert each.error is not None and each.error < 0.1, each


def test_minirocket_or_what_is_missing() -> None:
    rocket = baselines.baselines(task.open_task("tests.trials.test_baselines:ramps"))[3]
    assert rocket.name == "MiniRocket"
    if importlib.util.find_spec("aeon") is None:
        assert rocket.error is None and "pip install 'nas-flexconv[tasks]'" in rocket.note
    else:
        assert rocket.error is not None and rocket.error < 0.1


def test_minirocket_is_not_asked_for_series_that_are_too_short() -> None:
    data = task.open_task("tests.trials.test_baselines:ramps")
    short = replace(data, shape=replace(data.shape, extent=(8,)))
    short = replace(
        short, **{part: replace(getattr(data, part), extent=(8,)) for part in ("train", "select", "report")}
    )
    rocket = baselines.baselines(short)[3]
    assert rocket.error is None and rocket.note == "needs series of 9 steps or more"


def test_large_tasks_are_cut_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "ROWS", 200)
    data = task.open_task("digits")
    found = baselines.baselines(data)[2]
    rows = len(data.select) + len(data.report)
    said = f"fitted to 200 of {len(data.train)} rows"
    assert found.note == (said if rows <= 200 else f"{said}, scored on 200 of {rows} validation rows")
    assert found.error is not None and found.error < 0.2


def test_the_report_half_is_scored_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are right on the select half only; the test rows are not opened."""
    data = task.open_task("digits@rows=300")
    select, report = data.select.labels, data.report.labels

    def answers(inputs: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
        assert len(asked) == len(select) + len(report)
        assert np.array_equal(asked, np.concatenate([data.select.inputs, data.report.inputs]))
        return np.concatenate([select, (report + 1) % 10])

    monkeypatch.setattr(baselines, "_trees", answers)
    most_frequent, _, trees = baselines.baselines(data)
    assert trees.report_error == 1.0 and trees.error == len(report) / (len(select) + len(report))
    answer = np.bincount(data.train.labels).argmax()
    assert most_frequent.report_error == np.mean(report != answer)


def test_one_that_breaks_says_why_and_the_others_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> np.ndarray:
        raise MemoryError("no room\nfor it")

    monkeypatch.setattr(baselines, "_logistic", broken)
    _, logistic, trees = baselines.baselines(task.open_task("digits@rows=300"))
    assert logistic.error is None and logistic.report_error is None
    assert logistic.note == "MemoryError: no room for it" and trees.report_error is not None


def test_the_same_every_time() -> None:
    data = task.open_task("digits@rows=300")
    errors = [[each.error for each in baselines.baselines(data)] for _ in range(2)]
    assert errors[0] == errors[1]
