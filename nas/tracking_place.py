"""Where MLflow keeps what a run shows it, and what reaching it needs of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from nas.run_directory import RunDirectory, RunInfo

ARTIFACTS = "mlartifacts"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OURS = ("MLFLOW_", "DATABRICKS_")
"""How the names of MLflow's variables begin: addresses, passwords, tokens, certificates."""
_OF_DATABASES = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLKEY", "MYSQL_PWD")
"""Secrets, and files of them, with which a database lets MLflow in. Those of clouds stay: data lie there."""
_SECRET = re.compile("passw|pwd|secret|token", re.IGNORECASE)
"""In names of parameters; `passfile` is the name of a file."""


def checked_uri(uri: str | None) -> str | None:
    """A tracking URI as it may be written down; None for none.

    Raises:
        ValueError: it holds a user or a secret, or MLflow keeps no runs at such an address.
    """
    if not uri:
        return None
    parts = urlsplit(uri)
    if parts.password or (parts.username and parts.scheme in ("http", "https")):
        raise ValueError(
            "the tracking URI must hold no user or password, since it is written down; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD and give the address of an MLflow server"
        )
    for name, value in parse_qsl(parts.query):
        if _SECRET.search(name) or (name == "odbc_connect" and _SECRET.search(value)):
            raise ValueError(
                f"the tracking URI must hold no {name}, since it is written down; give the address of an "
                "MLflow server, or let the database's client find it (PGPASSWORD or ~/.pgpass of PostgreSQL)"
            )
    nowhere = (
        parts.scheme in ("", "file") or "://" not in uri or (parts.scheme == "sqlite" and not parts.path)
    )
    if nowhere and uri != "databricks":
        raise ValueError(
            f"a tracking URI is http://host:port, https://host, sqlite:///file.db or another database's, "
            f"got {uri!r}"
        )
    if parts.scheme == "sqlite" and not uri.startswith("sqlite:////"):  # it must mean the same from anywhere
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"
    return uri


def tracking_address(directory: RunDirectory, info: RunInfo) -> str:
    """MLflow's tracking URI of a run: the one it was given, else of an SQLite file."""
    return info.tracking_uri or f"sqlite:///{(tracking_folder(directory, info) / 'mlflow.db').resolve()}"


def tracking_folder(directory: RunDirectory, info: RunInfo) -> Path:
    """On this machine, for MLflow's own files: the run directory; of a remote one, among the user's data."""
    if directory.path is not None:
        return directory.path
    data = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    folder = Path(data) / "nas-flexconv" / info.id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def has_server(uri: str) -> bool:
    """Whether a store is reached by way of an MLflow server, which keeps artifacts and has pages."""
    return "://" not in uri or uri.startswith(("http:", "https:", "databricks:"))


def artifact_folder(uri: str, directory: RunDirectory, info: RunInfo) -> Path | None:
    """For artifacts of a store that has no server: beside an SQLite file, else with the run; or None."""
    if uri.startswith("sqlite:"):
        return Path(uri.removeprefix("sqlite:///")).parent / ARTIFACTS
    return None if has_server(uri) else tracking_folder(directory, info) / ARTIFACTS


def experiment_of(directory: RunDirectory, info: RunInfo) -> str:
    """The name of a run's experiment in MLflow: of the configuration, and the run's id."""
    return f"{directory.config().name} {info.id}"


def reach_loopback() -> None:
    """Requests of this process to this machine go there, whatever proxy the environment names."""
    inforce = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""  # as clients read them
    there = [each.strip() for each in inforce.split(",") if each.strip()]
    every = there == ["*"]  # a list with more in it would mean no longer all
    whole = "*" if every else ",".join([*there, *(each for each in LOOPBACK if each not in there)])
    os.environ.update(dict.fromkeys(("no_proxy", "NO_PROXY"), whole))  # some read only one of them


def drop_credentials() -> None:
    """Forget what MLflow's client and its store's would read: a worker never talks to MLflow."""
    for name in _credentials():
        del os.environ[name]


@contextmanager
def without_credentials() -> Iterator[None]:
    """Processes started within are given none of that."""
    kept = {name: os.environ[name] for name in _credentials()}
    drop_credentials()
    try:
        yield
    finally:
        os.environ.update(kept)


def _credentials() -> list[str]:
    return [name for name in os.environ if name.startswith(_OURS) or name in _OF_DATABASES]
