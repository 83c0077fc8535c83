"""Two budgets: long trials come last, differ in epochs alone, enter nothing else, and say what B predicts."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from nas.comparison import compare
from nas.config import SearchConfig
from nas.efficiency import compare_records
from nas.efficiency.estimators import rank_correlation
from nas.report import ReportContext, render_markdown
from nas.report_html import render_html
from nas.showing import trials_table
from tests.nas.builders import PLAN, design, full_run, population, record, seeds
from tests.nas.runs import SMALL, TRIALS, drive, records_of, schedule_of
from trials.recipe import LONG, STANDARD
from trials.record import Trial, TrialRecord

LENGTHENED = STANDARD.lengthened(LONG)
CONFIG = replace(SMALL, long=3)
CONTEXT = ReportContext(run="budgets")


def long(errors: list[float], space: str = "twin", **more: object) -> list[TrialRecord]:
    """Long trials of the designs that `population` gives, or of one design over seeds."""
    made = population if space == "twin" else seeds
    return made(errors, space, kind="long", recipe=LENGTHENED, **more)


def test_only_the_epochs_are_longer() -> None:
    assert STANDARD.lengthened(4) == replace(STANDARD, epochs=80)


def test_the_rank_correlation_is_scipys_and_its_interval_that_of_bonett_and_wright() -> None:
    a = np.array([0.10, 0.20, 0.20, 0.40, 0.35, math.inf, 0.50, 0.60, math.inf])
    b = np.array([0.12, 0.11, 0.30, 0.30, 0.20, 0.90, 0.40, math.inf, math.inf])
    found = rank_correlation(a, b)
    assert found is not None
    r = stats.spearmanr(a, b).statistic
    half = 1.959964 * math.sqrt((1 + r**2 / 2) / 6)
    assert found == pytest.approx((r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)))
    turned = rank_correlation(a, -np.where(np.isfinite(b), b, 1.0))
    assert turned is not None and -1 < turned.low < turned.value < turned.high < 0


def test_ranks_that_all_agree_are_not_certain() -> None:
    up = np.arange(5.0)
    found, turned = rank_correlation(up, up**3), rank_correlation(up, -up)
    assert found is not None and turned is not None
    half = 1.959964 * math.sqrt((1 + 0.9**2 / 2) / 2)  # one exchange of neighbours among 5: r = 0.9
    assert found == pytest.approx((1, math.tanh(math.atanh(0.9) - half), 1))
    assert turned == pytest.approx((-1, -1, -found.low))
    assert rank_correlation(up[:3], up[:3]) is None
    assert rank_correlation(up, np.zeros(5)) is None


def test_long_trials_are_the_first_designs_again_and_come_last(tmp_path: Path) -> None:
    schedule = schedule_of(CONFIG, tmp_path)
    trials = drive(schedule)
    kinds = [trial.study.kind for trial in trials]
    assert kinds.index("long") == TRIALS  # everything else was handed out before
    longs = trials[TRIALS:]
    assert Counter(t.study.space for t in longs) == {
        "twin": 3,
        "flexconv": 2,  # no more than its seeds
        "twin_3x3": 2,
        "twin_7x7": 2,
    }
    drawn = {t.number: t for t in trials if t.study.space == "twin" and t.study.kind == "population"}
    for trial in [t for t in longs if t.study.space == "twin"]:
        short = drawn[trial.number]
        assert trial.architecture == short.architecture
        assert trial.seed != short.seed
        assert trial.recipe == short.recipe.lengthened(4)
    assert all(len(records_of(schedule)[trial.id].curve) == 4 * 3 for trial in longs)
    assert schedule_of(SMALL, tmp_path / "none").total == TRIALS


def test_a_driver_killed_in_a_long_trial_goes_on_with_it(tmp_path: Path) -> None:
    undisturbed = schedule_of(CONFIG, tmp_path / "a")
    drive(undisturbed)
    seen: list[Trial] = []

    def kill(trial: Trial) -> bool:
        seen.append(trial)
        return len(seen) == TRIALS + 2

    drive(schedule_of(CONFIG, tmp_path / "b"), until=kill)
    resumed = schedule_of(CONFIG, tmp_path / "b", resume=True)
    assert drive(resumed)[0] == seen[-1]
    assert {name: (r.trial, r.curve) for name, r in records_of(resumed).items()} == {
        name: (r.trial, r.curve) for name, r in records_of(undisturbed).items()
    }


def test_a_run_with_long_trials_reports_both_budgets(tmp_path: Path) -> None:
    config = replace(CONFIG, population=8, long=6)
    drive(schedule_of(config, tmp_path))
    (task,) = compare(tmp_path).tasks
    twin = next(each for each in task.budgets if each.space == "twin")
    assert (twin.designs, twin.short.epochs, twin.long.epochs) == (6, 3, 12)
    assert twin.correlation is not None
    assert [each.space for each in task.budgets] == ["flexconv", "twin", "twin_3x3", "twin_7x7"]
    for name in ("report.md", "report.html", "report.json"):
        text = (tmp_path / name).read_text()
        assert "budgets" in text and ("4B is 12;" in text or '"epochs": 12' in text)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(trials_table(tmp_path))
    assert ".population." in (shown := console.export_text()) and ".long." not in shown


def test_four_times_the_epochs_are_for_long_trials_alone() -> None:
    usual = seeds([0.1, 0.11]) + population([0.1, 0.2])
    compare_records(usual + long([0.05, 0.1]), PLAN)
    for wrong, rule, epochs in (
        (record(number=9, recipe=LENGTHENED), "in one task", 80),
        (record("flexconv", kind="finalist", test_error=0.1, recipe=LENGTHENED), "in one task", 80),
        (record(kind="long", recipe=STANDARD.lengthened(3)), r"in one task \(4 times as many .*\)", 60),
        (record(kind="long", recipe=STANDARD), r"in one task \(4 times as many in long trials\)", 20),
    ):
        said = rf"epochs must be the same {rule}, got (20 in .* and {epochs}|{epochs} in .* and 20) in"
        with pytest.raises(ValueError, match=said):
            compare_records([*usual, wrong], PLAN)
    for changed in ({"batch_size": 32}, {"warmup": 0.2}, {"learning_rate": 0.5}):
        wrong = record(kind="long", recipe=replace(LENGTHENED, **changed))
        with pytest.raises(ValueError, match=f"{next(iter(changed))} must be the same"):
            compare_records([*usual, wrong], PLAN)


def test_long_trials_enter_nothing_else() -> None:
    usual = full_run(("mnist5k",))
    more = long([0.001] * 30, task="mnist5k") + long([0.001] * 5, "flexconv", task="mnist5k")
    without, found = compare_records(usual, PLAN), compare_records(usual + more, PLAN)
    (task,) = found.tasks
    assert len(task.budgets) == 2
    before = without.tasks[0]
    same = replace(task, budgets=(), budget_pairs=(), notes=before.notes, sentences=before.sentences)
    assert same == without.tasks[0]
    assert found.settings == without.settings
    assert ("long", 35) in [(count.kind, count.trials) for count in found.counts]


def test_budgets_pair_first_trainings_by_design_and_keep_failures() -> None:
    short = population([0.1, 0.2, 0.3, 0.4, math.inf]) + [record(number=9, error=0.9, architecture=design(0))]
    again = long([0.12, 0.05, 0.3, math.inf, math.inf])
    alone = record(number=7, kind="long", recipe=LENGTHENED, architecture=design(77))  # no training at B
    (task,) = compare_records([*seeds([0.1, 0.11]), *short, *again, alone], PLAN).tasks
    (twin,) = task.budgets
    assert twin.designs == 5
    assert (twin.short.trainings, twin.short.failed) == (3, 1)  # the fourth failed at 4B
    assert (twin.long.trainings, twin.long.failed) == (3, 2)
    assert twin.short.mean == pytest.approx(0.2) and twin.short.sd == pytest.approx(0.1)
    assert twin.long.mean == pytest.approx(0.47 / 3)
    assert (twin.short.best, twin.long.best) == (0.1, 0.05)
    assert twin.correlation == pytest.approx(stats.spearmanr([1, 2, 3, 4, 5], [2, 1, 3, 4.5, 4.5])[0])


def test_the_best_at_both_is_of_the_same_designs() -> None:
    records = [*seeds([0.1, 0.11]), *population([0.05, 0.2, 0.3]), *long([math.inf, 0.2, 0.25])]
    (task,) = compare_records(records, PLAN).tasks
    assert (task.budgets[0].short.best, task.budgets[0].long.best) == (0.2, 0.2)
    text = render_markdown(compare_records(records, PLAN), CONTEXT)
    assert "| twin (n = 3) | 25.0 % ± 7.1 (n = 2) | 22.5 % ± 3.5 (n = 2, 1 failed) | 20.0 % |" in text
    assert "those whose trainings at both ended" in text


def test_long_trials_of_no_design_of_the_population_say_nothing() -> None:
    alone = record(number=7, kind="long", recipe=LENGTHENED, architecture=design(77))
    (task,) = compare_records([*seeds([0.1, 0.11]), *population([0.1, 0.2]), alone], PLAN).tasks
    assert task.budgets == () and not any("predict" in note for note in task.notes)


@pytest.mark.parametrize(
    ("at_b", "at_4b", "why"),
    [
        ([0.1, 0.2, 0.3, 0.4], [math.inf] * 4, "all 4 long trials failed"),
        ([math.inf] * 4, [0.1, 0.2, 0.3, 0.4], "all 4 trials failed"),
        ([0.1, 0.2, 0.3, 0.4], [0.1] * 4, "n = 4, all of one error"),
    ],
)
def test_why_nothing_is_predicted_is_said(at_b: list[float], at_4b: list[float], why: str) -> None:
    records = [*seeds([0.1, 0.11]), *population(at_b), *long(at_4b)]
    (task,) = compare_records(records, PLAN).tasks
    assert any(note.endswith(f"twin designs trained at both: {why}.") for note in task.notes)


def test_the_best_is_picked_on_select_and_shown_on_report() -> None:
    short = [record(number=i, error=e, report_error=r) for i, (e, r) in enumerate([(0.1, 0.4), (0.2, 0.3)])]
    (task,) = compare_records([*seeds([0.1, 0.11]), *short, *long([0.1, 0.2])], PLAN).tasks
    assert task.budgets[0].short.best == 0.4
    assert task.budgets[0].short.mean == pytest.approx(0.35)


def notes_of(at_b: list[float], at_4b: list[float]) -> str:
    records = seeds([0.1, 0.11]) + population(at_b) + long(at_4b) + long([0.05, 0.07], "flexconv")
    comparison = compare_records(records, PLAN)
    for text in (render_markdown(comparison, CONTEXT), render_html(comparison, CONTEXT)):
        assert "B is 20 epochs, 4B is 80;" in text
        assert all(note in text for note in comparison.tasks[0].notes)
    assert "| FlexConv | 10.5 % ± 0.7 (n = 2) | 6.0 % ± 1.4 (n = 2) | – | – | – |" in render_markdown(
        comparison, CONTEXT
    )
    return "\n".join(comparison.tasks[0].notes)


def test_ranks_that_change_are_said_and_ranks_that_stay_are_not() -> None:
    up = [0.1 + i / 100 for i in range(8)]
    assert "predict" not in notes_of(up, up)
    r = stats.spearmanr(up, turned := [*up[4:], *up[:4]]).statistic
    assert (
        f"B (epochs: 20) does not predict 4B (80) on this task: ranks of twin designs correlate by "
        f"{r:.2f} [" in notes_of(up, turned)
    )
    assert "(Spearman, n = 8), below 0.6." in notes_of(up, turned)
    swapped = [up[i] for i in (3, 0, 1, 2, 7, 4, 5, 6)]  # 0.71
    assert "predict" not in notes_of(up, swapped)
    near = [up[i] for i in (5, 0, 1, 2, 7, 3, 4, 6)]
    assert 0.4 < stats.spearmanr(up, near).statistic < 0.59
    assert "The interval holds 0.6: more designs may say otherwise." in notes_of(up, near)
    assert "Cannot say whether B predicts 4B on this task: twin designs trained at both: n = 3" in notes_of(
        up[:3], up[:3]
    )


def test_no_more_designs_are_trained_long_than_are_drawn() -> None:
    with pytest.raises(ValueError, match="long must be at most the population, got 5"):
        SearchConfig(name="x", tasks=("digits",), population=4, long=5)
