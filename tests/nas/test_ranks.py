"""Signs by interval, and rank tests from ten datasets on: against scipy, enumeration and hand calculation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from nas.efficiency import compare_records
from nas.efficiency.ranks import rank_tests, ranked, sign_counts
from tests.nas.builders import PLAN, around, seeds
from tests.nas.coverage_across import false_positives
from tests.nas.test_transfer import on
from trials.record import TrialRecord

Runs = dict[str, dict[str, list[np.ndarray]]]


def runs_at(levels: dict[str, list[float]]) -> tuple[Runs, list[str], dict[str, str]]:
    """Five runs around each level, one per dataset."""
    count = len(next(iter(levels.values())))
    tasks = [f"d{i:02d}" for i in range(count)]
    runs = {
        name: {task: [np.array([e]) for e in around(level)] for task, level in zip(tasks, of)}
        for name, of in levels.items()
    }
    return runs, tasks, {task: task for task in tasks}


def test_signs_are_counted_by_intervals() -> None:
    runs, tasks, datasets = runs_at({"f": [0.1] * 4, "x": [0.12, 0.13, 0.08, 0.101]})
    (count,) = sign_counts("f", runs, tasks, datasets, dict.fromkeys(tasks, 0.0))
    assert (count.other, count.wins, count.losses, count.unclear) == ("x", 2, 1, 1)
    truth = stats.ttest_ind(around(0.12), around(0.1), equal_var=False).confidence_interval()
    difference = count.effects[0].difference
    assert difference is not None
    assert (difference.low, difference.high) == pytest.approx((truth.low, truth.high))


def test_a_dataset_has_the_mean_effect_of_its_tasks() -> None:
    runs, tasks, _ = runs_at({"f": [0.1] * 3, "x": [0.12, 0.16, 0.1]})
    (count,) = sign_counts("f", runs, tasks, {"d00": "a", "d01": "a", "d02": "b"}, dict.fromkeys(tasks, 0.0))
    values = {each.dataset: each.difference.value for each in count.effects if each.difference}
    assert values == pytest.approx({"a": 0.04, "b": 0.0})


def test_one_run_or_a_failed_one_is_no_certain_sign() -> None:
    runs, tasks, datasets = runs_at({"f": [0.1] * 2, "x": [0.3] * 2, "y": [0.05] * 2})
    runs["x"]["d00"] = runs["x"]["d00"][:1]
    runs["y"]["d00"] = [*runs["y"]["d00"], np.array([np.inf])]
    x, y = sign_counts("f", runs, tasks, datasets, dict.fromkeys(tasks, 0.0))
    assert x.effects[0].difference is None and (x.wins, x.unclear) == (1, 1)
    assert y.effects[0].verdict == "cannot say" and (y.losses, y.unclear) == (1, 1)


def test_fewer_than_ten_datasets_get_no_test_whatever_the_number_of_tasks() -> None:
    runs, tasks, datasets = runs_at({"f": [0.1] * 12, "x": [0.2] * 12})
    tests = rank_tests("f", runs, tasks, datasets)
    assert tests is not None and tests.datasets == 12
    assert rank_tests("f", runs, tasks[:9], datasets) is None
    assert rank_tests("f", runs, tasks, {task: str(i // 2) for i, task in enumerate(tasks)}) is None


def test_tests_are_those_of_scipy_with_holm_by_hand() -> None:
    rng = np.random.default_rng(8)
    table = rng.normal(0, 1, (12, 4)) + np.array([0.0, 0.3, 1.0, 1.5])
    tests = ranked(table, ("f", "x", "y", "z"))
    assert tests.friedman == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    raw = [stats.wilcoxon(table[:, i] - table[:, 0]).pvalue for i in (1, 2, 3)]
    assert [pair.p for pair in tests.pairs] == pytest.approx(raw)
    first, second, third = sorted(raw)
    holm = {first: 3 * first, second: max(3 * first, 2 * second)}
    holm[third] = max(holm[second], third)
    assert [pair.holm for pair in tests.pairs] == pytest.approx([min(1.0, holm[p]) for p in raw])
    assert dict(tests.mean_ranks)["f"] == pytest.approx(stats.rankdata(table, axis=1)[:, 0].mean())


def test_the_attainable_level_is_the_least_p_of_all_signs() -> None:
    sizes = np.arange(1.0, 11.0)
    least = min(
        ranked(np.stack([np.zeros(10), np.array(signs) * sizes], axis=1), ("f", "x")).pairs[0].p
        for signs in (tuple(s) for s in product((1, -1), repeat=10) if sum(s) in (10, 8, -10))
    )
    tests = ranked(np.stack([np.zeros(10), sizes], axis=1), ("f", "x"))
    assert least == pytest.approx(tests.attainable) and tests.attainable == 2 / 1024
    assert tests.friedman is None and tests.attainable_holm == tests.attainable


def test_failures_and_equal_errors_are_ranked() -> None:
    table = np.array([[0.1 + 0.01 * i, 0.2 + 0.02 * i] for i in range(10)])
    failing = table.copy()
    failing[3, 1] = np.inf
    assert ranked(failing, ("f", "x")).pairs[0].p == ranked(table, ("f", "x")).pairs[0].p
    same = ranked(np.full((10, 3), 0.1), ("f", "x", "y"))
    assert same.friedman == 1.0 and [pair.holm for pair in same.pairs] == [1.0, 1.0]
    both = np.full((10, 2), np.inf)
    assert ranked(both, ("f", "x")).pairs[0].p == 1.0


@pytest.mark.parametrize(("datasets", "others"), [(10, 2), (15, 4)])
def test_tests_reject_rarely_where_nothing_differs(datasets: int, others: int) -> None:
    found = false_positives(500, np.random.default_rng(4), datasets=datasets, others=others)
    assert max(found) <= 0.065


def many(count: int) -> list[TrialRecord]:
    records: list[TrialRecord] = []
    for i in range(count):
        records += on(f"d{i}", seeds(around(0.1)) + seeds(around(0.13), "twin_3x3"))
        records += on(f"d{i}", seeds(around(0.1 + 0.001 * (-1) ** i), "twin_7x7"))
    return records


def test_the_sentences_carry_n_and_the_attainable_level() -> None:
    few, enough = (compare_records(many(count), PLAN).across for count in (4, 10))
    assert any("4 independent datasets, fewer than 10" in sentence for sentence in few)
    assert not any("Wilcoxon" in sentence for sentence in few)
    (tests,) = [sentence for sentence in enough if "Wilcoxon" in sentence]
    assert "n = 10 datasets" in tests and "Attainable at this n: 0.002, with Holm 0.0039" in tests
    assert "Holm: better than twin_3x3, p = 0.0039." in tests  # twin_7x7 is better and worse by turns
    assert any("better than twin_3x3 on 10, worse on 0, cannot say on 0" in sentence for sentence in enough)
