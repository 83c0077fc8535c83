"""The run directory refuses what does not belong to it and never shows half a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.comparison import compare
from nas.run_directory import RunDirectory, open_run
from nas.run_paths import latest_run_path, new_run_path
from tests.nas.builders import record
from tests.nas.runs import begun
from trials.record import SCHEMA


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="holds no run"):
        RunDirectory(tmp_path).refuse_foreign()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="holds no run"):
        open_run(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        RunDirectory(tmp_path / "thesis.tex").refuse_foreign()
    for name in ("lease", "requests", "trials", ".config.json.x8f3_a1b", "lost+found", ".snapshot"):
        (tmp_path / "new" / name).mkdir(parents=True)  # of a driver that died writing its plan, of the disk
    RunDirectory(tmp_path / "new").refuse_foreign()


def test_records_come_back_and_broken_ones_are_named(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    whole = record(number=1)
    for number in (1, 2, 3):
        directory.put_record(record(number=number))
    paths = sorted(tmp_path.glob("trials/*/record.json"))
    paths[1].write_text(paths[1].read_text()[:200])
    paths[2].write_text(paths[2].read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    records, unreadable = directory.read_records()
    assert [each.trial.id for each in records] == [whole.trial.id]
    assert len(unreadable) == 2
    assert str(paths[1]) in unreadable[0]
    assert "schema 99" in unreadable[1]


def test_a_run_of_another_version_names_it_and_the_way_out(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.put_record(record(number=1))
    (path,) = tmp_path.glob("trials/*/record.json")
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 1'))
    way_out = "read it with what wrote it, or run again with another --run-dir"
    assert "by nas-flexconv ? (commit abc1234)" in directory.read_records()[1][0]
    old = {"id": "0", "created": 0.0, "version": "0.0.9", "tasks": [{"name": "digits", "rows": 3}]}
    directory.put("run.json", json.dumps(old))
    (said,) = directory.read_records()[1]
    assert f"has schema 1, this version reads 2 to {SCHEMA}; it was written by nas-flexconv 0.0.9" in said
    assert said.endswith(way_out)
    with pytest.raises(ValueError, match=r"run\.json.*; it was written by nas-flexconv 0\.0\.9.*") as error:
        directory.info()
    assert str(error.value).endswith(way_out)
    with pytest.raises(ValueError, match=r"0\.0\.9"):
        compare(tmp_path)


def test_records_of_schema_2_are_read_as_what_they_meant(tmp_path: Path) -> None:
    directory, whole = begun(tmp_path), record(number=1)
    directory.put_record(whole)
    (path,) = tmp_path.glob("trials/*/record.json")
    old = json.loads(path.read_text())
    old["schema"] = 2
    for name in ("source", "by"):
        del old["trial"]["study"][name]
    del old["trial"]["weight"]
    path.write_text(json.dumps(old))
    assert directory.read_records() == ([whole], [])
    design = path.with_name("design.json")
    design.write_text(json.dumps(old["trial"]))
    assert directory.read_trials() == ([whole.trial], [])


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.put("report.md", "old")
    with pytest.raises(UnicodeEncodeError):
        directory.put("report.md", "new \udc80")
    assert (tmp_path / "report.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_start_removes_what_a_killed_driver_left_and_nothing_else(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    ended, running = record(number=1), record(number=2)
    directory.put_record(ended)
    directory.put_trial(running.trial)
    for each in (ended, running):
        directory.folder(each.trial.id).put("checkpoint.pt", b"x")
    place = f"trials/{running.trial.id}"
    left = (
        ".records.parquet.abcd_123",
        "..reserve.abcd1234",
        f"{place}/.record.json.abcd1234",
    )
    kept = (
        ".envrc",
        ".report.html.abcd1234",
        ".records.parquet.bak",
        f"{place}/checkpoint.pt",
    )
    for name in (*left, *kept):
        (tmp_path / name).write_text("x")
    directory.drop_orphans()
    assert [name for name in left if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert sorted(directory.folder(ended.trial.id).names()) == ["record.json"]


def test_a_record_counts_though_its_checkpoint_cannot_be_removed(tmp_path: Path) -> None:
    directory, ended = begun(tmp_path), record(number=1)
    (tmp_path / f"trials/{ended.trial.id}/checkpoint.pt").mkdir(parents=True)
    directory.put_trial(ended.trial)
    directory.put_record(ended)
    assert directory.read_records() == ([ended], [])


def test_default_paths_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_run_path("smoke") == latest_run_path("smoke") == Path("runs/smoke")
    new_run_path("smoke").mkdir(parents=True)
    assert new_run_path("smoke") == Path("runs/smoke-2")
    assert latest_run_path("smoke") == Path("runs/smoke")
    Path("runs/smoke-7").mkdir()
    Path("runs/smoke-old").mkdir()
    assert new_run_path("smoke") == Path("runs/smoke-8")
    assert latest_run_path("smoke") == Path("runs/smoke-7")
