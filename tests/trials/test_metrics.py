"""Metrics equal scikit-learn's, weighted too; intervals are quick and hold what they say."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from trials import metrics
from trials.record import Interval

pytestmark = pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")
Predicted = tuple[metrics.Ints, NDArray[np.float32]]


def predicted(rows: int, classes: int, *, seed: int = 0, ties: bool = False, skill: float = 1.5) -> Predicted:
    """Labels of unequal frequency and probabilities; with ties these are eighths, many of them 0."""
    rng = np.random.default_rng(seed)
    frequency = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = rng.permutation(np.append(np.arange(classes), rng.choice(classes, rows - classes, p=frequency)))
    logits = rng.normal(size=(rows, classes)) + skill * np.eye(classes)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, (rng.multinomial(8, shares) / 8 if ties else shares).astype(np.float32)


def by_sklearn(
    labels: metrics.Ints, found: NDArray[np.float32], weights: metrics.Floats | None
) -> list[float]:
    """Error, loss, balanced accuracy, AUROC."""
    answers, classes = found.argmax(axis=1), found.shape[1]
    if classes == 2:
        area = roc_auc_score(labels, found[:, 1], sample_weight=weights)
    elif weights is None:
        area = roc_auc_score(labels, found, multi_class="ovr")
    else:  # scikit-learn's takes weights of two classes only
        area = np.mean(
            [roc_auc_score(labels == k, found[:, k], sample_weight=weights) for k in range(classes)]
        )
    clipped = np.maximum(found, metrics.SMALLEST).astype(np.float64)
    return [
        1 - accuracy_score(labels, answers, sample_weight=weights),
        log_loss(labels, clipped, sample_weight=weights),
        balanced_accuracy_score(labels, answers, sample_weight=weights),
        float(area),
    ]


def test_many_rows_of_many_classes_are_resampled_less_often_and_it_is_said() -> None:
    sizes = ((10_000, 10), (10_000, 100), (10_000, 200), (50_000, 1000))
    assert [metrics.affordable(*size) for size in sizes] == [1000, 1000, 500, 200]
    labels, found = predicted(50, 3)
    assert metrics.measure(labels, found).resamples == 1000
    assert metrics.measure(labels, found, resamples=7).resamples == 7


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_equal_to_scikit_learn_with_and_without_weights(classes: int, ties: bool) -> None:
    labels, found = predicted(400, classes, ties=ties)
    ours = metrics.measure(labels, found, resamples=2)
    values = [ours.error, ours.loss, ours.balanced_accuracy, ours.auroc]
    assert values == pytest.approx(by_sklearn(labels, found, None), abs=1e-12)
    drawn = np.random.default_rng(1).multinomial(400, np.full(400, 1 / 400)).astype(np.float64)
    for weights in (drawn, np.random.default_rng(2).random(400)):
        one = np.array(metrics.weighted(labels, found, weights[:, None]))[:, 0]
        assert one == pytest.approx(by_sklearn(labels, found, weights), abs=1e-12)


def test_intervals_are_the_quantiles_of_resampled_rows() -> None:
    labels, found = predicted(300, 3)
    ours = metrics.measure(labels, found, resamples=2000, seed=1)
    rng = np.random.default_rng(5)
    drawn = [rng.integers(300, size=300) for _ in range(400)]
    again = np.array([by_sklearn(labels[rows], found[rows], None) for rows in drawn])
    for column, interval in enumerate(
        (ours.loss_interval, ours.balanced_accuracy_interval, ours.auroc_interval), start=1
    ):
        assert interval is not None
        low, high = np.quantile(again[:, column], (0.025, 0.975))
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.3 * (high - low) / 2)
    same = metrics.measure(labels, found, resamples=2000, seed=1)
    assert same == ours != metrics.measure(labels, found, resamples=2000, seed=2)


def test_nearly_perfect_classifiers_are_not_said_to_be_certain() -> None:
    labels = np.repeat(np.arange(3), 20)
    ours = metrics.measure(labels, (0.7 * np.eye(3)[labels] + 0.1).astype(np.float32))
    assert (ours.error, ours.balanced_accuracy, ours.auroc) == (0.0, 1.0, 1.0)
    assert ours.error_interval == Interval(low=0.0, high=pytest.approx(3.8415 / 63.8415, abs=1e-5))
    assert ours.balanced_accuracy_interval is ours.auroc_interval is ours.loss_interval is None
    for wrong in (9, 10):
        found = np.where(np.arange(60)[:, None] < wrong, 1 / 3, 0.7 * np.eye(3)[labels] + 0.1)
        found[:wrong, 1] += 0.01
        ours = metrics.measure(labels, found)
        assert ours.error == wrong / 60
        assert (ours.balanced_accuracy_interval is None) == (wrong < 10)


def test_classes_without_rows_are_left_out() -> None:
    labels, found = predicted(200, 3)
    wider = np.insert(found, (1, 3), 0.0, axis=1)  # classes 1 and 4 of five have no rows
    ours, three = metrics.measure(np.array([0, 2, 3])[labels], wider), metrics.measure(labels, found)
    assert ours == three
    alone = metrics.measure(np.zeros(5, np.int64), np.full((5, 2), 0.5, np.float32))
    assert (alone.auroc, alone.auroc_interval, alone.balanced_accuracy) == (None, None, 1.0)
    rare = metrics.measure(np.array([0] * 15 + [1] + [0] * 15), np.linspace((0.9, 0.1), (0.2, 0.8), 31))
    assert rare.auroc == pytest.approx(0.5) and rare.auroc_interval is not None  # a third lack class 1


def test_a_wrong_answer_of_certainty_costs_a_finite_loss() -> None:
    ours = metrics.measure(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert ours.loss == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2)


@pytest.mark.parametrize(
    ("labels", "found", "message"),
    [
        ([], np.zeros((0, 2)), "at least one, got"),
        ([0], np.full((2, 2), 0.5), r"same rows.* got \(1,\) and \(2, 2\)"),
        ([0, 2], np.full((2, 2), 0.5), r"in \[0, 2\).* got 0 to 2"),
        ([0, 1], np.array([[0.5, 0.5], [np.nan, 1.0]]), r"in \[0, 1\], got \[nan, 1.0\] in row 1"),
        ([0, 1], np.array([[0.5, 0.5], [-1.0, 2.0]]), "in row 1"),
    ],
)
def test_what_is_no_prediction_is_refused(labels: list[int], found: metrics.Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.measure(np.array(labels, np.int64), found)


def test_a_thousand_resamples_of_ten_thousand_rows_take_seconds() -> None:
    labels, found = predicted(10_000, 10)
    began = time.process_time()
    metrics.measure(labels, found)
    assert time.process_time() - began < 3  # 0.8 s where it was measured


def test_intervals_cover_the_truth() -> None:
    truth = metrics.measure(*predicted(300_000, 3, seed=99), resamples=2)
    values = [truth.error, truth.loss, truth.balanced_accuracy, truth.auroc]
    held = np.zeros(4)
    for seed in range(200):
        ours = metrics.measure(*predicted(200, 3, seed=seed), resamples=500)
        intervals = (
            ours.error_interval,
            ours.loss_interval,
            ours.balanced_accuracy_interval,
            ours.auroc_interval,
        )
        held += [i is not None and i.low <= value <= i.high for i, value in zip(intervals, values)]
    assert ((held >= 180) & (held <= 198)).all(), held / 200
