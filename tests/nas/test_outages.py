"""A tracking server that dies, hangs, refuses or comes late: nobody waits, nothing is lost or doubled."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nas.tracking import PARENT, Store
from nas.writer import Writer
from tests.nas.mlflow_servers import Server
from tests.nas.mlflow_views import View, runs_of, views_of
from tests.nas.outages import failing, mlflow_frames, play, trials, wanted

ROOT = Path(__file__).parent.parent.parent
QUICK = 0.2
"""Seconds that a call of the writer may take on a busy machine; a call of a server that hangs takes 10."""


def of_trials(views: dict[str, View]) -> dict[str, View]:
    """Without the parents, whose state depends on the run's end."""
    return {name: view for name, view in views.items() if view.parent is not None}


def once_each(said: list[str]) -> None:
    assert [line.partition(" (")[0] for line in said] == ["MLflow is behind", "MLflow has caught up"], said


@pytest.mark.slow
def test_a_server_killed_in_mid_run_and_started_again_has_everything_once(
    own_server: Server, tmp_path: Path
) -> None:
    records, said = trials(), list[str]()
    writer = Writer(lambda: Store(own_server.uri, "killed", None), said.append)

    def fall(epoch: int) -> None:
        if epoch == 4:
            own_server.kill()
            threading.Thread(target=own_server.start).start()

    assert play(writer, records, 1.5, fall) < QUICK
    assert writer.close(None), said
    once_each(said)
    assert of_trials(views_of(own_server.uri, "killed")) == of_trials(wanted(records, tmp_path))


@pytest.mark.slow
def test_a_server_that_hangs_keeps_no_thread_but_the_writer_s(own_server: Server, tmp_path: Path) -> None:
    records, said = trials(), list[str]()
    inside, anywhere = list[str](), list[str]()
    writer = Writer(lambda: Store(own_server.uri, "hangs", None), said.append)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            inside.extend(mlflow_frames())
            anywhere.extend(mlflow_frames(but=""))

    def hang(epoch: int) -> None:
        if epoch == 3:
            own_server.pause()
            threading.Thread(target=watch, name="watch").start()
        if epoch == 8:
            own_server.go_on()

    assert play(writer, records, 3.0, hang) < QUICK
    assert writer.close(None), said
    over.set()
    once_each(said)
    assert anywhere and not inside
    assert of_trials(views_of(own_server.uri, "hangs")) == of_trials(wanted(records, tmp_path))


@pytest.mark.slow
def test_closing_does_not_wait_for_ever_and_a_rebuild_brings_the_rest(
    own_server: Server, tmp_path: Path
) -> None:
    records, said = trials(), list[str]()
    writer = Writer(lambda: Store(own_server.uri, "never", None), said.append)
    writer.ended(records[0])
    time.sleep(8)
    own_server.pause()
    for each in records[1:]:
        writer.ended(each)
    began = time.monotonic()
    assert not writer.close(None, patience=4.0)
    assert time.monotonic() - began < 10
    assert "--rebuild" in said[-1]
    own_server.go_on()
    store = Store(own_server.uri, "never", None)
    for each in records:
        store.end(each)
    store.tidy()
    assert of_trials(views_of(own_server.uri, "never")) == of_trials(wanted(records, tmp_path))


@pytest.mark.slow
def test_a_server_that_comes_late(tmp_path: Path) -> None:
    records, said = trials(), list[str]()
    server = Server(tmp_path, f"sqlite:///{tmp_path / 'server.db'}")
    writer = Writer(lambda: Store(server.uri, "late", None), said.append)
    try:
        assert play(writer, records, 0.5) < QUICK
        server.start()
        assert writer.close(None), said
        once_each(said)
        assert of_trials(views_of(server.uri, "late")) == of_trials(wanted(records, tmp_path))
    finally:
        server.kill()


@pytest.mark.slow
def test_a_database_that_is_locked_for_half_a_minute(tmp_path: Path) -> None:
    records, said, file = trials(), list[str](), tmp_path / "mlflow.db"
    uri = f"sqlite:///{file}"
    Store(uri, "locked", tmp_path / "artifacts")
    writer = Writer(lambda: Store(uri, "locked", tmp_path / "artifacts"), said.append)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def lock(epoch: int) -> None:
        if epoch == 3:
            other.execute("BEGIN EXCLUSIVE")
            threading.Timer(30, other.execute, ["ROLLBACK"]).start()

    assert play(writer, records, 1.0, lock) < QUICK
    assert writer.close(None, patience=60), said
    other.close()
    once_each(said)
    assert of_trials(views_of(uri, "locked")) == of_trials(wanted(records, tmp_path))


