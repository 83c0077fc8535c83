"""The report of every kind of run: it renders, is self-contained, escapes names and always says n."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from nas.drawing import COLOURS
from nas.efficiency import Comparison, Plan, compare_records
from nas.efficiency.words import probability
from nas.figures import all_figures
from nas.report import ReportContext, render_markdown, terminal_table
from nas.report_html import render_html
from nas.report_page import DARK
from nas.report_tables import efficiency_table
from nas.report_tables import test_table as table_of_tests
from tests.nas.builders import full_run, population, record, seeds
from trials.record import TrialRecord

PLAN = Plan(single="flexconv", searched=("twin",), defaults=("twin_3x3", "twin_7x7"), development=("digits",))
CONTEXT = ReportContext(
    run="smoke",
    directory="smoke-1",
    created="2025-01-01T00:00:00+00:00",
    version="0.1.0",
    software={"torch": "2.13"},
    config={"population": 100, "rows": None, "tasks": ["digits"]},
    planned=10_000,
    ended=40,
    inputs="0123abcd",
    command="nas compare smoke-1",
)
HOSTILE = "<script>alert('x')</script> & \"$1\" `a` | [b](javascript:c) $x_1$"
VOID = {"meta", "br", "img", "hr", "link", "input", "wbr"}

RUNS: dict[str, list[TrialRecord]] = {
    "empty": [],
    "one trial": [record()],
    "unfinished": full_run(("digits",))[:40],
    "search only": [r for r in full_run(("digits",)) if r.trial.study.kind == "search"],
    "full": full_run(("mnist5k",)),
    "hostile": seeds([0.1, 0.11], task=HOSTILE)
    + population([0.1 + i / 500 for i in range(30)], task=HOSTILE),
}


class Strict(HTMLParser):
    """Collects text and links; fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name == "src" for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name == "href" and tag == "a"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(params=RUNS)
def comparison(request: pytest.FixtureRequest) -> Comparison:
    return compare_records(RUNS[request.param], PLAN)


def test_the_page_is_well_formed_and_self_contained(comparison: Comparison) -> None:
    page = render_html(comparison, CONTEXT)
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert not parser.tags & {"link", "img", "iframe", "object", "form", "base"}
    assert page.count("<script") == 1
    assert set(re.findall(r"https?://([^/\"'\s]+)", page)) <= {"www.w3.org"}
    assert "url(http" not in page and "@import" not in page
    assert "$" not in re.sub(r"\$1|\$x_1\$", "", "".join(parser.text))  # no placeholder is left
    assert all(re.match(r"data:text/csv;|#task-\d+$", link) for link in parser.links)


def test_every_format_says_the_same(comparison: Comparison) -> None:
    from rich.console import Console

    page, markdown = render_html(comparison, CONTEXT), render_markdown(comparison, CONTEXT)
    parser = Strict()
    parser.feed(page)
    text = "".join(parser.text)
    console = Console(width=10_000, record=True, file=io.StringIO())
    console.print(terminal_table(comparison))
    terminal = console.export_text()
    assert comparison.overall in text and comparison.overall in terminal
    assert "What this does and does not show" in text and "What this does and does not show" in markdown
    for task in comparison.tasks:
        assert task.sentences[0] in text and task.sentences[0] in terminal
    for left in comparison.left_out:
        assert left.trial in text and left.reason in markdown


def test_same_input_same_bytes(comparison: Comparison) -> None:
    assert render_html(comparison, CONTEXT) == render_html(comparison, CONTEXT)
    assert render_markdown(comparison, CONTEXT) == render_markdown(comparison, CONTEXT)
    assert all_figures(comparison) == all_figures(comparison)


def test_every_sentence_carries_its_n(comparison: Comparison) -> None:
    for task in comparison.tasks:
        for sentence in task.sentences:
            assert re.search(
                r"\d+ (more )?(seeds?|designs?|searches|trainings?)|[nN] = \d+|\d+ of \d+", sentence
            )


