"""What the report shows across tasks: sentences, tables, figures and their numbers; names stay text."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from nas.efficiency import Comparison, compare_records
from nas.figures import all_figures
from nas.report import ReportContext, render_markdown
from nas.report_across import across_tables, transfer_table
from nas.report_html import render_html
from tests.nas.builders import PLAN, around, seeds
from tests.nas.test_aggregates import REFERRED, some_tasks
from tests.nas.test_transfer import carried, on, three_tasks

CONTEXT = ReportContext(run="across")
HOSTILE = "<script>alert('x')</script> | [b](c) $x_1$"


def whole() -> Comparison:
    """Two evaluation tasks and a development task, with transfer between all."""
    records = some_tasks("a", "b", "dev")
    for task in ("a", "b", "dev"):
        for source in ("a", "b", "dev"):
            records += carried(around(0.2 if source == task else 0.26), task, source)
    return compare_records(records, REFERRED)


def test_the_page_and_the_markdown_hold_the_sentences_and_tables() -> None:
    comparison = whole()
    page, markdown = render_html(comparison, CONTEXT), render_markdown(comparison, CONTEXT)
    assert page.index("Across tasks") < page.index('<section id="task-1">')
    assert set(across_tables(comparison)) == {
        f"00.across.{name}" for name in ("transfer.twin", "defaults", "aggregate", "effects", "references")
    }
    for sentence in comparison.across:
        assert sentence.replace("'", "&#x27;") in page and sentence in markdown
    for name, table in across_tables(comparison).items():
        assert f'download="{name}.csv"' in page and table.rows[0][0] in markdown
    assert "nan" not in re.sub(r"base64,\S+", "", page).lower()


def test_the_matrix_says_what_each_cell_rests_on() -> None:
    table = across_tables(compare_records(three_tasks(), replace(PLAN, development=("c",))))
    rows = {row[0]: row for row in table["00.across.transfer.twin"].rows}
    assert table["00.across.transfer.twin"].head == ("design", "a", "b", "c (development)")
    own, there, few = rows["twin from a by taps"][1:]
    assert own == "10.0 % ± 0.2 (n = 5; own best)"
    assert re.fullmatch(r"14\.0 % ± 0\.2 \(n = 5; \+4\.0 \[3\.\d, 4\.\d\]\)", there)
    assert "n = 2, descriptive; +1.8 [" in few
    assert rows["twin from a by fraction"][1] == "as by taps"
    assert rows["twin from c by taps"][1:3] == ("–", "–")
    caption = table["00.across.transfer.twin"].caption
    assert "As by taps: no trials" in caption and "descriptive" in caption and "–: not trained" in caption
    (matrix,) = compare_records(three_tasks(), PLAN).transfer
    ours = [replace(row, cells=row.cells[:1]) for row in matrix.rows if row.name == "twin from a by taps"]
    plain = transfer_table(replace(matrix, tasks=("a",), rows=tuple(ours)), ())
    assert "As by taps" not in plain.caption and "descriptive" not in plain.caption
    assert "n = 2, 1 failed, descriptive" in rows["twin from b by taps"][3]
    assert rows["FlexConv"][1].startswith("10.5 %")


def test_figures_over_tasks_are_xml_with_every_number_in_their_rows() -> None:
    figures = {name: f for name, f in all_figures(whole()).items() if name.startswith("00.across.")}
    assert set(figures) == {"00.across.transfer.twin", "00.across.profiles"}
    for figure in figures.values():
        ElementTree.fromstring(figure.svg)
        assert figure.finding and figure.rows and len(figure.rows[0]) == len(figure.head)
    matrix = figures["00.across.transfer.twin"]
    assert len(matrix.rows) == 9 + 3 + 3  # cells of the designs carried, of FlexConv and of a default
    assert ">+6.0<" in matrix.svg and ">own best<" in matrix.svg
    assert all_figures(whole()) == all_figures(whole())


def test_names_stay_text() -> None:
    records = [r for t in (HOSTILE, "b") for s in (HOSTILE, "b") for r in carried(around(0.1), t, s)]
    records += [r for t in (HOSTILE, "b") for r in on(t, seeds(around(0.2)))]
    comparison = compare_records(records, PLAN)
    page, markdown = render_html(comparison, CONTEXT), render_markdown(comparison, CONTEXT)
    assert "<script>alert" not in page and "<script>alert" not in markdown and "[b](c)" not in markdown
    for figure in all_figures(comparison).values():
        ElementTree.fromstring(figure.svg)


def test_one_task_or_none_has_nothing_across() -> None:
    one = compare_records(seeds(around(0.1)), PLAN)
    assert one.across == ("1 task: no transfer, no default of the other tasks, nothing to aggregate.",)
    assert across_tables(one) == {} and compare_records([], PLAN).across == ()
    two = compare_records([r for t in "ab" for r in on(t, seeds(around(0.1)))], PLAN)
    assert two.across[0].startswith("No transfer trial has ended (n = 0): cannot say")
    assert two.across[1].startswith("No default was chosen on the other tasks")
