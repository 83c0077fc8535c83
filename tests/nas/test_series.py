"""Tasks that differ in one thing make a series; finalists at other rates are all counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.efficiency import Comparison, compare_records
from nas.figures import all_figures
from nas.report import ReportContext, render_markdown
from nas.report_html import render_html
from nas.report_series import rate_table, series_tables
from tests.nas.builders import PLAN, around, population, record, seeds, spread
from trials.record import AtRate, TrialRecord
from trials.reference import Task


def on(task: Task, records: list[TrialRecord], rows: int = 1000) -> list[TrialRecord]:
    """The same records of another task."""
    return [
        replace(
            each,
            trial=replace(each.trial, task=task, study=replace(each.trial.study, task=task.name)),
            rows_train=rows,
        )
        for each in records
    ]


def shares(*more: TrialRecord) -> Comparison:
    """A tenth, half and all of the training rows, given in another order; and what is no part of it."""
    records = []
    for share, error in ((1.0, 0.1), (0.1, 0.3), (0.5, 0.2)):
        task = Task(source="digits", fraction=share)
        records += on(task, seeds(around(error)) + seeds(around(0.25), "twin_7x7"), int(1000 * share))
        records += on(task, population(spread(error)), int(1000 * share))
    records += on(Task(source="digits", split=1), seeds(around(0.1)))
    records += on(Task(source="speech", fraction=0.5), seeds(around(0.1)))
    return compare_records([*records, *more], PLAN)


def test_tasks_that_differ_in_the_share_of_rows_are_a_series() -> None:
    (series,) = shares().series
    assert (series.dataset, series.by) == ("digits", "fraction")
    single, twin, default = series.lines
    assert (single.space, single.of) == ("flexconv", "seeds")
    assert [(p.at, p.n) for p in single.points] == [(100.0, 5), (500.0, 5), (1000.0, 5)]
    assert [p.error for p in single.points] == pytest.approx([0.3, 0.2, 0.1])
    assert all(p.sd == pytest.approx(0.00158, rel=0.01) for p in single.points)
    assert default.space == "twin_7x7" and twin.of == "expected best of 20"
    task = next(t for t in shares().tasks if t.task == "digits@fraction=0.5")
    best = next(b.error.value for b in task.spaces[0].best_of if b.n == 20)
    assert twin.points[1].error == best and twin.points[1].sd is None


def test_finalists_stand_for_a_space_where_every_task_has_some() -> None:
    finalists = []
    for share, error in ((1.0, 0.11), (0.1, 0.31), (0.5, 0.21)):
        task = Task(source="digits", fraction=share)
        (searched,) = on(task, [record(error=0.4, kind="search")], int(1000 * share))
        made = [
            record(
                number=i,
                error=error + 0.01 * i,
                kind="finalist",
                seed=100 + i,
                architecture=searched.trial.architecture,
                test_error=0.5,
                selected_from=searched.trial.id,
            )
            for i in range(2)
        ]
        finalists += [searched, *on(task, made, int(1000 * share))]
    twin = shares(*finalists).series[0].lines[1]
    assert twin.of == "finalists" and [p.n for p in twin.points] == [2, 2, 2]
    assert [p.error for p in twin.points] == pytest.approx([0.315, 0.215, 0.115])
    assert shares(*finalists[:6]).series[0].lines[1].of == "expected best of 20"


@pytest.mark.parametrize(
    ("by", "values", "at"),
    [("resolution", (28, 7, None), (7.0, 28.0, None)), ("rate", (8000.0, 4000.0), (4000.0, 8000.0))],
)
def test_resolutions_and_rates_are_in_order_and_the_datas_own_is_last(
    by: str, values: tuple[float | None, ...], at: tuple[float | None, ...]
) -> None:
    records = []
    for value in values:
        records += on(Task(source="digits", **{by: value}), seeds(around(0.1)))
    comparison = compare_records(records, PLAN)
    (series,) = comparison.series
    assert series.by == by and tuple(p.at for p in series.lines[0].points) == at
    (table,) = series_tables(comparison).values()
    assert table.head[1:] == tuple("as the data" if each is None else f"{each:g}" for each in at)


def test_tasks_that_differ_in_two_things_are_none() -> None:
    records = on(Task(source="digits", fraction=0.5, split=1), seeds(around(0.1)))
    records += on(Task(source="digits"), seeds(around(0.1)))
    assert compare_records(records, PLAN).series == ()


def test_the_report_shows_a_series_as_table_and_figure() -> None:
    comparison = shares()
    figure = all_figures(comparison)["series-1"]
    rows = [row for row in figure.rows if row[1] == "flexconv"]
    assert [row[2] for row in rows] == [100.0, 500.0, 1000.0]
    assert [row[3] for row in rows] == pytest.approx([30.0, 20.0, 10.0])
    assert rows[0][4] == pytest.approx(30.0 - 0.158, abs=1e-3)  # one sd, in points
    page, text = (
        render_html(comparison, ReportContext(run="x")),
        render_markdown(comparison, ReportContext(run="x")),
    )
    assert "Tasks that differ in one thing" in page and figure.title in page
    assert "| FlexConv, seeds | 30.0 % ± 0.2 (n = 5) | 20.0 % ± 0.2 (n = 5) |" in text
    usual = compare_records(seeds(around(0.1)), PLAN)
    assert "Tasks that differ" not in render_html(usual, ReportContext(run="x"))


def test_finalists_at_other_rates_are_compared_with_themselves() -> None:
    looks = [(0.30, None), (0.34, 0.5), (None, 0.6)]
    finalists = [
        replace(
            record("flexconv", i, 0.1 + 0.02 * i, kind="finalist", test_error=0.2),
            at_rates=(AtRate(rate=2.0, error=double, reason="out of memory"), AtRate(rate=0.5, error=half)),
        )
        for i, (half, double) in enumerate(looks)
    ]
    task = compare_records(finalists, PLAN).tasks[0]
    low, high = task.other_rates
    assert (low.rate, low.n, low.without, low.reason) == (0.5, 2, 1, "")
    assert low.error == pytest.approx(0.32) and low.as_trained == pytest.approx(0.11)
    assert low.sd == pytest.approx(0.04 / 2**0.5)
    assert (high.rate, high.n, high.without, high.reason) == (2.0, 2, 1, "out of memory")
    assert rate_table(task).rows[1] == (
        "FlexConv",
        "2x",
        "13.0 %",
        "55.0 % ± 7.1 (n = 2)",
        "1 finalist: out of memory",
    )


def test_forms_of_one_dataset_are_series_of_their_own() -> None:
    records = []
    for source in ("digits", "digits_sequence"):
        for rows in (500, 1000):
            records += on(Task(source=source, rows=rows), seeds(around(0.1)))
    found = compare_records(records, PLAN).series
    assert [(each.dataset, each.by, len(each.lines[0].points)) for each in found] == [
        ("digits", "rows", 2),
        ("digits_sequence", "rows", 2),
    ]
