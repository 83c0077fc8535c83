"""Whole runs, real networks and real workers: behind a server that hangs, and killed in the middle."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from nas.config import SearchConfig
from nas.rebuilding import rebuild_into
from nas.run_directory import RunDirectory
from nas.running import run
from nas.tracking_place import experiment_of, tracking_address
from tests.nas.clusters import started
from tests.nas.mlflow_servers import Server
from tests.nas.mlflow_views import runs_of, views_of
from tests.nas.outages import mlflow_frames
from tests.nas.runs import SMALL
from trials.plain import dumps

ROOT = Path(__file__).parent.parent.parent
FEW = replace(SMALL, defaults=(), controls=(), population=2, repeats=0, seeds=1, search_trials=0)

LOOKS = """
import sys
from pathlib import Path
import numpy as np
from trials.dataset import ArrayPart, Dataset


def stripes() -> Dataset:
    'What a worker opens before each study; it says whether MLflow was imported there.'
    here = Path(__file__).parent / "workers"
    if "ray" in sys.modules and "nas.cli" not in sys.modules and "pytest" not in sys.modules:
        here.mkdir(exist_ok=True)
        (here / ("with" if "mlflow" in sys.modules else "without")).touch()
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=300)
    images = rng.normal(size=(300, 1, 8, 8)).astype(np.float32)
    images[labels == 0, :, ::3, :] += 1
    return Dataset(train=ArrayPart(images, labels), class_names=("lying", "upright"))
"""


@pytest.mark.slow
def test_a_server_that_hangs_all_along_keeps_no_run_from_its_end(own_server: Server, tmp_path: Path) -> None:
    """No thread but the writer's is ever within MLflow, nor is any worker; the records bring all of it."""
    (tmp_path / "mine.py").write_text(LOOKS)
    config = replace(FEW, tasks=(f"{tmp_path}/mine.py:stripes",), rows=None)
    inside, anywhere, over = list[str](), list[str](), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            inside.extend(mlflow_frames())
            anywhere.extend(mlflow_frames(but=""))

    own_server.pause()
    with (tmp_path / "said").open("w") as said:
        threading.Thread(target=watch, name="watch").start()
        try:
            result = run(
                config, run_dir=tmp_path / "run", tracking_uri=own_server.uri, console=Console(file=said)
            )
        finally:
            over.set()
    assert result.finished
    assert anywhere and not inside, inside[:3]
    assert [path.name for path in (tmp_path / "workers").iterdir()] == ["without"]
    text = (tmp_path / "said").read_text()
    assert text.count("MLflow is behind") == 1 and "--rebuild" in text
    own_server.go_on()
    for thread in threading.enumerate():  # in a process that has ended there is none
        if thread.name == "mlflow-writer":
            thread.join(60)
    rebuild_into(tmp_path / "run", None, lambda line: None)
    rebuild_into(tmp_path / "run", f"sqlite:///{tmp_path}/other.db", lambda line: None)
    directory = RunDirectory(tmp_path / "run")
    info = directory.info()
    assert info is not None
    experiment = experiment_of(directory, info)
    there = views_of(own_server.uri, experiment)
    assert there == views_of(f"sqlite:///{tmp_path}/other.db", experiment)
    assert {record.trial.id for record in directory.read_records()[0]} < set(there)


DRIVER = """
import sys, json
from pathlib import Path
from nas.config import SearchConfig
from nas.running import run
from trials.plain import from_plain
config = from_plain(SearchConfig, json.loads(Path(sys.argv[1]).read_text()))
sys.exit(0 if run(config, run_dir=sys.argv[2], resume=True).finished else 1)
"""


def epochs_of_running(uri: str, name: str) -> dict[str, int]:
    """Last epochs of trials that MLflow shows as running; empty as long as there is nothing to read."""
    client = MlflowClient(tracking_uri=uri)
    found = [each for each in client.search_experiments() if each.name.startswith(f"{name} ")]
    if not found:
        return {}
    runs = client.search_runs([found[0].experiment_id], "attributes.status = 'RUNNING'")
    epochs = {run.data.tags["nas.name"]: int(run.data.metrics.get("epoch", 0)) for run in runs}
    return {trial: epoch for trial, epoch in epochs.items() if epoch}


@pytest.mark.slow
def test_a_killed_run_goes_on_in_its_mlflow_runs_and_ends_as_its_records_say(
    own_server: Server, tmp_path: Path
) -> None:
    """Killed with epochs in MLflow of trials that go on: at the end it is as if nothing had been."""
    config: SearchConfig = replace(FEW, name="killed", rows=None, epochs=100)
    (tmp_path / "config.json.in").write_text(dumps(config))
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "config.json.in"), str(tmp_path / "run")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": own_server.uri}
    before: dict[str, int] = {}
    with started(command, cwd=ROOT, env=environment) as driver:
        until = time.monotonic() + 240
        while not before:
            assert time.monotonic() < until and driver.poll() is None, "no epoch of a running trial was shown"
            time.sleep(0.5)
            before = epochs_of_running(own_server.uri, "killed")
        time.sleep(2)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    directory = RunDirectory(tmp_path / "run")
    info = directory.info()
    assert info is not None
    experiment = experiment_of(directory, info)
    ids = {name: each.info.run_id for name, each in runs_of(own_server.uri, experiment).items()}
    with started(command, cwd=ROOT, env=environment) as driver:
        output, _ = driver.communicate(timeout=400)
    assert driver.returncode == 0, output
    after = {name: each.info.run_id for name, each in runs_of(own_server.uri, experiment).items()}
    assert ids.items() <= after.items() and not runs_of(own_server.uri, experiment, deleted=True)
    assert tracking_address(directory, info) == own_server.uri
    rebuild_into(tmp_path / "run", f"sqlite:///{tmp_path}/other.db", lambda line: None)
    assert views_of(own_server.uri, experiment) == views_of(f"sqlite:///{tmp_path}/other.db", experiment)
