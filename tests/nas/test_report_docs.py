"""docs/report.md names every key of report.json, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from nas.efficiency import Comparison
from nas.efficiency.results import TaskComparison
from nas.report import ReportContext

DOCS = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def names(of: type) -> set[str]:
    return {field.name for field in fields(of)}


def keys(text: str) -> list[str]:
    """What stands as code in the first column of a table."""
    return [
        key for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)
    ]


def test_every_key_is_named_once() -> None:
    section = DOCS.split("## report.json")[1].split("\n## ")[0]
    whole, task = section.split("Of a task:")
    assert sorted(keys(whole)) == sorted({"schema", "run"} | names(Comparison))
    assert sorted(keys(task)) == sorted(names(TaskComparison))
    (run,) = re.findall(r"^\| `run` \| (.*) \|$", whole, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", run)) == sorted(names(ReportContext))
