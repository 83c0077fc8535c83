"""A run of the real thing on a small task: seeds of its split, long trials, notes on its data; resumed."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nas.opening import open_tasks
from nas.progress import decoding
from nas.report_tables import efficiency_table
from nas.run_directory import RunDirectory
from nas.running import run
from tests.nas.runs import SMALL
from trials.task import open_task

TINY = replace(
    SMALL,
    tasks=("digits@rows=200",),
    splits=2,
    spaces=("flexconv", "twin"),
    defaults=(),
    epochs=1,
    population=1,
    repeats=0,
    seeds=1,
    search_trials=0,
    finalist_seeds=0,
    long=1,
)
ANCHORS = ("most frequent class", "logistic regression", "extra trees")
NAMES = ("digits@rows=200", "digits@rows=200,split=1")


@pytest.mark.parametrize(
    "query", ["password=hunter2", "user=me&password=hunter2", "sslpassword=hunter2", "auth_token=hunter2"]
)
def test_a_tracking_uri_with_a_secret_in_its_query_is_not_written_down(tmp_path: Path, query: str) -> None:
    with pytest.raises(ValueError, match=r"the tracking URI must hold no .*(password|token)") as told:
        run(TINY, run_dir=tmp_path / "run", tracking_uri=f"postgresql://host/db?{query}")
    assert "hunter2" not in str(told.value) and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_small_task_is_run_with_several_splits_and_resumed_with_the_same(tmp_path: Path) -> None:
    out = io.StringIO()
    said = Console(file=out, width=200)
    result = run(TINY, run_dir=tmp_path / "run", console=said)
    directory = RunDirectory(tmp_path / "run")
    info = directory.info()
    assert result.finished and info is not None
    assert tuple(task.name for task in info.tasks) == NAMES
    assert info.tasks[0].digest != info.tasks[1].digest
    assert (info.development, info.evaluation) == (NAMES, ())
    records = {record.trial.id: record for record in directory.read_records()[0]}
    assert len(records) == 8
    for name, task in zip(NAMES, info.tasks):
        ours = [record for record in records.values() if record.trial.study.task == name]
        assert {record.digest for record in ours} == {task.digest}
        assert sorted((r.trial.study.kind, len(r.curve)) for r in ours) == [
            *[("long", 4)] * 2,
            *[("population", 1)] * 2,
        ]
    first, second = (open_task(task.task).select.index for task in info.tasks)
    assert not np.array_equal(first, second)

    again = run(TINY, run_dir=tmp_path / "run", resume=True, console=said)
    assert again.finished and directory.info() == info
    assert {record.trial.id: record for record in directory.read_records()[0]} == records
    with pytest.raises(ValueError, match="splits is 2 there and 1 here"):
        run(replace(TINY, splits=1), run_dir=tmp_path / "run", resume=True, console=said)

    for opened, task in zip(info.tasks, result.comparison.tasks):
        assert [each.name for each in opened.anchors] == list(ANCHORS) and task.anchors == opened.anchors
        assert all(0 < (each.error or 0) < 1 for each in opened.anchors)
        assert [row[0] for row in efficiency_table(task).rows[-3:]] == list(ANCHORS)
    assert out.getvalue().count("fitting what needs no network") == 2, "a resumed run knows them"

    few = "only 200 rows to train and validate with"
    assert info.tasks[0].notes[0].startswith(few)
    for task in result.comparison.tasks:
        assert [note for note in task.notes if few in note]
        assert "Data: scikit-learn load_digits" in task.notes[-1] and "licence: CC BY 4.0." in task.notes[-1]
        assert {each.space for each in task.budgets} == {"flexconv", "twin"}
    for name in ("report.md", "report.html", "report.json"):
        assert few in (tmp_path / "run" / name).read_text()


def test_a_large_task_has_one_split(tmp_path: Path) -> None:
    config = replace(TINY, tasks=("digits",), rows=None)
    assert [task.name for task in open_tasks(config, Console(file=io.StringIO()))] == ["digits"]


@pytest.mark.parametrize("terminal", [True, False])
def test_decoding_is_shown_where_it_takes_long(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in (1000.0, 0.0):
        monkeypatch.setattr("nas.progress.PATIENCE", patience)
        monkeypatch.setattr("nas.progress.LINE_SECONDS", patience)
        out = io.StringIO()
        with decoding(Console(file=out, force_terminal=terminal, width=120), "leaves@rows=9") as progress:
            for done in (3, 6, 9):
                progress(done, 9)
        assert ("decoding leaves@rows=9" in out.getvalue()) == (patience == 0)
        assert ("9/9" if terminal else "9 of 9 rows") in out.getvalue() or patience
    assert patience == 0
