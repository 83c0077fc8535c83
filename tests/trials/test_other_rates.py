"""A network at other sampling rates: as before at its own, and what does not fit is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search_spaces import SPACES
from search_spaces.network import build
from tests.trials.examples import ringing
from trials.evaluation import REPEATS, WARM_UP, latency, score
from trials.loading import Loader
from trials.other_rates import errors_at_rates, resampled
from trials.task import ReportRows, TaskData, open_task

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits@rows=200")


def network(task: TaskData, space: str = "flexconv") -> torch.nn.Module:
    drawn = SPACES[space](task.shape)
    return build(drawn.decode(drawn.sample(np.random.default_rng(0))), task.shape)


def test_at_its_own_rate_nothing_changes(digits: TaskData) -> None:
    model = network(digits)
    as_trained = score(model, Loader(digits.report, digits, CPU)).error
    (found,) = errors_at_rates(model, digits, (1.0,), CPU)
    assert found.error == as_trained and found.reason == ""
    assert np.array_equal(resampled(digits.report, 1.0).inputs, digits.report.inputs)


def test_images_get_their_samples_and_keep_their_labels(digits: TaskData) -> None:
    for rate, size in ((0.5, 4), (2.0, 16)):
        rows = resampled(digits.report, rate)
        assert rows.extent == (size, size) and rows.inputs.shape == (len(digits.report), 1, size, size)
        assert np.array_equal(rows.labels, digits.report.labels)
        assert rows.inputs.mean() == pytest.approx(digits.report.inputs.mean(), rel=0.05)
    found = errors_at_rates(network(digits), digits, (0.5, 2.0), CPU)
    assert [each.rate for each in found] == [0.5, 2.0]
    assert all(each.error is not None and 0 <= each.error <= 1 for each in found)


def test_series_end_where_they_ended() -> None:
    part = ringing().validation
    assert part is not None
    series = part.decoded(np.arange(4)).inputs
    rows = ReportRows(series, np.arange(4), np.zeros(4, int), (40,))
    lengths = np.isfinite(rows.inputs[:, 0]).sum(axis=1)
    doubled = resampled(rows, 2.0)
    assert doubled.extent == (80,)
    assert np.array_equal(np.isfinite(doubled.inputs[:, 0]).sum(axis=1), 2 * lengths)
    assert np.nanmax(np.abs(doubled.inputs[:, :, 6:-6:2] - rows.inputs[:, :, 3:-3])) < 0.1  # old samples stay


@pytest.mark.parametrize(("rate", "rule"), [(0.3, "whole number of samples"), (0.125, "grids nest")])
def test_a_rate_that_does_not_fit_is_no_error_of_the_finalist(
    digits: TaskData, rate: float, rule: str
) -> None:
    (found,) = errors_at_rates(network(digits), digits, (rate,), CPU)
    assert found.error is None and rule in found.reason


def test_latency_is_the_median_of_the_passes_after_warming_up(digits: TaskData) -> None:
    class Counted(torch.nn.Module):
        passes = 0

        def forward(self, row: torch.Tensor) -> torch.Tensor:
            assert row.shape == (1, 1, 8, 8) and not self.training
            self.passes += 1
            return row

    model = Counted()
    row, _ = next(Loader(digits.report, digits, CPU).in_order(1))
    assert 0 < latency(model, row) < 0.1
    assert model.passes == WARM_UP + REPEATS
