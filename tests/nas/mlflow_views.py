"""What an MLflow store holds of a run, so that two stores can be compared: without ids of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from nas.tracking import PARENT

OWN = ("mlflow.user", "mlflow.source.", "mlflow.artifactLocation")
"""Tags that MLflow's client makes by itself."""


@dataclass(frozen=True)
class View:
    """A run: parameters, tags, state, name of its parent, every point of every metric, data sets, files."""

    params: dict[str, str]
    tags: dict[str, str]
    status: str
    parent: str | None
    points: tuple[tuple[str, int, float, int], ...]
    data: tuple[tuple[str, str, str], ...]
    files: tuple[str, ...]


def runs_of(uri: str, experiment: str, deleted: bool = False) -> dict[str, Run]:
    """Runs by the name that we gave them, of which there is one of each."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    kind = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    runs: list[Run] = []
    token = None
    while token is not None or not runs:
        page = client.search_runs([found.experiment_id], run_view_type=kind, page_token=token)
        runs += page
        if not (token := page.token):
            break
    names = [run.data.tags["nas.name"] for run in runs]
    assert len(names) == len(set(names)), "two runs of one name"
    return dict(zip(names, runs))


def views_of(uri: str, experiment: str) -> dict[str, View]:
    """Everything of an experiment, by the names of its runs."""
    client = MlflowClient(tracking_uri=uri)
    runs = runs_of(uri, experiment)
    names = {run.info.run_id: name for name, run in runs.items()}
    return {name: _view(client, run, names) for name, run in runs.items()}


def _view(client: MlflowClient, run: Run, names: dict[str, str]) -> View:
    tags = dict(run.data.tags)
    parent = tags.pop(PARENT, None)
    points = [
        (metric.key, metric.step, metric.value, metric.timestamp)
        for key in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, key)
    ]
    assert len(points) == len(set(points)), "a point is there twice"
    return View(
        params=dict(run.data.params),
        tags={name: text for name, text in tags.items() if not name.startswith(OWN)},
        status=run.info.status,
        parent=None if parent is None else names[parent],
        points=tuple(sorted(points)),
        data=tuple((each.dataset.name, each.dataset.digest, each.dataset.source) for each in _inputs(run)),
        files=tuple(_files(client, run.info.run_id)),
    )


def _inputs(run: Run) -> list[object]:
    return list(run.inputs.dataset_inputs)


def _files(client: MlflowClient, run_id: str, folder: str | None = None) -> list[str]:
    found: list[str] = []
    for each in client.list_artifacts(run_id, folder):
        found += _files(client, run_id, each.path) if each.is_dir else [each.path]
    return sorted(found)
