"""Real MLflow stores for tests: an SQLite file, and servers on loopback that can be killed and started again.

What a store needs and does not find is a failure, never a skip: a missing PostgreSQL would hide a broken one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.nas.clusters import free_port, kill_sessions

POSTGRES = Path("/usr/lib/postgresql")  # Debian's, a folder for each version
START_SECONDS = 120.0
USER = "admin"


@dataclass
class Server:
    """`mlflow server` over a database, without its job runner.

    Attributes:
        folder: for its artifacts and log.
        database: URI of its own store.
        environment: what a client needs besides the address; with basic auth, user and password.
        arguments: more, for `mlflow server`.
        settings: more, for the server's environment.
    """

    folder: Path
    database: str
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """For clients."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, at the address it had before, and wait until it answers."""
        assert self.process is None, "it runs already"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.database]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), *self.arguments]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**without_mlflow(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **self.settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _until_it_answers(self.process, self.uri, self.folder / "log")

    def kill(self) -> None:
        """SIGKILL to it and to everything that it started."""
        if self.process is not None:
            kill_sessions([self.process.pid])
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """It hangs: connections are taken and nothing is answered, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End of `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "it does not run"
        os.killpg(self.process.pid, number)


@dataclass(frozen=True)
class Store:
    """A tracking store: its address, what a client's environment must hold, its server if it has one."""

    uri: str
    environment: Mapping[str, str]
    server: Server | None = None


def without_mlflow() -> dict[str, str]:
    """This environment without what MLflow's client would read from it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true"}


def _until_it_answers(process: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with direct.open(f"{uri}/health", timeout=5):
                return
        except urllib.error.HTTPError:  # it answers, if only that it lets nobody in
            return
        except OSError:
            time.sleep(0.2)
    kill_sessions([process.pid])
    pytest.fail(f"mlflow server did not start:\n{log.read_text()[-4000:]}")


@contextmanager
def http_server(folder: Path, database: str | None = None) -> Iterator[Server]:
    """A server over SQLite, or over another database."""
    server = Server(folder, database or f"sqlite:///{folder / 'server.db'}")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def guarded_server(folder: Path) -> Iterator[Server]:
    """A server over SQLite that asks for user and password (basic auth of `mlflow[auth]`)."""
    password = secrets.token_hex(12)
    config = folder / "auth.ini"
    lines = ["[mlflow]", "default_permission = NO_PERMISSIONS", f"database_uri = sqlite:///{folder}/auth.db"]
    lines += [f"admin_username = {USER}", f"admin_password = {password}"]
    lines += ["authorization_function = mlflow.server.auth:authenticate_request_basic_auth"]
    lines += ["auth_cache_ttl_seconds = 600"]  # checking a password takes a server 0.2 s
    config.write_text("\n".join(lines) + "\n")
    server = Server(
        folder,
        f"sqlite:///{folder / 'server.db'}",
        environment={"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": password},
        arguments=("--app-name", "basic-auth"),
        settings={
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        },
    )
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def postgres() -> Iterator[str]:
    """The URI of an empty PostgreSQL database, on a socket in a private folder, run by an ordinary user."""
    programs = _postgres_programs()
    user = "nobody" if os.geteuid() == 0 else None  # it refuses root
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: names of sockets are limited
    if user is not None:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, *arguments],
            user=user,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # `pg_ctl start` leaves a server that would hold a pipe open
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            said = log.read_text() if log.exists() else ""
            pytest.fail(f"{program} ended with {done.returncode}: {said[-2000:]}")

    try:
        call("initdb", "--pgdata", str(data), "--username=mlflow", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        call("pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={log}", f"--options={options}")
        try:
            yield f"postgresql+psycopg2://mlflow@/postgres?host={folder}"
        finally:
            call("pg_ctl", "stop", "--mode=immediate", f"--pgdata={data}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    newest = sorted(POSTGRES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which("initdb")
    if found is None:
        pytest.fail(
            "PostgreSQL's initdb is neither in /usr/lib/postgresql nor on PATH: apt install postgresql"
        )
    return Path(found).resolve().parent


KINDS = ("sqlite", "http", "postgresql", "basic_auth")
"""Kinds of stores, of which all but the first take 10 to 20 s to start."""


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[Store]:
    """A store of one kind, with what it keeps in an empty folder."""
    if kind == "sqlite":
        yield Store(f"sqlite:///{folder / 'mlflow.db'}", {})
        return
    with ExitStack() as stack:
        if kind == "basic_auth":
            server = stack.enter_context(guarded_server(folder))
        else:
            database = stack.enter_context(postgres()) if kind == "postgresql" else None
            server = stack.enter_context(http_server(folder, database))
        yield Store(server.uri, server.environment, server)


@pytest.fixture(
    scope="session",
    params=[pytest.param(kind, marks=() if kind == "sqlite" else pytest.mark.slow) for kind in KINDS],
)
def any_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Each kind of store by turns; shared by tests, so each takes an experiment of its own."""
    with store_of(request.param, tmp_path_factory.mktemp(request.param)) as store:
        yield store


@pytest.fixture
def tracking_store(any_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """`any_store`, with this process allowed in."""
    for name, value in any_store.environment.items():
        monkeypatch.setenv(name, value)
    return any_store


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server over SQLite for one test, which may kill, pause and start it again."""
    with http_server(tmp_path) as server:
        yield server
