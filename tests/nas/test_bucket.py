"""A run whose directory is a bucket: moto's server on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nas import export
from nas.cli import app
from nas.compacted import COPY, compact
from nas.lease import holder, take
from nas.run_directory import RunDirectory, RunInfo, open_run
from nas.tracking_place import tracking_address
from tests.nas.clusters import started
from tests.nas.runs import SMALL, TRIALS, drive, schedule_of
from tests.nas.written import small_run, write
from tests.trials import buckets
from trials.plain import to_plain
from trials.recipe import STANDARD
from trials.record import Trial, TrialRecord


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with buckets.server() as port:
        yield port


@pytest.fixture
def url(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    buckets.lead(monkeypatch, port, tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return buckets.fresh()


def untimed(records: list[TrialRecord]) -> list[dict[str, Any]]:
    bare = [
        replace(record, curve=tuple(replace(each, at=0.0, load=None) for each in record.curve))
        for record in sorted(records, key=lambda record: record.trial.id)
    ]
    return [
        {name: value for name, value in to_plain(record).items() if name not in ("started", "finished")}
        for record in bare
    ]


@pytest.mark.parametrize("copied", [False, True])
def test_a_killed_driver_goes_on_from_the_bucket_to_the_same_records(
    url: str, tmp_path: Path, copied: bool
) -> None:
    drive(schedule_of(SMALL, tmp_path / "undisturbed"))
    handed_out: list[str] = []

    def third_search(trial: Trial) -> bool:
        handed_out.append(trial.id)
        return trial.id == "digits@rows=200.twin.search.0.0002"

    first = drive(schedule_of(SMALL, url), until=third_search)  # then the schedule is dropped
    assert len(first) < TRIALS
    directory = open_run(url)
    if copied:
        assert compact(directory.storage) == len(first) - 1
    again = drive(schedule_of(SMALL, url, resume=True))
    assert again[0] == first[-1] and len(first) + len(again) == TRIALS + 1
    records, unreadable = directory.read_records()
    assert not unreadable and len(records) == TRIALS
    assert untimed(records) == untimed(RunDirectory(tmp_path / "undisturbed").read_records()[0])
    assert not [name for name in directory.storage.names() if name.endswith((".pt", "checkpoint.json"))]
    assert (COPY in directory.storage.names()) == copied


def test_a_paused_trial_goes_on_from_its_checkpoint_in_the_bucket(url: str) -> None:
    schedule = schedule_of(SMALL, url)
    drive(schedule, checkpoints=f"{url}/trials", pause=("digits@rows=200.twin.population.0.0001", 2))
    state = schedule.directory.folder("digits@rows=200.twin.population.0.0001").get("checkpoint.json")
    assert state is not None and [each["epoch"] for each in json.loads(state)["curve"]] == [1, 2]
    drive(schedule_of(SMALL, url, resume=True), checkpoints=f"{url}/trials")
    assert len(open_run(url).read_records()[0]) == TRIALS


def test_it_is_held_by_one(url: str) -> None:
    storage, said = RunDirectory(url).storage, list[str]()
    take(storage, said.append).release()
    silent = take(storage, said.append)
    third = take(storage, said.append, patience=1.0)
    assert f"its hold on {url}" in said[-1]
    silent.release()
    now = holder(storage)
    assert now is not None and not now.released
    third.require()
    third.release()
    assert holder(storage) is None


def test_another_program_s_bucket_is_left_alone(url: str) -> None:
    directory = RunDirectory(url)
    directory.storage.put("thesis/chapter-1.tex", b"mine")
    with pytest.raises(ValueError, match="is not empty and holds no run; take another --run-dir"):
        directory.refuse_foreign()
    with pytest.raises(ValueError, match="holds no run"):
        open_run(url)
    assert directory.storage.names() == ["thesis/chapter-1.tex"]


def test_it_is_compared_and_shown_as_a_folder_is(url: str, tmp_path: Path) -> None:
    local = write(tmp_path / "written", small_run())
    for name in local.storage.names():
        data = local.storage.get(name)
        assert data is not None
        RunDirectory(f"{url}/written").storage.put(name, data)
    RunDirectory(f"{url}/written").storage.put("figures/99.old.svg", b"of an earlier report")
    for where in (f"{url}/written/", str(local)):
        done = CliRunner().invoke(app, ["compare", where], catch_exceptions=False)
        assert done.exit_code == 0 and f"report: {where.rstrip('/')}/report.html" in done.output
        shown = CliRunner().invoke(app, ["show", where], catch_exceptions=False)
        assert "32 of 32 issued trials have ended" in " ".join(shown.output.split())
    there, here = RunDirectory(f"{url}/written").storage, local.storage
    assert there.names() == here.names() and "figures/99.old.svg" not in there.names()
    assert [name for name in here.names() if there.get(name) != here.get(name)] == []


def test_mlflow_keeps_its_own_files_of_a_remote_run_among_the_user_s(url: str, tmp_path: Path) -> None:
    info = RunInfo(
        id="0123abcd", created=0.0, version="0", tracking_uri=None, recipe=STANDARD, tasks=(), spaces=()
    )
    folder = tmp_path / "data/nas-flexconv/0123abcd"
    assert tracking_address(RunDirectory(url), info) == f"sqlite:///{folder}/mlflow.db" and folder.is_dir()
    assert tracking_address(RunDirectory(tmp_path), info) == f"sqlite:///{tmp_path}/mlflow.db"
    named = replace(info, tracking_uri="http://mlflow:5000")
    assert tracking_address(RunDirectory(url), named) == "http://mlflow:5000"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            "s3://key:secret@bucket/run",
            "a URL must not hold credentials, got s3://...; set AWS_ACCESS_KEY_ID",
        ),
        ("ftp://host/run", "a run is kept in a folder, s3:// or gs://, got ftp://..."),
        ("s3://nobody/run", "s3://nobody/run cannot be written: The specified bucket does not exist"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_one_line(url: str, where: str, said: str) -> None:
    command = [sys.executable, "-c", "from nas.cli import main; main()", "run", "smoke", "--run-dir", where]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "secret" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_over_a_cluster_ends_in_the_bucket_also_after_an_interrupt(url: str, tmp_path: Path) -> None:
    settings = (
        "rows=200 epochs=3 population=3 repeats=0 seeds=2 search_trials=3 finalist_seeds=1 grace_epochs=1"
    )
    command = [sys.executable, "-c", "from nas.cli import main; main()", "run", "smoke", "--tasks", "digits"]
    command += ["--run-dir", url, *(word for each in settings.split() for word in ("--set", each))]
    storage = RunDirectory(url).storage
    with started(command, cwd=tmp_path) as first:
        while first.poll() is None and not any(name.endswith("record.json") for name in storage.names()):
            time.sleep(0.2)
        before = {
            name: storage.get(name) for name in storage.names("trials/") if name.endswith("record.json")
        }
        first.send_signal(signal.SIGINT)
        output = first.communicate()[0]
    assert first.returncode == 130, output
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"report:        {url}/report.html" in done.stdout and url in done.stdout
    directory = open_run(url)
    found = directory.read()
    assert not found.unreadable and not found.damaged
    assert {each.id for each in found.trials} == {each.trial.id for each in found.records}
    assert {each.status for each in found.records} <= {"completed", "stopped"}
    assert before and all(storage.get(name) == data for name, data in before.items())
    names = storage.names()
    assert {"config.json", "run.json", "planned.json", "report.html", "report.json", COPY} <= set(names)
    assert not [name for name in names if name.endswith("checkpoint.pt")]
    finalists = {each.trial.id for each in found.records if each.trial.study.kind == "finalist"}
    for kept in ("weights.safetensors", "predictions.parquet"):
        assert {name.split("/")[1] for name in names if name.endswith(kept)} == finalists
    exported = export(url, task="digits@rows=200", space="flexconv", to=tmp_path / "network")
    assert exported.trial in finalists and (tmp_path / "network/model.pt2").exists()
    assert not list(tmp_path.glob("**/record.json")) and list(tmp_path.glob("data/nas-flexconv/*/mlflow.db"))
    secrets = [name for name in names if b"secret" in (storage.get(name) or b"")]
    assert secrets == []
