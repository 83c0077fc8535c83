"""Finalists as MLflow's models: loaded back they predict what the live network predicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus
from safetensors.torch import save

from nas.exporting import export
from nas.logged_models import log_finalists
from nas.networks import RawInputs, raw_rows, stored_weights, trained
from nas.open_space import open_space
from nas.patience import Patience
from nas.rebuilding import rebuild_into
from nas.run_directory import RunDirectory, RunInfo, RunTask
from nas.tracking import Store
from nas.tracking_place import experiment_of, tracking_address
from search_spaces.network import build
from tests.nas import mlflow_servers
from tests.nas.builders import record
from tests.nas.written import write
from trials.names import WEIGHTS
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import TrialRecord
from trials.task import TaskData, open_task

T = TypeVar("T")
SPACES = ("flexconv", "twin")
Finished = tuple[RunDirectory, RunInfo, list[TrialRecord]]


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits")


def shown(store: mlflow_servers.Store, digits: TaskData, tmp_path: Path) -> Finished:
    """A run directory with a finalist of two spaces, whose weights are real; MLflow has their runs."""
    records = []
    for number, space in enumerate(SPACES):
        torch.manual_seed(number)
        design = open_space(space, digits.shape)
        architecture = design.decode(design.sample(np.random.default_rng(number)))
        each = record(space, kind="finalist", architecture=architecture, test_error=0.1, error=0.1)
        folder = tmp_path / "run" / "trials" / each.trial.id
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(save(build(architecture, digits.shape).state_dict()))
        records.append(each)
    directory = write(tmp_path / "run", records)
    known = RunTask(
        task=digits.task, shape=digits.shape, mean=digits.mean, std=digits.std, digest=digits.digest
    )
    info = RunInfo(
        id=f"{abs(hash(tmp_path)) % 16**8:08x}",
        created=0.0,
        version="0",
        tracking_uri=store.uri if store.server else None,
        recipe=STANDARD,
        tasks=(known,),
        spaces=(),
    )
    directory.put("run.json", dumps(info))
    artifacts = None if store.server else tmp_path / "run" / "mlartifacts"
    runs = Store(tracking_address(directory, info), experiment_of(directory, info), artifacts)
    for each in records:
        runs.end(each)
    return directory, info, records


@pytest.fixture
def finished(tracking_store: mlflow_servers.Store, digits: TaskData, tmp_path: Path) -> Iterator[Finished]:
    """`shown` in each kind of store."""
    yield shown(tracking_store, digits, tmp_path)
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_a_finalist_loaded_from_mlflow_predicts_what_the_live_network_does(
    finished: Finished, digits: TaskData
) -> None:
    directory, info, records = finished
    uri, said = tracking_address(directory, info), list[str]()
    for _ in range(2):  # the second time adds nothing
        assert log_finalists(directory, info, uri, said.append)
    assert said == []
    client = MlflowClient(tracking_uri=uri)
    models = models_in(uri, directory, info)
    by_trial = {model.tags["nas.name"]: model for model in models}
    assert len(models) == len(records) and set(by_trial) == {each.trial.id for each in records}
    mlflow.set_tracking_uri(uri)
    rows = digits.report.inputs[:7]
    for each in records:
        model = by_trial[each.trial.id]
        run = client.get_run(model.source_run_id)
        assert run.data.tags["nas.name"] == each.trial.id
        assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
        loaded = mlflow.pyfunc.load_model(model.model_uri)
        live = RawInputs(trained(each, stored_weights(directory, each), info.tasks[0]), info.tasks[0]).eval()
        with torch.no_grad():
            expected = live(torch.from_numpy(rows)).numpy()
        np.testing.assert_allclose(loaded.predict(rows), expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
        (given,) = loaded.metadata.signature.inputs.inputs
        assert given.shape == (-1, digits.shape.channels, *digits.shape.extent)
        assert loaded.input_example.shape[1:] == rows.shape[1:]
        needed = (Path(mlflow.artifacts.download_artifacts(model.model_uri)) / "requirements.txt").read_text()
        assert needed.split() == [f"mlflow=={mlflow.__version__}", *public("torch"), *public("numpy")]


def public(package: str) -> list[str]:
    from importlib.metadata import version

    return [f"{package}=={version(package).partition('+')[0]}"]


@pytest.mark.slow
def test_the_best_is_registered_on_request_and_its_alias_moves(finished: Finished, tmp_path: Path) -> None:
    directory, info, records = finished
    name, uri = f"digits {info.id}", tracking_address(directory, info)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    for version, (space, each) in enumerate(zip(SPACES, records), start=1):
        for again in range(2):
            done = export(
                directory.storage.root,
                task="digits",
                space=space,
                to=tmp_path / f"{space}-{again}",
                register=name,
            )
            assert done.registered.startswith(f"models:/{name}@champion (version {version}")
        chosen = client.get_model_version_by_alias(name, "champion")
        assert int(chosen.version) == version
        assert client.get_run(chosen.run_id).data.tags["nas.name"] == each.trial.id
        mlflow.set_tracking_uri(uri)
        rows = raw_rows(info.tasks[0], 3)
        program = torch.export.load(tmp_path / f"{space}-0" / "model.pt2").module()
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        np.testing.assert_allclose(loaded.predict(rows.numpy()), program(rows).detach().numpy(), rtol=1e-4)
    with pytest.raises(ValueError, match=r"does not take 'a/b'"):
        export(directory.storage.root, task="digits", space="twin", to=tmp_path / "none", register="a/b")
    assert not (tmp_path / "none").exists()


def test_a_finalist_without_weights_is_said_and_stops_nothing(
    finished: Finished,
) -> None:
    directory, info, records = finished
    (Path(directory.storage.root) / "trials" / records[1].trial.id / WEIGHTS).unlink()
    said: list[str] = []
    assert not log_finalists(directory, info, tracking_address(directory, info), said.append)
    assert len(said) == 1 and WEIGHTS in said[0]


def test_a_dead_store_is_said(finished: Finished) -> None:
    directory, info, _ = finished
    said: list[str] = []
    away = replace(info, tracking_uri="http://127.0.0.1:9")
    assert not log_finalists(directory, away, "http://127.0.0.1:9", said.append)
    assert len(said) == 1 and "127.0.0.1" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("signalled", [False, True])
def test_a_server_that_hangs_while_a_model_is_sent_holds_up_nobody(
    own_server: mlflow_servers.Server, digits: TaskData, tmp_path: Path, signalled: bool
) -> None:
    store = mlflow_servers.Store(own_server.uri, {}, own_server)
    directory, info, records = shown(store, digits, tmp_path)
    hung, said = list[float](), list[str]()
    patience = Patience(4.0, 60.0, leave=lambda: signalled and bool(hung) and time.monotonic() > hung[0] + 1)

    def ask(call: Callable[[], T], /) -> T:
        found = patience(call)
        if not hung and len(models_in(own_server.uri, directory, info)) == 2:
            own_server.pause()
            hung.append(time.monotonic())
        return found

    assert not log_finalists(directory, info, own_server.uri, said.append, ask)
    assert time.monotonic() - hung[0] < 4.0 + 16.0  # of which the program of the network
    own_server.go_on()
    why = "told to leave" if signalled else "no answer for 4 s"
    line = f"1 of 2 finalists are models in MLflow ({why}); nas show {directory} --rebuild sends the rest"
    assert said == [line]
    time.sleep(1)  # for what the server does with what it was asked meanwhile
    rebuild_into(directory.storage.root, None, said.append)
    models = models_in(own_server.uri, directory, info)
    assert [model.status for model in models] == [LoggedModelStatus.READY] * 2
    assert {model.tags["nas.name"] for model in models} == {each.trial.id for each in records}


def models_in(uri: str, directory: RunDirectory, info: RunInfo) -> list[LoggedModel]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(experiment_of(directory, info))
    assert experiment is not None
    return list(client.search_logged_models([experiment.experiment_id]))