@pytest.mark.slow
def test_a_server_that_fails_on_every_third_call(own_server: Server, tmp_path: Path) -> None:
    """Also calls that it carried out: a run must not be made twice for them."""
    records, said = trials(), list[str]()
    with failing(own_server.uri) as uri:
        writer = Writer(lambda: Store(uri, "thirds", None), said.append)
        assert play(writer, records, 1.0) < QUICK
        assert writer.close(None), said
    assert of_trials(views_of(own_server.uri, "thirds")) == of_trials(wanted(records, tmp_path))
    assert not runs_of(own_server.uri, "thirds", deleted=True), "none was made twice and removed"


FULL = """
import sys, time
from dataclasses import replace
from pathlib import Path
disk, folder = Path(sys.argv[1]), Path(sys.argv[2])

from nas.run_directory import RunDirectory
from nas.tracking import PARENT, Store
from nas.writer import Writer
from tests.nas.builders import record
from tests.nas.mlflow_views import runs_of, views_of

uri, said = f"sqlite:///{folder / 'mlflow.db'}", []
finalist = record(number=0, kind="finalist", test_error=0.07)
others = [record(number=number) for number in range(1, 6)]
RunDirectory(folder).folder(finalist.trial.id).put("predictions.parquet", b"PAR1" * 1000)
(disk / "others").write_bytes(b"")
with open(disk / "others", "ab", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * 4096)
    except OSError:
        pass
writer = Writer(lambda: Store(uri, "full", disk, RunDirectory(folder).folder), said.append)
for each in (finalist, *others):
    writer.ended(each)
until = time.monotonic() + 60
while not said or len(runs_of(uri, "full")) < 6 + 2:
    assert time.monotonic() < until, said
    time.sleep(0.5)
assert "No space left on device" in said[0], said
time.sleep(3)
runs = runs_of(uri, "full")
assert {runs[each.trial.id].info.status for each in (finalist, *others)} == {"FINISHED"}
(disk / "others").unlink()
assert writer.close(None), said
assert views_of(uri, "full")[finalist.trial.id].files == ("predictions.parquet",)
assert [line.partition(" (")[0] for line in said] == ["MLflow is behind", "MLflow has caught up"], said
print("ok")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="disks of one's own are Linux's")
def test_an_artifact_store_that_is_full_keeps_nothing_else_back(tmp_path: Path) -> None:
    script, disk = tmp_path / "script.py", tmp_path / "disk"
    disk.mkdir()
    script.write_text(FULL)
    inside = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3" "$1" "$4"'
    own = ["unshare", "--user", "--map-root-user", "--mount"]  # a disk that only this command sees
    command = [*own, "sh", "-c", inside, "sh", str(disk), sys.executable, str(script), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.strip().endswith("ok"), done.stdout + done.stderr


def test_of_two_runs_of_one_name_one_stays_with_all_children(tmp_path: Path) -> None:
    """What a call leaves that failed for the client and was carried out late: trials, and parents."""
    uri, (one, two, *_) = f"sqlite:///{tmp_path / 'mlflow.db'}", trials()
    store = Store(uri, "doubled", tmp_path / "artifacts")
    store.end(one)
    client, study = MlflowClient(tracking_uri=uri), one.trial.study.name
    client.create_run(store.experiment_id, start_time=1, tags={"nas.name": one.trial.id})
    parent = client.create_run(store.experiment_id, start_time=2, tags={"nas.name": study})
    tags = {"nas.name": two.trial.id, PARENT: parent.info.run_id}
    client.create_run(store.experiment_id, start_time=3, tags=tags)
    store.tidy()
    store.end(two)
    runs = runs_of(uri, "doubled")
    assert set(runs) == {one.trial.id, two.trial.id, study}
    assert {runs[each.trial.id].data.tags[PARENT] for each in (one, two)} == {runs[study].info.run_id}
    assert runs[one.trial.id].data.params and set(runs_of(uri, "doubled", deleted=True)) == {
        one.trial.id,
        study,
    }


def test_a_run_that_was_made_and_has_nothing_yet_is_gone_on_with(tmp_path: Path) -> None:
    """The driver was killed between two calls."""
    uri, [one, *_] = f"sqlite:///{tmp_path / 'mlflow.db'}", trials()
    before = Store(uri, "begun", tmp_path / "artifacts")
    tags = {"nas.name": one.trial.id}
    made = MlflowClient(tracking_uri=uri).create_run(before.experiment_id, start_time=1, tags=tags)
    Store(uri, "begun", tmp_path / "artifacts").end(one)
    run = runs_of(uri, "begun")[one.trial.id]
    assert run.info.run_id == made.info.run_id and run.info.status == "FINISHED" and run.data.params
