"""The same trials in every kind of MLflow store, and where a run logs."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from nas.tracking import Store
from tests.nas import mlflow_servers
from tests.nas.mlflow_servers import Server
from tests.nas.test_tracking import a_few, runs_of


def test_every_kind_of_store_takes_trials(tracking_store: mlflow_servers.Store, tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(tracking_store.uri, "kinds", None if tracking_store.server else tmp_path)
        for each in a_few():
            store.end(each)
    runs = runs_of(tracking_store.uri, "kinds")
    assert {each.trial.id for each in a_few()} < set(runs)


@pytest.mark.slow
def test_a_killed_server_comes_back_with_what_it_had(own_server: Server) -> None:
    Store(own_server.uri, "killed", None).end(a_few()[0])
    own_server.kill()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(own_server.uri, timeout=5)
    own_server.start()
    assert a_few()[0].trial.id in runs_of(own_server.uri, "killed")
