"""Where MLflow keeps what a run shows it."""

from __future__ import annotations

import os
from pathlib import Path

from nas.run_directory import RunDirectory, RunInfo


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


def experiment_of(directory: RunDirectory, info: RunInfo) -> str:
    """The name of a run's experiment in MLflow: of the configuration, and the run's id."""
    return f"{directory.config().name} {info.id}"
