"""The transfer matrix and the defaults chosen on the other tasks, against enumeration and by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from nas.efficiency import Comparison, compare_records
from nas.efficiency.elsewhere import chosen_elsewhere
from tests.nas.builders import PLAN, around, compare_one, design, population, record, seeds, spread
from trials.plain import dumps, from_plain
from trials.record import TrialRecord
from trials.reference import Task


def carried(
    errors: Sequence[float],
    task: str,
    source: str,
    by: Literal["taps", "fraction"] = "taps",
    space: str = "twin",
    report: Sequence[float] | None = None,
) -> list[TrialRecord]:
    """Trainings on `task` of the design that was chosen on `source`; infinity is a failed one."""
    found = []
    for i, error in enumerate(errors):
        made = record(
            space,
            i,
            error,
            kind="transfer",
            seed=1000 + i,
            status="completed" if math.isfinite(error) else "failed",
            report_error=report[i] if report else None,
            architecture=design(sum(map(ord, source + by)), space),
            selected_from=f"{source}.{space}.search.0.0001",
        )
        where = Task.parse(task)
        study = replace(made.trial.study, task=where.name, source=source, by=by)
        found.append(replace(made, trial=replace(made.trial, task=where, study=study)))
    return found


def on(task: str, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    where = Task.parse(task)
    return [
        replace(r, trial=replace(r.trial, task=where, study=replace(r.trial.study, task=where.name)))
        for r in records
    ]


def three_tasks() -> list[TrialRecord]:
    """Own best at 10 %, carried by taps at 14, 12 (n = 2) and 16 %, by fraction to b alone at 11 %."""
    records = [r for task in "abc" for r in carried(around(0.10), task, task)]
    records += carried(around(0.14), "b", "a") + carried(around(0.12)[:2], "c", "a")
    records += carried(around(0.11), "b", "a", "fraction")
    records += carried(around(0.16), "a", "b") + carried([0.16, math.inf, 0.16], "c", "b")
    for task in "abc":
        records += on(task, seeds(around(0.105)) + seeds(around(0.13), "twin_3x3"))
    return records


def test_the_matrix_holds_every_cell_with_its_n_and_difference() -> None:
    (matrix,) = compare_records(three_tasks(), PLAN).transfer
    assert (matrix.space, matrix.tasks) == ("twin", ("a", "b", "c"))
    rows = {row.name: row.cells for row in matrix.rows}
    assert list(rows) == [
        "twin from a by taps",
        "twin from a by fraction",
        "twin from b by taps",
        "twin from c by taps",
        "flexconv",
        "twin_3x3",
    ]
    own, there, few = rows["twin from a by taps"]
    assert own is not None and there is not None and few is not None
    assert own.own and own.difference is None and own.seeds == 5
    assert there.error == pytest.approx(0.14) and there.sd == pytest.approx(np.std(around(0), ddof=1))
    truth = stats.ttest_ind(around(0.14), around(0.10), equal_var=False).confidence_interval()
    assert there.difference is not None
    assert (there.difference.low, there.difference.high) == pytest.approx((truth.low, truth.high))
    assert few.descriptive and few.seeds == 2 and not there.descriptive
    assert rows["twin from c by taps"][:2] == (None, None)
    stood_in, own_trials, _ = rows["twin from a by fraction"]
    assert stood_in is not None and stood_in.as_taps and stood_in.own and stood_in.error == own.error
    assert own_trials is not None and not own_trials.as_taps and own_trials.error == pytest.approx(0.11)
    failed = rows["twin from b by taps"][2]
    assert failed is not None and (failed.seeds, failed.failed) == (2, 1)
    assert failed.difference is not None and failed.difference.high is None
    single = rows["flexconv"][0]
    assert single is not None and single.difference is not None
    assert single.difference.value == pytest.approx(0.005)


def test_the_mean_loss_is_over_tasks_and_its_interval_shares_own_best() -> None:
    rng = np.random.default_rng(3)
    draws = {key: rng.normal(0.1, 0.01, 5).tolist() for key in product("abc", "abc")}
    records = [r for (source, task), errors in draws.items() for r in carried(errors, task, source)]
    (matrix,) = compare_records(records, PLAN).transfer
    loss = next(each for each in matrix.losses if each.carried == "taps")
    means = {key: np.mean(errors) for key, errors in draws.items()}
    losses = [np.mean([means[a, b] for a in "abc" if a != b]) - means[b, b] for b in "abc"]
    assert loss.loss.value == pytest.approx(np.mean(losses))
    assert (loss.cells, loss.datasets, loss.failed) == (6, 3, 0)
    weight = {key: (-1 if key[0] == key[1] else 0.5) / 3 for key in draws}
    parts = np.array([(weight[key] ** 2) * np.var(errors, ddof=1) / 5 for key, errors in draws.items()])
    half = stats.t.ppf(0.975, parts.sum() ** 2 / (parts**2 / 4).sum()) * math.sqrt(parts.sum())
    assert loss.loss.high is not None
    assert loss.loss.high - np.mean(losses) == pytest.approx(half)


def test_the_mean_loss_counts_a_dataset_once_and_leaves_failures_open() -> None:
    losses = {loss.name: loss for loss in compare_records(three_tasks(), PLAN).transfer[0].losses}
    by_taps = losses["twin designs by taps"]
    on_c = 0.06  # what ended of the failed cell; that from a has two trainings, one too few
    assert by_taps.loss.value == pytest.approx((0.06 + 0.04 + on_c) / 3)
    assert by_taps.failed == 1 and by_taps.loss.high is None and by_taps.loss.low is not None
    assert losses["twin designs by fraction"].loss.value == pytest.approx((0.06 + 0.01 + on_c) / 3)
    assert losses["flexconv"].loss.value == pytest.approx(0.005)
    again = [r for i in (1, 2) for r in carried(around(0.1), f"a@split={i}", f"a@split={i}")]
    again += [r for i in (1, 2) for r in carried(around(0.4), f"a@split={i}", "a")]  # of one dataset
    again += [r for i in (1, 2) for r in carried(around(0.2), f"a@split={i}", "b")]
    by_taps = compare_records([*three_tasks(), *again], PLAN).transfer[0].losses[0]
    assert by_taps.loss.value == pytest.approx(((0.06 + 0.1 + 0.1) / 3 + 0.04 + on_c) / 3)
    assert (by_taps.datasets, by_taps.cells) == (3, 5)


def test_a_design_that_fails_is_named_rather_than_left_out_of_a_mean() -> None:
    records = [r for r in three_tasks() if (r.trial.study.source, r.trial.study.task) != ("b", "a")]
    records += carried([math.inf, math.inf, 0.1], "a", "b")
    comparison = compare_records(records, PLAN)
    by_taps = comparison.transfer[0].losses[0]
    assert by_taps.left_out == ("a",) and by_taps.datasets == 2
    assert "without a, where trainings failed" in comparison.across[0]


def test_transfer_trials_enter_nothing_else() -> None:
    base = seeds(around(0.1)) + population(spread(0.1))
    extra = carried([0.01] * 5, "digits", "digits")
    (without, space), (with_them, same) = compare_one(base), compare_one(base + extra)
    assert space == same and without == with_them
    assert compare_records(extra, PLAN).tasks[0].verdict == "cannot say"


def test_transfer_trials_are_held_to_the_recipe_and_to_what_they_say() -> None:
    good = carried(around(0.1), "digits", "digits")
    other = replace(good[0].trial.recipe, epochs=7)
    with pytest.raises(ValueError, match="epochs must be the same in one task"):
        compare_records([*good[1:], replace(good[0], trial=replace(good[0].trial, recipe=other))], PLAN)
    stopped = replace(good[0], status="stopped")
    silent = replace(good[1].trial, study=replace(good[1].trial.study, source=""))
    comparison = compare_records([stopped, replace(good[1], trial=silent), *good[2:]], PLAN)
    reasons = " ".join(left.reason for left in comparison.left_out)
    assert "a transfer trial that was stopped early" in reasons and "does not say from which task" in reasons


def brute_force(errors: dict[tuple[str, str, str], float], task: str, tasks: str) -> str:
    """The rule in plain loops, for tasks of different datasets."""
    others = [other for other in tasks if other != task]

    def at(source: str, by: str, where: str) -> float | None:
        return errors.get((source, by, where), errors.get((source, "taps", where)))

    candidates = [
        (source, by)
        for source in others
        for by in ("fraction", "taps")
        if any(key[:2] == (source, by) for key in errors)
        and (at(source, by, task) if by == "fraction" else errors.get((source, by, task))) is not None
    ]
    means = {}
    for mine in candidates:
        ranks = []
        for other in others:
            own = at(*mine, other)
            if own is None:
                ranks.append(float(len(candidates)))
                continue
            known = [e for each in candidates if (e := at(*each, other)) is not None]
            below, same = sum(e < own for e in known), sum(e == own for e in known)
            ranks.append(below + (same + 1) / 2)
        means[mine] = sum(ranks) / len(ranks)
    best = min(means.values())
    return min(f"twin from {source} by {by}" for (source, by), mean in means.items() if mean <= best + 1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_default_of_a_task_is_that_of_an_enumeration(seed: int) -> None:
    """Four tasks, errors with ties, by taps everywhere, by fraction and some cells missing."""
    rng, tasks = np.random.default_rng(seed), "abcd"
    errors = {(t, "taps", t): float(rng.integers(1, 6)) / 10 for t in tasks}
    for source, task in product(tasks, tasks):
        if source != task:
            for by in ("taps", "fraction"):
                if rng.random() < 0.7:
                    errors[source, by, task] = float(rng.integers(1, 6)) / 10
    records = []
    for (source, by, task), error in errors.items():
        assert by in ("taps", "fraction")
        records += carried([error] * 2, task, source, by, report=[0.9, 0.9])
    chosen = {each.task: each for each in chosen_elsewhere(records, PLAN)}
    assert chosen
    for task, each in chosen.items():
        assert each.name == brute_force(errors, task, tasks) and each.source != task


def test_a_default_of_the_other_tasks_judges_the_single_design() -> None:
    """For c: b's design ties with d's on a, is first on b, second on d. There it beats FlexConv."""
    records = [r for task in "abcd" for r in carried(around(0.10), task, task)]
    for source, level in (("a", 0.13), ("b", 0.11), ("d", 0.11)):
        records += [r for task in "abcd" if task != source for r in carried(around(level), task, source)]
    records += [r for task in "abcd" for r in on(task, seeds(around(0.2)) + seeds(around(0.25), "twin_3x3"))]
    comparison = compare_records(records, PLAN)
    task = next(task for task in comparison.tasks if task.task == "c")
    assert [default.space for default in task.defaults] == ["twin_3x3", "twin from b by taps"]
    assert task.defaults[1].verdict == "worse" and task.defaults[1].seeds == 5
    assert (
        "The default chosen on the other tasks (twin design of b, carried by taps, of 3 candidates on 3 "
        "tasks; 5 seeds, best of 2 defaults by select error) is 9.0 points better"
    ) in task.sentences[0]
    chosen = next(each for each in comparison.chosen if each.task == "c")
    assert (chosen.candidates, chosen.tasks) == (3, ("a", "b", "d"))
    assert chosen.rank == pytest.approx((2.5 + 1 + 2) / 3)  # the design of d has the same by symmetry
    assert from_plain(Comparison, json.loads(dumps(comparison))) == comparison


def test_a_default_is_not_chosen_on_the_same_rows_in_another_form() -> None:
    levels = {"digits": 0.1, "digits_sequence": 0.2, "mnist5k": 0.3}
    records = [r for a in levels for b, level in levels.items() for r in carried(around(level), a, b)]
    found = {each.task: each for each in chosen_elsewhere(records, PLAN)}
    for task in ("digits", "digits_sequence"):
        assert (found[task].source, found[task].candidates, found[task].tasks) == ("mnist5k", 1, ("mnist5k",))
    assert (found["mnist5k"].candidates, found["mnist5k"].tasks) == (2, ("digits", "digits_sequence"))
    alone = [r for r in records if "mnist5k" not in (r.trial.study.task, r.trial.study.source)]
    assert chosen_elsewhere(alone, PLAN) == ()


def test_a_default_is_not_chosen_on_other_splits_of_its_own_dataset() -> None:
    records = [r for i in (0, 1) for r in carried(around(0.1), f"a@split={i}", "a")]
    assert chosen_elsewhere(records, PLAN) == ()
    records += carried(around(0.1), "b", "b") + carried(around(0.1), "a", "b")
    assert {(each.task, each.name) for each in chosen_elsewhere(records, PLAN)} == {
        ("a", "twin from b by taps")
    }
