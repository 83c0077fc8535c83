"""Names and errors from outside stay text in every format."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from html import escape, unescape
from xml.etree import ElementTree

from markdown_it import MarkdownIt

from nas.efficiency import Comparison, Plan, compare_records
from nas.efficiency.results import LeftOut
from nas.figures import all_figures
from nas.report import MADE, ReportContext, render_markdown
from nas.report_folds import FOLDS
from nas.report_html import render_html
from tests.nas.builders import population, seeds
from tests.nas.test_report import Strict

TASK = (
    "<script>alert('task')</script> & \"$1\" `a` | [b](javascript:c) $x_1$\x00\n# *h* \\| @team https://x.y"
)
SPACE = "=cmd|' /C calc'!A0 \"><img src=x onerror=alert(1)> _under_"
CLASS = "<script>alert(1)</script>"
REASON = "ValueError: \"quote\" 'single' | pipe\n<b>line</b>\r\n1. [click](javascript:alert(1)) </details>"


def hostile() -> Comparison:
    records = seeds([0.1, 0.11], task=TASK) + population([0.1 + i / 500 for i in range(30)], SPACE, task=TASK)
    comparison = compare_records(records, Plan(single="flexconv", searched=(SPACE,), budget=5))
    (task,) = comparison.tasks
    task = replace(task, notes=(*task.notes, f"Data: the class {CLASS} has 3 rows"))
    return replace(comparison, tasks=(task,), left_out=(LeftOut(trial=TASK, reason=REASON),))


CONTEXT = ReportContext(
    run=CLASS,
    directory=CLASS,
    software={CLASS: REASON},
    config={CLASS: [REASON]},
    inputs="0" * 64,
    command=f"nas compare '{SPACE}'",
)


OURS = (
    {escape(summary, quote=True) for summary, _, _ in FOLDS} | {summary for summary, _, _ in FOLDS} | {MADE}
)


def _folds(html: str) -> set[str]:
    """What stands on folded parts; no tag is left over or without its line."""
    found = re.findall(r"<details><summary>(.*?)</summary>", html)
    assert len(found) == html.count("<details") == html.count("</details>") == html.count("<summary")
    return set(found)


def test_the_page_shows_them_and_runs_none() -> None:
    page = render_html(hostile(), CONTEXT)
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == [] and "img" not in parser.tags
    assert _folds(page) and _folds(page) <= OURS
    assert page.count("<script") == 1 and "<b>line" not in page
    text = "".join(parser.text)
    for name in (TASK, SPACE, CLASS, REASON, CONTEXT.command):
        assert " ".join(name.replace("\x00", "").split()) in " ".join(text.replace("\x00", "").split())
    assert all(re.match(r"data:text/csv;|#task-\d+$", link) for link in parser.links)


def test_figures_are_xml_with_the_names_as_text_and_safe_file_names() -> None:
    figures = all_figures(hostile())
    assert {name.rsplit(".", 1)[1] for name in figures} == {"edf", "best_of", "pareto", "kernel_sizes"}
    assert all(re.fullmatch(r"[A-Za-z0-9_@.-]+", name) for name in figures)
    for figure in figures.values():
        root = ElementTree.fromstring(figure.svg)
        tags = {each.tag.rsplit("}", 1)[1] for each in root.iter()}
        assert tags <= {"svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect", "metadata"}
        assert not any(name.startswith("on") for each in root.iter() for name in each.attrib)


def test_no_cell_of_a_csv_is_a_formula() -> None:
    page = render_html(hostile(), CONTEXT)
    links = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    cells = [
        cell
        for link in links
        for row in csv.reader(io.StringIO(base64.b64decode(link).decode(), newline=""))
        for cell in row
    ]
    assert f"'{SPACE}" in cells
    for cell in cells:
        assert cell[:1] not in tuple("=+@\t\r\n") or not cell
        assert cell[:1] != "-" or float(cell) < 0


def test_a_bracket_before_a_colon_stays_and_a_link_reference_is_none() -> None:
    lines = ("0.5 points better [0.1, 0.9]: it loses", "[label]: https://x.y", "see [label][label]")
    (task,) = hostile().tasks
    notes = replace(task, task="t", sentences=lines, notes=lines)
    text = render_markdown(replace(hostile(), tasks=(notes,), left_out=()), CONTEXT)
    assert f"\n{lines[0]}\n" in text
    html = MarkdownIt("commonmark").render(text)
    assert "<a " not in html and "[label]: https:" in unescape(html)


def test_markdown_shows_them_and_links_nothing() -> None:
    text = render_markdown(hostile(), CONTEXT)
    html = MarkdownIt("commonmark").enable("table").enable("strikethrough").render(text)
    assert "<script" not in html and "<a " not in html and "<img" not in html and "<em>" not in html
    assert _folds(html) and _folds(html) <= OURS
    widths = [
        (row.count("<th"), row.count("<td")) for row in re.findall(r"<tr>.*?</tr>", html, flags=re.DOTALL)
    ]
    heads = [th for th, td in widths if th]
    width = 0
    for th, td in widths:
        width = th or width
        assert (th or td) == width and not (th and td)
    assert len(heads) == text.count("\n| --- |"), "every table is a table"
    assert "@team" not in text and "https://x" not in text  # GitHub would mention and link
    shown = re.sub(r"<[^>]+>", "", html)
    assert " ".join(REASON.split()) in unescape(shown)
    assert " ".join(SPACE.split()) in unescape(shown)
