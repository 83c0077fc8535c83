"""How long a run's records take to be shown in an empty MLflow store, and again when all is there.

python -m benchmarks.mlflow_rebuild --trials 2000               # `mlflow server` over SQLite
python -m benchmarks.mlflow_rebuild --trials 2000 --direct      # an SQLite file without a server
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from benchmarks.mlflow_trials import about, put_run, server, server_seconds
from nas.rebuilding import rebuild_into


@contextmanager
def store(folder: Path, direct: bool, workers: int) -> Iterator[tuple[str, int | None]]:
    """An empty store's address, and the process of its server."""
    if direct:
        yield f"sqlite:///{folder / 'direct.db'}", None
    else:
        with server(folder, workers) as (uri, process):
            yield uri, process.pid


def rebuild(trials: int, epochs: int, direct: bool, workers: int) -> dict[str, object]:
    """Records of so many trials, shown in an empty store, then again."""
    with tempfile.TemporaryDirectory() as name, store(Path(name), direct, workers) as (uri, leader):
        directory, took = put_run(trials, epochs, Path(name) / "run", uri), []
        for _ in range(2):
            began = time.monotonic()
            rebuild_into(str(directory), uri, lambda line: None)
            took.append(round(time.monotonic() - began, 1))
        served = None if leader is None else round(server_seconds(leader), 1)
        assert (there := runs_in(uri)) == trials + 2, there  # the study and the summary
    return {
        "trials": trials,
        "epochs": epochs,
        "store": "SQLite file" if direct else f"server, {workers} workers, over SQLite",
        "seconds": took[0],
        "seconds, nothing left to send": took[1],
        "processor seconds of the server": served,
    }


def runs_in(uri: str) -> int:
    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    count, token = 0, None
    while True:
        page = client.search_runs(experiments, page_token=token, max_results=200)
        count += len(page)
        if not (token := page.token):
            return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--workers", type=int, default=4, help="of the server; MLflow's default is 4")
    given = parser.parse_args()
    print(json.dumps(rebuild(given.trials, given.epochs, given.direct, given.workers) | about()))


if __name__ == "__main__":
    main()
