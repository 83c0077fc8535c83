"""What needs no network stands below the spaces of its task, by the report half, from run.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nas.comparison import compare
from nas.efficiency.anchors import Anchor
from nas.report_tables import efficiency_table
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces.space import TaskShape
from tests.nas.written import CONFIG, small_run, write
from trials.plain import dumps

ANCHORS = (
    Anchor(name="most frequent class", error=0.9),
    Anchor(name="extra trees", error=0.0225, seconds=1.5, note="fitted to 200 of 1000 rows"),
    Anchor(name="MiniRocket", error=None, note="needs series of 9 steps or more"),
)


def with_anchors(path: Path) -> RunDirectory:
    shape = TaskShape(extent=(8, 8), channels=1, classes=10)
    (task,) = CONFIG.the_tasks()
    opened = RunTask(task=task, shape=shape, mean=(0.0,), std=(1.0,), digest="", anchors=ANCHORS)
    info = RunInfo(
        id="0",
        created=0.0,
        version="0",
        tracking_uri=None,
        recipe=CONFIG.the_recipe(),
        tasks=(opened,),
        spaces=(),
    )
    directory = write(path, small_run())
    directory.put("run.json", dumps(info))
    return directory


def test_anchors_are_the_last_rows_and_those_that_could_not_be_tried_are_notes(tmp_path: Path) -> None:
    (task,) = compare(with_anchors(tmp_path).path).tasks
    table = efficiency_table(task)
    without = efficiency_table(replace(task, anchors=()))
    assert table.rows[: len(without.rows)] == without.rows
    dashes = ("–",) * (len(table.head) - 2)
    rows = (("most frequent class", "90.0 %", *dashes), ("extra trees", "2.2 %", *dashes))
    assert table.rows[len(without.rows) :] == rows
    assert "Always answering the most frequent class" in without.caption
    assert "Always answering the most frequent class" not in table.caption
    text = (tmp_path / "report.md").read_text()
    assert "- Without a network: extra trees: fitted to 200 of 1000 rows." in text
    assert "- Without a network: MiniRocket: needs series of 9 steps or more." in text
    assert len(json.loads((tmp_path / "report.json").read_text())["tasks"][0]["anchors"]) == 3


def test_a_run_that_did_not_measure_them_has_none(tmp_path: Path) -> None:
    directory = with_anchors(tmp_path)
    old = json.loads((tmp_path / "run.json").read_text())
    del old["tasks"][0]["anchors"]
    directory.put("run.json", json.dumps(old))
    assert compare(tmp_path).tasks[0].anchors == ()


def test_an_error_that_is_none_is_refused(tmp_path: Path) -> None:
    directory = with_anchors(tmp_path)
    edited = (tmp_path / "run.json").read_text().replace("0.0225", "7.0")
    directory.put("run.json", edited)
    with pytest.raises(ValueError, match=r"the error of extra trees must be in \[0, 1\], got 7\.0"):
        compare(tmp_path)
