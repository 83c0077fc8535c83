"""What a node is asked before it gets a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.probe import facts, probe, trouble
from nas.run_directory import RunDirectory
from tests.nas.runs import begun
from trials.reference import Task
from trials.task import TaskData


def never(task: Task) -> TaskData:
    raise AssertionError("there is no task to open")


def test_a_sound_node_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    before = directory.storage.names()
    found = probe(directory, never)
    assert found == facts() and trouble(facts(), found) == ""
    assert directory.storage.names() == before


def test_a_node_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = probe(RunDirectory(tmp_path / "file"), never)
    assert trouble(facts(), found) == f"it cannot write {tmp_path / 'file'}: Not a directory"


@pytest.mark.parametrize("field", ["python", "ray", "torch", "product"])
def test_other_versions_than_the_drivers_are_refused(field: str) -> None:
    ours = facts()
    theirs = replace(ours, **{field: "0.0"})
    assert trouble(ours, theirs) == f"it has {field} 0.0, the driver {getattr(ours, field)}"
    assert trouble(ours, replace(ours, **{field: ""})).startswith(f"it has {field} none")
