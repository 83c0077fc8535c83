"""Trials as MLflow shows them.

One experiment per run of the product; in it a parent run per study and a child per trial. All of it
follows from trials and records: putting the same thing twice adds nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from nas.mlflow_client import Metric, Param, Run, RunTag, client_of
from trials.predictions import PREDICTIONS
from trials.record import EpochMetrics, Study, TestMetrics, Trial, TrialRecord
from trials.storage import Storage

PARENT = "mlflow.parentRunId"
STATUS = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
BATCH = 900  # MLflow takes 1,000 metrics a call


class Store:
    """An experiment in an MLflow tracking store.

    Args:
        uri: of the store: ``sqlite:///...`` or a server's.
        experiment: its name; made if it is not there.
        artifacts: local folder for artifacts, None to leave that to the server.
        folder: of a trial by its id, whose predictions become artifacts; None: they do not.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifacts: Path | None,
        folder: Callable[[str], Storage] | None = None,
    ) -> None:
        self._folder = folder
        self._client = client_of(uri)
        known = self._client.get_experiment_by_name(experiment)
        if known is None:
            location = artifacts.resolve().as_uri() if artifacts else None
            self.experiment_id = self._client.create_experiment(experiment, artifact_location=location)
        else:
            self.experiment_id = known.experiment_id
        self._runs: dict[str, str] = {}  # name of study or trial -> MLflow run
        self._ended: set[str] = set()
        self._steps: dict[str, int] = {}  # last epoch sent
        for run in self._all_runs():
            name = run.data.tags.get("nas.name", "")
            self._runs[name] = run.info.run_id
            self._steps[name] = int(run.data.metrics.get("epoch", 0))
            if run.info.status != "RUNNING":
                self._ended.add(name)

    def begin(self, trial: Trial, started: float) -> str:
        """The MLflow run of a trial, made if it is not there; `started` in Unix seconds."""
        if trial.id in self._runs:
            return self._runs[trial.id]
        parent = self._study(trial.study, started)
        tags = {
            PARENT: parent,
            **_tags(trial.study),
            "nas.level": "trial",
            "nas.design": trial.architecture.id,
        }
        run_id = self._create(trial.id, tags, started)
        params = {**trial.values, **_recipe(trial), "seed": trial.seed, "number": trial.number}
        if trial.selected_from:
            params["selected_from"] = trial.selected_from
        self._client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])
        return run_id

    def add(self, trial: Trial, curve: Sequence[EpochMetrics], started: float) -> None:
        """Epochs of a trial's curve; those sent before are passed over."""
        run_id = self.begin(trial, started)
        fresh = [each for each in curve if each.epoch > self._steps.get(trial.id, 0)]
        metrics = [metric for each in fresh for metric in _epoch(each, started)]
        for first in range(0, len(metrics), BATCH):
            self._client.log_batch(run_id, metrics=metrics[first : first + BATCH])
        if fresh:
            self._steps[trial.id] = fresh[-1].epoch

    def end(self, record: TrialRecord) -> None:
        """A record: the rest of its curve, final figures and status."""
        name = record.trial.id
        if name in self._ended:
            return
        self.add(record.trial, record.curve, record.started)
        run_id, at = self._runs[name], int(record.finished * 1000)
        tags = {"nas.status": record.status, "nas.commit": record.commit, "nas.device": record.device}
        if record.reason:
            tags["nas.reason"] = record.reason[:5000]
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, value, at, 0) for key, value in _final(record).items()],
            params=[Param("augmentation_applied", _joined(record.augmentation))],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        if record.test is not None and self._folder is not None:
            self._keep_predictions(run_id, self._folder(name))
        self._client.set_terminated(run_id, STATUS[record.status], at)
        self._ended.add(name)

    def finish(self, finished: float, files: Mapping[str, str], studies: Iterable[Study]) -> None:
        """Close the parents of studies that have ended and keep the report as artifacts of a summary run.

        Args:
            finished: Unix time.
            files: texts of the report, by name.
            studies: that have ended.
        """
        for study in studies:
            if study.name in self._runs and study.name not in self._ended:
                self._client.set_terminated(self._runs[study.name], "FINISHED", int(finished * 1000))
                self._ended.add(study.name)
        name = "comparison"
        run_id = self._runs.get(name) or self._create(name, {"nas.level": "comparison"}, finished)
        for file, text in files.items():
            self._client.log_text(run_id, text, file)
        self._client.set_terminated(run_id, "FINISHED", int(finished * 1000))

    def _keep_predictions(self, run_id: str, folder: Storage) -> None:
        if (data := folder.get(PREDICTIONS)) is not None:
            with tempfile.TemporaryDirectory() as copy:
                (Path(copy) / PREDICTIONS).write_bytes(data)
                self._client.log_artifact(run_id, str(Path(copy) / PREDICTIONS))

    def _study(self, study: Study, started: float) -> str:
        if study.name not in self._runs:
            self._create(study.name, {**_tags(study), "nas.level": "study"}, started)
        return self._runs[study.name]

    def _create(self, name: str, tags: dict[str, str], started: float) -> str:
        run = self._client.create_run(
            self.experiment_id,
            start_time=int(started * 1000),
            tags={**tags, "nas.name": name},
            run_name=name,
        )
        self._runs[name] = str(run.info.run_id)
        return self._runs[name]

    def _all_runs(self) -> Iterable[Run]:
        token = None
        while True:
            page = self._client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            yield from page
            if not (token := page.token):
                return


