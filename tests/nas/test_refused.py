"""What MLflow will never take, or a user did there, costs no other trial anything and destroys nothing."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from requests.utils import get_environ_proxies

from nas.reading import Found
from nas.tracked import Closing, closing, parameters
from nas.tracked_runs import NOTED, PARENT
from nas.tracking import Store
from nas.tracking_place import checked_uri, reach_loopback
from nas.writer import Writer
from tests.nas.mlflow_views import runs_of
from tests.nas.outages import trials
from trials.record import TrialRecord


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite store for all tests here; each uses an experiment of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def end_of(records: list[TrialRecord]) -> Closing:
    found = Found(trials=[r.trial for r in records], damaged=[], records=records, unreadable=[])
    return closing(found, {}, {"report.html": b"x"})


def test_runs_that_a_user_deletes_stay_away_and_the_others_go_on(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.writer.FLUSH_SECONDS", 0.1)
    records, said = trials(), list[str]()
    ours, theirs = records[4:], {each.trial.id for each in records[:4]}
    client, writer = (
        MlflowClient(tracking_uri=uri),
        Writer(lambda: Store(uri, "deleted", tmp_path), said.append),
    )
    for each in records:
        writer.epoch(each.trial, None)
    limit = time.monotonic() + 60
    while client.get_experiment_by_name("deleted") is None or len(runs_of(uri, "deleted")) < 8:
        assert time.monotonic() < limit
        time.sleep(0.1)
    for name, run in runs_of(uri, "deleted").items():
        if name in theirs:
            client.delete_run(run.info.run_id)
    for each in records:
        writer.epoch(each.trial, each.curve[0])
        writer.kept(each.trial, 1)
    while not all(runs_of(uri, "deleted")[each.trial.id].data.metrics.get("epoch") == 1 for each in ours):
        assert time.monotonic() < limit
        time.sleep(0.1)
    for each in records:
        writer.ended(each)
    assert writer.close(end_of(records), patience=20.0)
    runs = runs_of(uri, "deleted")
    assert not theirs & runs.keys()
    assert {runs[each.trial.id].info.status for each in ours} == {"FINISHED"}
    assert runs["comparison"].info.status == "FINISHED"
    assert len(said) == 1 and said[0].startswith("MLflow refuses some of it for good (")


def test_a_parent_that_a_user_deletes_keeps_no_report_back(uri: str, tmp_path: Path) -> None:
    records, client = trials(), MlflowClient(tracking_uri=uri)
    store = Store(uri, "parents", tmp_path)
    for each in records:
        store.end(each)
    client.delete_run(runs_of(uri, "parents")[records[0].trial.study.name].info.run_id)
    said: list[str] = []
    writer = Writer(lambda: store, said.append)
    assert writer.close(end_of(records))
    runs = runs_of(uri, "parents")
    assert runs["comparison"].info.status == runs[records[2].trial.study.name].info.status == "FINISHED"
    assert len(said) == 1


def test_a_copy_of_a_run_that_a_user_made_stays(uri: str, tmp_path: Path) -> None:
    client, [one, *_] = MlflowClient(tracking_uri=uri), trials()
    store = Store(uri, "copied", tmp_path)
    store.end(one)
    (run,) = [each for name, each in runs_of(uri, "copied").items() if name == one.trial.id]
    copied = client.create_run(store.experiment_id, tags=run.data.tags)
    client.log_metric(copied.info.run_id, "mine", 1.0)
    noted = client.create_run(store.experiment_id, tags={**run.data.tags, NOTED: "mine"})
    Store(uri, "copied", tmp_path).end(one)
    for each in (run, copied, noted):
        assert client.get_run(each.info.run_id).info.lifecycle_stage == "active"


def test_a_deleted_experiment_is_named_with_the_way_back(uri: str, tmp_path: Path) -> None:
    store = Store(uri, "gone", tmp_path)
    MlflowClient(tracking_uri=uri).delete_experiment(store.experiment_id)
    with pytest.raises(
        Exception, match=f"'gone' is deleted: mlflow experiments restore -x {store.experiment_id}"
    ):
        Store(uri, "gone", tmp_path)


def test_many_parameters_arrive_although_calls_fail_in_between(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, *_] = trials()
    many = replace(one, trial=replace(one.trial, values={f"c{n:03}": n for n in range(150)}))
    store, calls = Store(uri, "many", tmp_path), 0
    send = store._client.log_batch

    def fails_at_times(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls in (2, 3, 5, 6):
            raise OSError("503")
        send(*arguments)

    monkeypatch.setattr(store._client, "log_batch", fails_at_times)
    for _ in range(2):
        with pytest.raises(OSError, match="503"):
            store.end(many)
    store.end(many)
    there = runs_of(uri, "many")[many.trial.id]
    assert there.info.status == "FINISHED" and parameters(many.trial, None).keys() <= there.data.params.keys()


def test_a_parent_runs_again_with_its_children(uri: str, tmp_path: Path) -> None:
    [one, *_] = trials()
    store = Store(uri, "again", tmp_path)
    store.wait(one.trial, one.started)
    store.finish(replace(end_of([one]), done=False, studies=()))
    later = Store(uri, "again", tmp_path)
    later.add(one.trial, one.curve[:2], one.started)
    runs = runs_of(uri, "again")
    child, parent = runs[one.trial.id], runs[one.trial.study.name]
    assert child.data.tags[PARENT] == parent.info.run_id
    assert child.info.status == parent.info.status == "RUNNING" == parent.data.tags["nas.status"].upper()


def test_no_text_holds_what_a_database_cannot_keep(uri: str, tmp_path: Path) -> None:
    one = replace(trials()[0], status="failed", reason="ValueError: \0 in a name")
    Store(uri, "zeros", tmp_path).end(one)
    assert runs_of(uri, "zeros")[one.trial.id].data.tags["nas.reason"] == "ValueError:  in a name"


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({"NO_PROXY": ".corp.example"}, True),
        ({"NO_PROXY": "*"}, True),
        ({"no_proxy": "*"}, True),
        ({}, False),
    ],
)
def test_loopback_is_reached_past_a_proxy_and_what_others_except_stays_so(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], direct: bool
) -> None:
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        **given,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", given.get("no_proxy", ""))  # so that it is put back
    monkeypatch.setenv("NO_PROXY", given.get("NO_PROXY", ""))
    reach_loopback()
    assert get_environ_proxies("http://127.0.0.1:5000") == {}
    assert (get_environ_proxies("https://mlflow.corp.example") == {}) is direct


def test_a_password_inside_a_driver_s_own_text_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold no odbc_connect"):
        checked_uri("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2")
