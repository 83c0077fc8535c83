"""Real MLflow stores for tests: an SQLite file, and servers on loopback that can be killed and started again.

What a store needs and does not find is a failure, never a skip: a missing PostgreSQL would hide a broken one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
        certificate: of its own authority; with it HTTPS is spoken.
    """

    folder: Path
    database: str
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """For clients."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

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
        _until_it_answers(self.process, self.uri, self.folder / "log", self.certificate)

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


def _until_it_answers(
    process: subprocess.Popen[bytes], uri: str, log: Path, certificate: Path | None
) -> None:
    trusted = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificate))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted)
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
    server = Server(
        folder,
        f"sqlite:///{folder / 'server.db'}",
        environment={"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": password},
        arguments=("--app-name", "basic-auth"),
        settings=_guards(folder, "mlflow.server.auth:authenticate_request_basic_auth", password),
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


BEARER = """
import os
from flask import make_response, request
from werkzeug.datastructures import Authorization


def check():
    if request.headers.get("Authorization") == "Bearer " + os.environ["WANTED_TOKEN"]:
        return Authorization("basic", {"username": "admin", "password": ""})
    return make_response("no such token", 401)
"""


@contextmanager
def token_server(folder: Path) -> Iterator[Server]:
    """A server over SQLite that asks for a bearer token, over HTTPS with a certificate that nobody signed."""
    token, certificate = secrets.token_hex(12), certified(folder)
    (folder / "bearer.py").write_text(BEARER)
    ssl_files = f"--ssl-certfile {certificate} --ssl-keyfile {folder / 'key.pem'}"
    server = Server(
        folder,
        f"sqlite:///{folder / 'server.db'}",
        environment={
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate),
        },
        arguments=("--app-name", "basic-auth", "--uvicorn-opts", ssl_files),
        settings={
            **_guards(folder, "bearer:check", secrets.token_hex(12)),
            "WANTED_TOKEN": token,
            "PYTHONPATH": str(folder),
        },
        certificate=certificate,
    )
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _guards(folder: Path, function: str, password: str) -> dict[str, str]:
    """Settings of a server that lets in whom a function lets in."""
    config = folder / "auth.ini"
    lines = ["[mlflow]", "default_permission = NO_PERMISSIONS", f"database_uri = sqlite:///{folder}/auth.db"]
    lines += [f"admin_username = {USER}", f"admin_password = {password}"]
    lines += [f"authorization_function = {function}"]
    lines += ["auth_cache_ttl_seconds = 600"]  # checking a password takes a server 0.2 s
    config.write_text("\n".join(lines) + "\n")
    secret = secrets.token_hex(16)
    return {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": secret}


def certified(folder: Path) -> Path:
    """A certificate for 127.0.0.1 in ``certificate.pem``, signed by itself; its key in ``key.pem``."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(here, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed, plain = builder.sign(key, hashes.SHA256()), serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, plain))
    (folder / "certificate.pem").write_bytes(signed.public_bytes(pem))
    return folder / "certificate.pem"


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
