"""What is folded away: the rest is in sight, nothing is lost, paper shows all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from nas.efficiency import compare_records
from nas.report import render_markdown
from nas.report_folds import FOLDS, folds, main_table
from nas.report_html import render_html
from tests.nas.browser import browser
from tests.nas.builders import full_run
from tests.nas.test_report import CONTEXT, PLAN

COMPARISON = compare_records(full_run(("mnist5k", "speech")), PLAN)
PAGE, MARKDOWN = render_html(COMPARISON, CONTEXT), render_markdown(COMPARISON, CONTEXT)


def parts(text: str) -> tuple[str, str]:
    """What is in sight, and what is folded away."""
    folded = re.findall(r"<details>.*?</details>", text, flags=re.DOTALL)
    return re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL), "\n".join(folded)


def test_a_task_shows_sentences_its_main_table_and_four_figures() -> None:
    shown, folded = parts(PAGE)
    sections = re.findall(r'<section id="task-\d">.*?</section>', shown, flags=re.DOTALL)
    assert len(sections) == 2
    for task, section in zip(COMPARISON.tasks, sections):
        assert section.count("<table") == 1 and ">p_run<" in section
        assert re.findall(r'download="\d\d\.\w+\.(\w+)\.csv"', section) == [
            "spaces",
            *("edf", "best_of", "anytime", "pareto"),
        ]
        assert all(sentence in section for sentence in task.sentences[1:])
        assert PAGE.count(task.sentences[0]) == 1 and task.sentences[0] not in section
        assert all(fold.summary.replace("'", "&#x27;") in folded for fold in folds(task))
    assert "max(1 points, 10 % of f)" in shown and "learning_rate" not in shown


def test_nothing_is_lost() -> None:
    for task in COMPARISON.tasks:
        tables = [main_table(task), *(table for fold in folds(task) for table in fold.tables.values())]
        assert len({table.head for table in tables}) == len(tables) > 5
        for table in tables:
            assert table.caption.replace("'", "&#x27;").replace(">", "&gt;") in PAGE
            assert f"| {table.rows[-1][0]} |" in MARKDOWN
    assert "kernel_sizes.csv" in parts(PAGE)[1]
    named = [name for _, tables, _ in FOLDS for name in tables]
    assert len(set(named)) == len(named)


@pytest.mark.slow
def test_paper_shows_what_is_folded_away(tmp_path: Path) -> None:
    opened = PAGE.replace("<details>", "<details open>")
    hidden = PAGE.replace("details::details-content", "details::nothing")
    as_it_is, all_open, closed = (_sheets(page, tmp_path) for page in (PAGE, opened, hidden))
    assert as_it_is == all_open > closed


def _sheets(page: str, folder: Path) -> int:
    (folder / "report.html").write_text(page, encoding="utf-8")
    subprocess.run(
        [browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={folder / 'report.pdf'}"]
        + [f"--user-data-dir={folder / 'profile'}", f"file://{folder / 'report.html'}"],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return len(re.findall(rb"/Type\s*/Page\b", (folder / "report.pdf").read_bytes()))
