"""A registered network behind `mlflow models serve`: over HTTP it answers what the network says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.networks import RawInputs, stored_weights, trained
from nas.tracking import Store
from nas.tracking_place import artifact_folder, experiment_of, tracking_address
from tests.nas.clusters import free_port, kill_sessions
from tests.nas.exporting.runs import trained_run
from tests.nas.mlflow_servers import START_SECONDS, without_mlflow
from tests.nas.test_cli import nas
from trials.task import open_task

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def served(model: str, store: str, log: Path) -> Iterator[str]:
    """`mlflow models serve` on loopback; its address."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model]
    command += ["-h", "127.0.0.1", "-p", str(port), "--env-manager", "local"]
    activated = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**without_mlflow(), "PATH": activated, "MLFLOW_TRACKING_URI": store},  # it calls uvicorn
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                with DIRECT.open(f"http://127.0.0.1:{port}/ping", timeout=5):
                    break
            except OSError:
                said = log.read_text(errors="replace")
                assert process.poll() is None and time.monotonic() < ends, said[-4000:]
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        kill_sessions([process.pid])
        process.wait()


def asked(address: str, rows: object) -> Any:
    """What the server answers to rows."""
    body = json.dumps({"inputs": rows}).encode()
    request = urllib.request.Request(
        f"{address}/invocations", body, {"Content-Type": "application/json"}, method="POST"
    )
    with DIRECT.open(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["digits@rows=200", "tests.trials.examples:ringing"])
def test_a_registered_network_is_served_and_answers_real_rows(task: str, tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run", (task, "flexconv"), epochs=1)
    info = run.info()
    assert info is not None
    uri, (finalist,) = tracking_address(run, info), run.read_records()[0]
    Store(uri, experiment_of(run, info), artifact_folder(uri, run, info)).end(finalist)
    done = nas("export", str(run.path), "--to", str(tmp_path / "network"), "--register", "best")
    assert done.returncode == 0, done.stderr
    assert f"registered: models:/best@champion (version 1) at {uri}" in done.stdout

    rows = open_task(task).report.inputs[:5]
    (known,) = info.tasks
    live = RawInputs(trained(finalist, stored_weights(run, finalist), known), known).eval()
    with torch.no_grad():
        expected = live(torch.from_numpy(rows)).numpy()
    with served("models:/best@champion", uri, tmp_path / "served.log") as address:
        for count in (1, 5):
            found = np.asarray(asked(address, rows[:count].tolist()), np.float32)
            np.testing.assert_allclose(found, expected[:count], rtol=0, atol=1e-4 * np.abs(expected).max())
        with pytest.raises(urllib.error.HTTPError, match="400"):
            asked(address, [[1.0, 2.0]])
