"""The copy of finished trials: what is read with it is what would be read without."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nas import compacted
from nas.compacted import COPY, Compaction, compact
from nas.run_directory import RunDirectory
from tests.nas.builders import record
from tests.nas.written import small_run, write
from trials.plain import dumps
from trials.storage import Storage

RECORDS = small_run()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write(tmp_path / "run", RECORDS)


def edited(path: Path) -> None:
    """By hand, without a change of its size."""
    text = path.read_text()
    path.write_text(text.replace('"seconds_training": 10.0', '"seconds_training": 12.0'))
    assert path.stat().st_size == len(text) and path.read_text() != text


EDITS: dict[str, Callable[[Path], object]] = {
    "a record edited": lambda trial: edited(trial / "record.json"),
    "a record removed": lambda trial: (trial / "record.json").unlink(),
    "a record cut": lambda trial: (trial / "record.json").write_text("{"),
    "a design edited": lambda trial: (trial / "design.json").write_text("{}"),
    "a design removed": lambda trial: (trial / "design.json").unlink(),
    "a trial removed": shutil.rmtree,
    "a trial renamed": lambda trial: trial.rename(trial.with_name("copy")),
    "a trial with a strange name": lambda trial: shutil.copytree(trial, trial.with_name("copy (2)")),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_done_by_hand_is_seen(run: RunDirectory, edit: str) -> None:
    assert run.path is not None
    assert compact(run.storage) == len(RECORDS)
    EDITS[edit](run.path / "trials/digits.twin.population.0.0003")
    with_copy = run.read()
    run.storage.remove(COPY)
    assert with_copy == run.read() != write(run.path.parent / "untouched", RECORDS).read()


def test_what_is_unchanged_comes_from_the_copy(run: RunDirectory) -> None:
    """Shown by a copy that says something else."""
    before = run.read()
    compact(run.storage)
    assert run.read() == before and compacted.read(run.storage).missing == 0
    assert run.path is not None
    table = pq.read_table(run.path / COPY)
    seconds = [
        text.replace(b'"seconds_training": 10.0', b'"seconds_training": 12.0')
        for text in table["record"].to_pylist()
    ]
    pq.write_table(table.set_column(3, "record", [seconds]), run.path / COPY)
    assert all(each.seconds_training == 12 for each in run.read().records)
    late = record("flexconv", 99, 0.1)
    run.put_trial(late.trial)
    run.put_record(late)
    assert {each.trial.number: each.seconds_training for each in run.read().records}[99] == 10
    assert compacted.read(run.storage).missing == 1


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all" * 100, "cut", "other columns"])
def test_a_copy_that_is_damaged_costs_time_only(run: RunDirectory, content: bytes | str) -> None:
    assert run.path is not None
    before, path = run.read(), run.path / COPY
    compact(run.storage)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif content == "other columns":
        pq.write_table(pq.read_table(path).drop(["record_stamp"]), path)
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    assert run.read() == before
    assert compact(run.storage) == len(RECORDS) and run.read() == before


def test_trials_that_run_are_not_in_it(run: RunDirectory) -> None:
    running, ended = record(number=50), record(number=51)
    run.put_trial(running.trial)
    run.put_record(ended)  # by hand, without a design
    assert compact(run.storage) == len(RECORDS)
    found = run.read()
    assert running.trial in found.trials and ended in found.records
    assert len(found.trials) == len(found.records) == len(RECORDS) + 1


def test_it_is_made_again_as_the_run_grows_and_at_its_end(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    compaction, text = Compaction(directory.storage, pytest.fail), dumps(record())

    def end(count: int, first: int) -> None:
        for number in range(first, first + count):
            trial = json.loads(text) | {"trial": json.loads(text)["trial"] | {"number": number}}
            folder = tmp_path / f"trials/digits.twin.population.0.{number:04d}"
            folder.mkdir(parents=True)
            (folder / "design.json").write_text(json.dumps(trial["trial"]))
            (folder / "record.json").write_text(json.dumps(trial))
            compaction.ended()

    end(255, 0)
    assert not (tmp_path / COPY).exists()
    end(1, 255)
    compaction.close()
    assert compacted.read(directory.storage).copied == 256
    end(3, 256)
    assert compacted.read(directory.storage).missing == 3
    compaction.close()
    assert compacted.read(directory.storage).missing == 0
    assert len(directory.read_records()[0]) == 259


@pytest.mark.parametrize(
    "site",
    [
        "print('welcome')",
        "import atexit; atexit.register(print, 'good', 'bye')",
        "import time; time.sleep(600)",
        "raise SystemExit(3)",
    ],
)
def test_what_a_site_prints_or_breaks_ends_no_run(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(site)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    if "sleep" in site:
        monkeypatch.setattr(compacted, "PATIENCE", 0.5)
    compaction = Compaction(run.storage, print)
    for _ in range(2):
        compaction.ended()
        compaction.close()
    works = "print" in site
    assert (run.storage.get(COPY) is not None) == works
    assert compacted.read(run.storage).missing == (0 if works else len(RECORDS))


def test_an_empty_run_has_no_trials(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "none"))
    assert compacted.read(storage).of == {} and compact(storage) == 0
    assert RunDirectory(tmp_path / "none").read_records() == ([], [])


def test_a_copy_that_cannot_be_made_is_said_in_one_line(run: RunDirectory, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "run" / COPY).mkdir()
    compaction = Compaction(run.storage, said.append)
    compaction.ended()
    compaction.close()
    assert len(said) == 1 and said[0].startswith(f"{COPY} could not be made again (IsADirectoryError"), said
    assert "\n" not in said[0]
