"""Tables and figure of populations in parts: they say what the results hold, and what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.efficiency import Plan, TaskComparison, compare_records
from nas.efficiency.words import number
from nas.figures import figures_of
from nas.report import ReportContext, render_markdown
from nas.report_folds import folds
from nas.report_html import render_html
from nas.report_tables import Table, efficiency_table
from search_spaces.architecture import Architecture
from tests.nas.builders import population, record, seeds
from trials.record import TrialRecord

PLAN = Plan(single="flexconv", searched=("twin", "cell"), budget=20)


def searched(space: str, scale: float, count: int = 120) -> list[TrialRecord]:
    """Designs with one kernel choice that matters and weights of 1 and 3; the first failed."""
    rng, made = np.random.default_rng(len(space)), []
    for i in range(count):
        kernel = (3, 5, 7)[i % 3]
        error = 0.3 - 0.02 * kernel + rng.normal(0, 0.01)
        adds = int(scale * 10 ** rng.uniform(5, 6))
        one = record(space, i, error, multiply_adds=adds, status="completed" if i else "failed")
        trial = replace(one.trial, values={"kernel_1": kernel, "width": i % 2}, weight=1.0 + 2 * (i % 2))
        made.append(replace(one, trial=replace(trial, architecture=Architecture.of(space, n=i))))
    return made


@pytest.fixture(scope="module")
def task() -> TaskComparison:
    single = seeds([0.18, 0.19, 0.2, 0.21, 0.22], multiply_adds=400_000, seconds=55.0)
    records = [*single, *searched("twin", 1.0), *searched("cell", 2.0)]
    return compare_records(records, PLAN, {("digits", "twin"): 3125}).tasks[0]


def in_parts(task: TaskComparison) -> dict[str, Table]:
    """The tables of a task's populations, which are folded away together."""
    return folds(task)[-1].tables


def test_parts_of_every_population_have_a_row(task: TaskComparison) -> None:
    rows = {row[0]: row for row in in_parts(task)["laws"].rows}
    assert len(rows) == 2 * (1 + 3 + 2)
    whole, without = rows["twin: all designs"], rows["twin: without kernel size 7"]
    assert whole[1] == "120, 1 failed" and without[1] == "80, 1 failed"
    assert float(whole[3]) == pytest.approx(480**2 / (60 * 1 + 60 * 9) / 2 / 2, rel=0.01)
    assert float(whole[2].split()[0]) > float(without[2].split()[0].removeprefix("≤") or 0)
    assert whole[5].count(",") == 4 and without[5] == "–"


def test_every_part_of_the_results_is_in_page_and_markdown(task: TaskComparison) -> None:
    comparison = compare_records([], PLAN)
    comparison = replace(comparison, tasks=(task,))
    for text in (
        render_html(comparison, ReportContext(run="x")),
        render_markdown(comparison, ReportContext(run="x")),
    ):
        for words in (
            "The populations in parts",
            "without kernel size 5",
            "by multiply-adds",
            "2 trainings",
            "kernel_1",
        ):
            assert words.replace("_", "&#95;") in text or words in text, words


def test_the_normalised_figure_draws_the_weighted_distribution(task: TaskComparison) -> None:
    figures = figures_of(task, 1)
    figure = figures["01.digits.normalised"]
    last = [row for row in figure.rows if row[1] == "cell"][-1]
    found = next(s for s in task.normalised[0].spaces if s.space == "cell")
    assert last[3] == found.shares[-1]
    assert f"from {number(task.normalised[0].low)} to" in figure.caption
    assert task.normalised[1].reason == "the common support is a single value"


def test_bits_and_even_chance_stand_in_the_main_table(task: TaskComparison) -> None:
    table = efficiency_table(task)
    bits, even = table.head.index("bits"), table.head.index("for an even chance")
    rows = {row[0].split(" ")[0]: row for row in table.rows}
    assert (rows["FlexConv"][bits], rows["twin"][bits], rows["cell"][bits]) == ("0.0", "11.6", "–")
    assert task.spaces[0].chance is not None
    assert rows["twin"][even].startswith(f"{task.spaces[0].chance.designs_even.value:.3g} [")


def test_without_the_single_design_only_what_needs_none_is_shown() -> None:
    found = compare_records(searched("twin", 1.0), PLAN).tasks[0]
    tables = in_parts(found)
    assert set(tables) == {"laws", "importance"}
    assert {row[2] for row in tables["laws"].rows} == {"–"}
    assert in_parts(compare_records(population([0.1]), PLAN).tasks[0]).keys() == {"laws"}


def test_the_populations_of_controls_are_taken_apart_like_those_of_searched_spaces() -> None:
    plan = Plan(single="flexconv", searched=("twin",), controls=("cell",), budget=20)
    single = seeds([0.18, 0.19, 0.2, 0.21, 0.22], multiply_adds=400_000)
    found = compare_records([*single, *searched("twin", 1.0), *searched("cell", 2.0)], plan).tasks[0]
    (control,) = found.controls
    assert control.laws is not None and control.importance and control.equal_cost
    assert found.normalised == ()  # of searched spaces only: controls may lie at one cost
    assert "cell: all designs" in [row[0] for row in in_parts(found)["laws"].rows]
