"""Where a run logs, who may know the password there, what no proxy may see, and where its pages are."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from nas.run_directory import RunDirectory
from nas.tracking import Store
from nas.tracking_place import checked_uri, without_credentials
from tests.nas.clusters import descendants, free_port, of_sessions, started
from tests.nas.mlflow_servers import Server, guarded_server, postgres, token_server, without_mlflow
from tests.nas.mlflow_views import views_of
from tests.nas.test_tracking import a_few, runs_of

FEW = "population=2 repeats=0 seeds=1 search_trials=2 finalist_seeds=1 search_seeds=1 epochs=2 grace_epochs=1"
WATCHED = """
import os
from pathlib import Path
import numpy as np
from trials.dataset import ArrayPart, Dataset


def watched() -> Dataset:
    file = Path({folder!r}) / f"{{os.getpid()}}.environment"
    file.write_text(Path("/proc/self/environ").read_text() + "\\0" + repr(dict(os.environ)))
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    images = (rng.normal(size=(400, 1, 8, 8)) + labels[:, None, None, None]).astype(np.float32)
    return Dataset(train=ArrayPart(images, labels), class_names=("low", "high"))
"""
OF_DATABASES = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLKEY", "MYSQL_PWD")
NAS = [sys.executable, "-c", "from nas.cli import main; main()"]


@pytest.mark.slow
def test_a_token_and_an_authority_of_ones_own_let_in_and_nothing_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_server(tmp_path) as server:
        for without in server.environment:
            with monkeypatch.context() as patch:
                for name, value in server.environment.items():
                    if name != without:
                        patch.setenv(name, value)
                with pytest.raises(MlflowException, match=r"401|certificate"):
                    Store(server.uri, "few", None)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = Store(server.uri, "few", None)
        for each in a_few():
            store.end(each)
        assert {each.trial.id for each in a_few()} <= runs_of(server.uri, "few").keys()


@pytest.mark.slow
def test_a_killed_server_comes_back_with_what_it_had(own_server: Server) -> None:
    Store(own_server.uri, "killed", None).end(a_few()[0])
    own_server.kill()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(own_server.uri, timeout=5)
    own_server.start()
    assert a_few()[0].trial.id in runs_of(own_server.uri, "killed")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://me:secret@host:5000", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("https://me@host", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ("postgresql://me:secret@host/db", "must hold no user or password"),
        ("postgresql://host/db?password=secret", "must hold no password"),
        ("localhost:5000", "a tracking URI is http://host:port"),
        ("mlruns", "a tracking URI is http://host:port"),
        ("file:///tmp/mlruns", "a tracking URI is http://host:port"),
        ("sqlite://", "a tracking URI is http://host:port"),
    ],
)
def test_an_address_that_cannot_be_written_down_or_used_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        checked_uri(uri)
    assert "secret" not in str(refused.value)


def test_an_sqlite_file_means_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert checked_uri("sqlite:///trials.db") == f"sqlite:///{tmp_path}/trials.db"
    for uri in (f"sqlite:///{tmp_path}/trials.db", "postgresql://me@host/db", "https://host", "databricks"):
        assert checked_uri(uri) == uri
    assert checked_uri("") is None


def test_what_starts_without_credentials_has_those_of_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = {"AWS_SECRET_ACCESS_KEY": "a", "PGUSER": "b"}, ("MLFLOW_TRACKING_TOKEN", *OF_DATABASES)
    for name, value in {**theirs, **dict.fromkeys(ours, "c")}.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with without_credentials():
        assert not set(ours) & set(os.environ) and theirs.items() <= os.environ.items()
    assert os.environ == before


@pytest.mark.slow
def test_the_driver_logs_behind_a_password_that_no_worker_has_and_past_a_dead_proxy(tmp_path: Path) -> None:
    """Of flag and variable the flag counts; loopback is not sent through the proxy, which does not exist."""
    (tmp_path / "mine.py").write_text(WATCHED.format(folder=str(tmp_path)))
    (tmp_path / "server").mkdir()
    proxy = f"http://127.0.0.1:{free_port()}"
    with guarded_server(tmp_path / "server") as server:
        environment = {
            **without_mlflow(),
            **server.environment,
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'unused.db'}",
            **dict.fromkeys(OF_DATABASES, "of a database"),
            "AWS_SECRET_ACCESS_KEY": "of a bucket",
        }
        for name in ("NO_PROXY", "no_proxy"):
            environment.pop(name, None)
        settings = [word for setting in FEW.split() for word in ("--set", setting)]
        command = ["run", "smoke", "--tasks", "mine.py:watched", "--run-dir", "run", *settings]
        with started([*NAS, *command, "--tracking-uri", server.uri], tmp_path, environment) as driver:
            output, _ = driver.communicate(timeout=300)
        assert driver.returncode == 0, output
        assert "MLflow is behind" not in output
        records, _ = RunDirectory(tmp_path / "run").read_records()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            (experiment,) = [name for name in experiments(server.uri) if name.startswith("smoke ")]
            assert {record.trial.id for record in records} < set(runs_of(server.uri, experiment))
    assert not (tmp_path / "unused.db").exists() and not (tmp_path / "run" / "mlflow.db").exists()
    seen = {int(file.stem): file.read_text() for file in tmp_path.glob("*.environment")}
    assert server.environment["MLFLOW_TRACKING_PASSWORD"] in seen.pop(driver.pid)
    assert {record.process for record in records} <= set(seen)
    for text in seen.values():
        assert "MLFLOW_TRACKING" not in text
        assert server.environment["MLFLOW_TRACKING_PASSWORD"] not in text
        assert not [name for name in OF_DATABASES if name in text] and "of a database" not in text
        assert "AWS_SECRET_ACCESS_KEY" in text and "of a bucket" in text  # data may lie there


def experiments(uri: str) -> list[str]:
    from mlflow import MlflowClient

    return [each.name for each in MlflowClient(tracking_uri=uri).search_experiments()]


@pytest.mark.slow
def test_the_pages_of_a_database_are_served_to_this_machine_alone(tmp_path: Path) -> None:
    """`tests.nas.test_browser` opens those of the SQLite file in a run directory."""
    settings = [word for setting in FEW.split() for word in ("--set", setting)]
    command = [*NAS, "run", "smoke", "--tasks", "digits@rows=200", "--run-dir", "run", *settings]
    environment = without_mlflow()
    with postgres() as uri:
        subprocess.run(command, cwd=tmp_path, env={**environment, "MLFLOW_TRACKING_URI": uri}, check=True)
        assert not (tmp_path / "run" / "mlflow.db").exists() and not (tmp_path / "mlruns").exists()
        assert list((tmp_path / "run" / "mlartifacts").rglob("report.html"))
        (experiment,) = [name for name in experiments(uri) if name.startswith("smoke ")]
        assert "report.html" in views_of(uri, experiment)["comparison"].files
        look_at(tmp_path, environment)


def look_at(folder: Path, environment: dict[str, str]) -> None:
    """`nas show run --ui`, from its first line to the end of every process of it."""
    with started([*NAS, "show", "run", "--ui"], folder, environment) as shown:
        assert shown.stdout is not None
        address = next(line for line in shown.stdout if line.startswith("MLflow: ")).split()[1]
        assert "everybody who is logged in here" in shown.stdout.readline()
        assert "/#/experiments/" in address
        port = int(address.split(":")[2].partition("/")[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert b"<title>MLflow</title>" in page.read()
        assert listeners(port) == {"0100007F"}
        servers = [pid for pid in descendants(shown.pid) if b"uvicorn" in commands(pid)]
        assert servers
        assert not [pid for pid in descendants(shown.pid) if b"huey" in commands(pid)]
        os.kill(shown.pid, signal.SIGHUP)  # its terminal is closed
        shown.wait(30)
        assert shown.returncode == 0
        assert not of_sessions([shown.pid])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def listeners(port: int) -> set[str]:
    """Addresses, as the kernel writes them, on which somebody listens at a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = {row[1].rpartition(":") for row in rows if row[3] == "0A"}
    return {address for address, _, hexadecimal in found if int(hexadecimal, 16) == port}


def commands(pid: int) -> bytes:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