def test_figures_are_xml_with_colours_that_the_page_can_replace() -> None:
    comparison = compare_records(RUNS["full"], PLAN)
    figures = all_figures(comparison)
    kinds = {name.rsplit(".", 1)[1] for name in figures}
    assert kinds == {"edf", "best_of", "anytime", "pareto", "kernel_sizes"}
    for figure in figures.values():
        root = ElementTree.fromstring(figure.svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert COLOURS["single"] in figure.svg
        assert "dc:date" not in figure.svg and "matplotlib" not in figure.svg.lower()
    assert set(DARK) <= set(COLOURS)
    page = render_html(comparison, CONTEXT)
    assert "var(--single-mark)" in page and "prefers-color-scheme: dark" in page
    assert page.count('role="img"') == len(figures)


def test_a_small_population_has_no_verdict_badge() -> None:
    page = render_html(compare_records(RUNS["hostile"], PLAN), CONTEXT)
    badges = set(re.findall(r'class="badge \w+">([^<]+)<', page))
    assert badges == {"descriptive: N below 100"}


def test_a_lost_default_is_a_badge() -> None:
    runs = seeds([0.1, 0.101, 0.102]) + seeds([0.05, 0.051, 0.052], "twin_3x3")
    comparison = compare_records(runs, PLAN)
    page, markdown = render_html(comparison, CONTEXT), render_markdown(comparison, CONTEXT)
    assert '<span class="badge no">worse than a default</span>' in page
    assert "; worse than a default; development task" in markdown


def test_chances_are_given_at_f_and_at_the_margin_with_enough_digits() -> None:
    designs = population([0.05] + [0.2 + i / 1e3 for i in range(249)])
    few = compare_records(seeds([0.1, 0.101, 0.102]) + designs, PLAN)
    table = efficiency_table(few.tasks[0])
    row = dict(zip(table.head, table.rows[1]))
    assert row["match f, p"].startswith("1 of 250, p 0.004 [0, 0.0")
    assert row["match f + margin, p"].startswith("1 of 250, p 0.004")
    assert [probability(p) for p in (0, 0.004, 0.25, 0.9961, 1)] == ["0", "0.004", "0.25", "0.9961", "1"]


def test_kernel_sizes_that_never_changed_are_said_so_in_the_figure() -> None:
    page = render_html(compare_records(seeds([0.1, 0.11]), PLAN), CONTEXT)
    assert page.count("No kernel size changed in this run") == 3  # figure, its label, note


def test_the_unfinished_run_and_its_provenance_are_named() -> None:
    comparison = compare_records(RUNS["unfinished"], PLAN)
    page, markdown = render_html(comparison, CONTEXT), render_markdown(comparison, CONTEXT)
    for text in (page, markdown):
        assert "Unfinished run: 40 of 10000 planned trials have ended" in text
        assert "0123abcd" in text and "nas compare smoke-1" in text
    assert "Unfinished" not in render_html(comparison, replace(CONTEXT, ended=10_000))
    for text in (
        "smoke-1",
        "abc1234",
        "cpu-a",
        "torch 2.13",
        "max(1 points, 10 % of f)",
        "epochs",
    ):
        assert text in page


def test_every_finalist_is_listed_with_its_metrics_and_their_intervals() -> None:
    records = RUNS["full"]
    finalists = {r.trial.id: r for r in records if r.trial.study.kind == "finalist"}
    comparison = compare_records(records, PLAN)
    table = table_of_tests(comparison.tasks[0])
    assert table is not None and {row[1] for row in table.rows} == set(finalists)
    test = replace(finalists[table.rows[0][1]].test, error=0.1234)
    task = compare_records([replace(finalists[table.rows[0][1]], test=test)], PLAN).tasks[0]
    row = table_of_tests(task).rows[0]
    assert row[2] == "500" and re.fullmatch(r"12\.3 % \[[\d.]+, [\d.]+\]", row[3])
    assert row[4] == "1 [0.9, 1.1]" and row[6] == "0.9954"
    assert "Finalists on test" in render_html(comparison, CONTEXT)
    assert "a bootstrap of 1,000 resamples for the others" in render_html(comparison, CONTEXT)
    assert all(name in render_markdown(comparison, CONTEXT) for name in finalists)
    intervals = ("error_interval", "loss_interval", "balanced_accuracy_interval")
    before = dict.fromkeys(("balanced_accuracy", "auroc", *intervals))  # as records were
    old = [replace(r, test=replace(test, error=0.1, **before)) if r.test else r for r in records]
    assert table_of_tests(compare_records(old, PLAN).tasks[0]).rows[0][3:] == ("10.0 %", "1", "–", "–")
    without = [r for r in records if r.trial.study.kind != "finalist"]
    assert table_of_tests(compare_records(without, PLAN).tasks[0]) is None
