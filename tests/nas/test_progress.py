"""What a run says of itself where there is no terminal: counts, and what is new since the last line."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from nas import progress
from nas.progress import Progress
from tests.nas.written import small_run


def test_a_line_names_what_got_better_since_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    record = next(each for each in small_run() if each.status == "completed")
    name = f"{record.trial.study.task} {record.trial.study.space}"
    said = io.StringIO()
    shown = Progress(Console(file=said, width=80))
    shown.start(2, [])
    shown.total(4)
    for error in (0.3, 0.4, 0.2):
        shown.ended(replace(record, curve=(replace(record.curve[-1], select_error=error),)))
        shown.show()
    shown.stop()
    lines = said.getvalue().splitlines()[1:]
    assert [line.split(" trials")[0] for line in lines] == ["1/4", "2/4", "3/4", "3/4"]
    assert [line.partition("; new best select error: ")[2] for line in lines] == [
        f"{name} 30.0 %",
        "",
        f"{name} 20.0 %",
        "",
    ]


def test_what_was_there_before_is_counted_and_not_told_as_new() -> None:
    records = small_run()
    said = io.StringIO()
    shown = Progress(Console(file=said, width=80))
    shown.start(2, records)
    shown.total(len(records))
    shown.stop()
    before, last = said.getvalue().splitlines()
    assert before.endswith(f"{len(records)} trials are there already")
    assert last.startswith(f"{len(records)}/{len(records)} ") and "new best" not in last
