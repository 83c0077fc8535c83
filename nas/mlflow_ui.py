"""MLflow's own pages over a run's store, served on this machine alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from nas.run_directory import open_run
from nas.tracking_place import ARTIFACTS, experiment_of, has_server, tracking_address, tracking_folder

PORT = 5000
START_SECONDS = 120.0


def serve(path: Path | str, say: Callable[[str], None], port: int | None = None) -> None:
    """Run MLflow's server over the run's store until it is interrupted; a store that has a server is named.

    Args:
        path: a run directory, a path or a URL.
        say: one line for the user.
        port: to listen on; None: 5000, or any other if that is taken.

    Raises:
        ValueError: the run was never shown in MLflow, or the server ends by itself.
    """
    directory = open_run(path)
    info = directory.info()
    if info is None:
        raise ValueError(f"{path} has no run.json, so nothing was shown in MLflow")
    uri, experiment = tracking_address(directory, info), experiment_of(directory, info)
    if has_server(uri):
        say(f"the trials are at {uri}, experiment {experiment}")
        return
    port = port or _free_port()
    process = _start(uri, tracking_folder(directory, info) / ARTIFACTS, port)
    for number in (signal.SIGTERM, signal.SIGHUP):  # also where the terminal is closed
        signal.signal(number, signal.default_int_handler)
    try:
        address = f"http://127.0.0.1:{port}"
        found = _experiment_id(process, address, experiment)
        pages = f"/#/experiments/{found}/runs?workflowType=machine_learning" if found else ""
        say(f"MLflow: {address}{pages} (Ctrl-C ends it)")
        say(
            "only this machine reaches it, but everybody who is logged in here does: no password is asked for"
        )
        process.wait()
    except KeyboardInterrupt:
        return
    finally:
        _end(process)
    raise ValueError(f"MLflow's server ended with {process.returncode}; what it wrote is above")


def _start(uri: str, artifacts: Path, port: int) -> subprocess.Popen[bytes]:
    """A server on loopback, without its job runner."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--default-artifact-root", artifacts.resolve().as_uri()]
    command += [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--uvicorn-opts",
        "--log-level=warning",
    ]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(command, env={**os.environ, **settings}, process_group=0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except ProcessLookupError:
        process.wait()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ValueError("no port of this machine is free")


def _experiment_id(process: subprocess.Popen[bytes], address: str, name: str) -> str | None:
    """Wait until the server answers; None if it has no such experiment yet, or ended.

    Raises:
        ValueError: it does not answer.
    """
    asked = f"{address}/api/2.0/mlflow/experiments/get-by-name?{urlencode({'experiment_name': name})}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ends = time.monotonic() + START_SECONDS
    while process.poll() is None:
        try:
            with direct.open(asked, timeout=5) as answer:
                return str(json.load(answer)["experiment"]["experiment_id"])
        except urllib.error.HTTPError:
            return None
        except OSError:
            if time.monotonic() > ends:
                raise ValueError(f"MLflow's server did not answer within {START_SECONDS:.0f} s") from None
            time.sleep(0.2)
    return None
