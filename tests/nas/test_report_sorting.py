"""Columns sort by what their cells mean: signs in words, units, targets that were not reached."""

from __future__ import annotations

import html
import math
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nas.efficiency import compare_records
from nas.efficiency.anytime import TimeTo
from nas.efficiency.equal_cost import EqualCost
from nas.efficiency.estimate import Estimate
from nas.report import ReportContext
from nas.report_cells import Cell
from nas.report_html import render_html, table_html
from nas.report_laws import equal_cost_table
from nas.report_tables import Table, search_table
from nas.report_use import time_table, use_table
from tests.nas.browser import browser
from tests.nas.builders import PLAN, full_run, seeds
from tests.nas.test_anytime import search

TASK = compare_records(full_run(("digits",)), PLAN).tasks[0]


def keys(table: Table, column: int) -> list[tuple[str, float, str]]:
    """Text, value and group of every cell of a column, as the page has them."""
    rows = re.findall(r"<tr.*?</tr>", table_html(table, "name").split("<tbody>")[1])
    cells = [re.findall(r"<td.*?</td>", row)[column] for row in rows]
    values = [re.search(r'data-value="([^"]*)"', cell) for cell in cells]
    groups = [re.search(r'data-group="([^"]*)"', cell) for cell in cells]
    texts = [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells]
    return [
        (text, float(value[1]) if value and value[1] else math.nan, group[1] if group else "")
        for text, value, group in zip(texts, values, groups)
    ]


def test_better_and_worse_have_opposite_signs() -> None:
    gains = (Estimate(value=0.015, low=0.01, high=0.02), Estimate(value=-0.005, low=-0.01, high=0.0))
    bare = Estimate(value=-0.02, low=None, high=None)
    given = tuple(
        EqualCost(trainings=1, unit="device-seconds", n=3, single=0.1, best=0.1, gain=gain, reason="")
        for gain in (*gains, bare)
    )
    task = replace(TASK, spaces=(replace(TASK.spaces[0], equal_cost=given),), controls=())
    found = keys(equal_cost_table(task), 4)
    assert [(text.split(" [")[0].split("[")[0].strip(), value) for text, value, _ in found] == [
        ("1.5 points better", 0.015),
        ("0.5 points worse", -0.005),
        ("2.0 points worse", -0.02),
    ]


def test_milliseconds_and_seconds_are_one_unit() -> None:
    usage = [replace(TASK.usage[0], latency_seconds=seconds) for seconds in (0.8, 1.2, None)]
    found = keys(use_table(replace(TASK, usage=tuple(usage))), 4)
    assert [(text, value) for text, value, _ in found[:2]] == [("800 ms", 0.8), ("1.2 s", 1.2)]
    assert found[2][0] == "–" and math.isnan(found[2][1])


def test_units_and_targets_not_reached_stand_apart() -> None:
    records = seeds([0.2, 0.2]) + search(0, [0.5, 0.5]) + search(1, [0.5, 0.1], seconds=20.0)
    table = search_table(compare_records(records, PLAN).tasks[0])
    assert table is not None
    assert keys(table, 4) == [("> 20 s", 20.0, "s, censored"), ("40 s", 40.0, "s")]
    assert "After >: censored" in table.caption and "MA" not in table.caption
    reached = search_table(compare_records(seeds([0.6, 0.6]) + search(0, [0.5]), PLAN).tasks[0])
    assert reached is not None and "censored" not in reached.caption

    time = TimeTo(
        name="f",
        target=0.1,
        searches=2,
        reached=0,
        median=Estimate(value=None, low=None, high=None),
        known=7.0,
    )
    anytime = replace(TASK.anytime[0], unit="multiply-adds", times=(time,))
    assert keys(time_table(replace(TASK, anytime=(anytime,))), 4) == [("> 7", 7.0, "multiply-adds, censored")]


def test_columns_of_words_are_aligned_left() -> None:
    page = table_html(Table("", ("a", "b", "c"), (("x", "y", "1"), ("x", "–", "cannot say"))), "name")
    assert re.findall(r'<th scope="col"( class=text)?>', page) == [" class=text", " class=text", ""]


CELLS = (
    Cell("> 30 s", 30.0, "s, censored"),
    Cell("1.2 s", 1.2, "s"),
    "–",
    Cell("5k MA", 5e3, "MA"),
    Cell("800 ms", 0.8, "s"),
    "cannot say",
)
SIGNED = ("+13.8 [10.7, 17.0]", "-1.5 [-2.6, -0.5]", "–", "+0.0 [-1, 1]", "-10 [-20, 0]", "+2")


@pytest.mark.slow
def test_a_pressed_head_sorts_by_group_and_value(tmp_path: Path) -> None:
    table = table_html(Table("", ("name", "cost", "effect"), tuple(zip("abcdef", CELLS, SIGNED))), "name")
    page = render_html(compare_records([], PLAN), ReportContext(run="x"))
    page = re.sub(
        r"<main>.*</main>", lambda _: f"<main>{table}<p id=order></p></main>", page, flags=re.DOTALL
    )
    page = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", page, flags=re.DOTALL)
    press = """<script>
      for (const column of [1, 1, 1, 2]) {
        document.querySelectorAll("th button")[column].click();
        const names = [...document.querySelectorAll("tbody tr")].map(row => row.cells[0].textContent);
        document.getElementById("order").textContent += names.join("") + " ";
      }
    </script></body>"""
    (tmp_path / "page.html").write_text(page.replace("</body>", press), encoding="utf-8")
    done = subprocess.run(
        [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        + [f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path / 'page.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<p id="order">(.*?)</p>', done.stdout)
    assert found is not None and found[1].split() == ["debafc", "fabedc", "abcdef", "ebdfac"]