def _tags(study: Study) -> dict[str, str]:
    tags = {
        "nas.task": study.task,
        "nas.space": study.space,
        "nas.kind": study.kind,
        "nas.study": study.name,
    }
    return {**tags, "nas.source": study.source, "nas.by": study.by} if study.source else tags


def _recipe(trial: Trial) -> dict[str, object]:
    values = {each.name: getattr(trial.recipe, each.name) for each in fields(trial.recipe)}
    del values["per_space"]  # its numbers are put in
    return {"recipe": values.pop("name"), **values, "augmentation": _joined(trial.recipe.augmentation)}


def _joined(words: tuple[str, ...]) -> str:
    return "+".join(words) or "none"


def _epoch(metrics: EpochMetrics, started: float) -> list[Metric]:
    spent = metrics.seconds_data + metrics.seconds_training + metrics.seconds_evaluation
    at = int((started + spent) * 1000)
    values = {
        "epoch": float(metrics.epoch),
        "train_loss": metrics.train_loss,
        "select_error": metrics.select_error,
        "select_loss": metrics.select_loss,
        "report_error": metrics.report_error,
        "report_loss": metrics.report_loss,
    }
    for number, size in enumerate(metrics.kernel_sizes, start=1):
        values[f"taps_{number}"] = float(max(size))
    return [Metric(key, value, at, metrics.epoch) for key, value in values.items()]


def _final(record: TrialRecord) -> dict[str, float]:
    values = {
        "parameters": float(record.parameters),
        "multiply_adds": float(record.multiply_adds),
        "training_multiply_adds": float(record.training_multiply_adds),
        "training_executed": record.training_executed,
        "seconds": record.seconds,
        "seconds_setup": record.seconds_setup,
        "seconds_data": record.seconds_data,
        "seconds_training": record.seconds_training,
        "seconds_evaluation": record.seconds_evaluation,
        "seconds_waiting": record.seconds_waiting,
        "peak_memory_mb": record.peak_memory_bytes / 2**20,
        "device_share": record.device_share,
    }
    if record.peak_device_bytes is not None:
        values["peak_device_bytes"] = float(record.peak_device_bytes)
    if record.status != "failed" and record.curve:
        values["error"] = record.error
    if record.joules is not None:
        values["joules"] = record.joules
    if record.test is not None:
        values |= _test(record.test)
    return values


def _test(found: TestMetrics) -> dict[str, float]:
    """Every metric that is there, and the ends of its interval."""
    values: dict[str, float] = {}
    for name in ("error", "loss", "balanced_accuracy", "auroc"):
        if (value := getattr(found, name)) is not None:
            values[f"test_{name}"] = value
        if (interval := getattr(found, f"{name}_interval")) is not None:
            values |= {f"test_{name}_low": interval.low, f"test_{name}_high": interval.high}
    return values
