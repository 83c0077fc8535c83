"""The page: one script, allowed by its hash; columns that sort by their numbers; colours that can be read."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import subprocess
from pathlib import Path

import pytest

from nas.drawing import COLOURS
from nas.efficiency import compare_records
from nas.figures import all_figures
from nas.report_csv import csv_text
from nas.report_html import render_html, table_html
from nas.report_page import DARK, SCRIPT
from nas.report_tables import Table
from tests.nas.browser import browser
from tests.nas.builders import full_run
from tests.nas.test_report import CONTEXT, PLAN

COMPARISON = compare_records(full_run(("mnist5k",)), PLAN)
PAGE = render_html(COMPARISON, CONTEXT)


def test_the_policy_allows_the_one_script_by_its_hash_and_nothing_else() -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", PAGE, flags=re.DOTALL)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', PAGE)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    found = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{found}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(SCRIPT.strip().splitlines()) < 40
    assert not re.search(r"fetch|XMLHttp|import|eval|innerHTML|http", SCRIPT)
    assert PAGE.index("Content-Security-Policy") < PAGE.index("<style>")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("–", ""),
        ("", ""),
        ("7.9 % ± 0.2 (n = 5)", "7.9"),
        ("11.5 % [11.1, 11.9] (n = 20)", "11.5"),
        ("0 of 100, p ≤ 0.03", "0.03"),
        ("9 of 170, p 0.053 [0.02, 0.14]", "0.053"),
        ("≥ 33.9", "33.9"),
        ("≥ 2.5k s", "2500"),
        ("> 234", "234"),
        ("2.2M", "2200000"),
        ("3e-05", "3e-05"),
        ("-0.4 points", "-0.4"),
        ("+13.8 [10.7, 17.0]", "13.8"),
        ("1,167,738", "1167738"),
        ("18 / 12 / 0", "18"),
        ("12.3 % → 13.2 % (n = 3)", "12.3"),
        ("cannot say", None),
        ("7x7, 5x5", None),
        ("2025-01-01T00:00:00+00:00", None),
        ("twin (N = 100)", None),
    ],
)
def test_a_cell_is_sorted_by_its_number(cell: str, value: str | None) -> None:
    html = table_html(Table("", ("head",), ((cell,),)), "name")
    found = re.search(r'<td(?: class=text)?(?: data-value="([^"]*)")?>', html)
    assert found is not None and found[1] == value


def test_every_figure_and_table_is_offered_as_csv() -> None:
    links = re.findall(r'download="([^"]+)\.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', PAGE)
    texts = {name: base64.b64decode(text).decode() for name, text in links}
    assert len(texts) == len(links) == PAGE.count("<figure>") + PAGE.count("<table")
    for name, figure in all_figures(COMPARISON).items():
        assert texts[name] == csv_text(figure.head, figure.rows)
    (task,) = COMPARISON.tasks
    rows = list(csv.DictReader(io.StringIO(texts["01.mnist5k.pareto"], newline="")))
    twin = [row for row in rows if row["series"].startswith("twin ")]
    expected = [(float(p.multiply_adds), 100 * p.report_error) for p in task.spaces[0].points]
    x, y = list(rows[0])[2:]
    assert [(float(row[x]), float(row[y])) for row in twin] == expected
    steps = [row for row in csv.reader(io.StringIO(texts["01.mnist5k.edf"], newline="")) if row[1] == "twin"]
    assert [float(row[2]) for row in steps[1:-1]] == [100 * error for error in task.spaces[0].errors]


def test_a_figure_in_words_states_its_numbers() -> None:
    task = COMPARISON.tasks[0]
    assert task.single is not None and task.single.error is not None
    for figure in all_figures(COMPARISON).values():
        assert len(re.findall(r"\d", figure.finding)) > 5
        assert figure.finding.split(". ")[0].replace("&", "&amp;") in PAGE
    edf = all_figures(COMPARISON)["01.mnist5k.edf"].finding
    below = sum(error <= task.single.error for error in task.spaces[0].errors)
    assert f"{below} of 100 at or below FlexConv" in edf
    assert f"lowest {100 * task.spaces[0].errors[0]:.1f} %" in edf


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_stand_out_on_light_and_dark_screens() -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{ ?(.*?) \}", PAGE, re.DOTALL)[:2]
    )
    for theme, marks in ((light, COLOURS), (light | dark, DARK)):
        for ink in ("ink", "faint"):
            assert min(contrast(theme[ink], theme[paper]) for paper in ("paper", "card")) >= 4.5
        for verdict in ("yes", "no", "open"):
            assert contrast(theme[verdict], theme[f"{verdict}-paper"]) >= 4.5
        assert all(contrast(colour, theme["card"]) >= 3 for colour in marks.values())
        assert all(theme[f"{role}-mark"] == colour for role, colour in marks.items())


@pytest.mark.slow
def test_a_browser_runs_the_script_under_the_policy(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")
    done = subprocess.run(
        [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
        + [f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path / 'report.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert '<th scope="col"><button type="button">report error</button></th>' in done.stdout
    assert "Content Security Policy" not in done.stderr and "Uncaught" not in done.stderr
