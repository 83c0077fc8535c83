"""Networks as MLflow's models, and the registry of those that were chosen."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, TypeVar

from nas.mlflow_client import (
    LoggedModelOutput,
    LoggedModelStatus,
    MlflowException,
    Model,
    ModelSignature,
    PagedList,
    client_of,
    infer_signature,
    save_network,
)
from nas.patience import Ask, OutOfPatience, directly

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

T = TypeVar("T")


class Models:
    """Finalists of an experiment as MLflow's models.

    Args:
        uri: of the store.
        experiment: its name.
        ask: what makes calls of the store.

    Attributes:
        runs: MLflow runs of finalists, by trial.
        known: ids of models that are complete, by trial.
    """

    def __init__(self, uri: str, experiment: str, ask: Ask = directly) -> None:
        self._ask, self._client = ask, ask(partial(client_of, uri))
        there = ask(partial(self._client.get_experiment_by_name, experiment))
        self._where = [there.experiment_id] if there else []
        query = "tags.`nas.kind` = 'finalist' and tags.`nas.level` = 'trial'"
        runs = ask(lambda: _all(partial(self._client.search_runs, self._where, query)))
        self.runs = {run.data.tags["nas.name"]: run for run in runs}
        models = ask(lambda: _all(partial(self._client.search_logged_models, self._where)))
        self.known: dict[str, str] = {}
        self._halves: dict[str, str] = {}  # whoever made them was cut short
        for model in models:
            complete = model.status == LoggedModelStatus.READY
            if (trial := model.tags.get("nas.name")) is not None:
                (self.known if complete else self._halves)[trial] = model.model_id

    def log(self, trial: str, network: nn.Module, example: NDArray[np.float32]) -> str:
        """A network that takes `example` (rows, channels, *extent) and gives logits (rows, classes)."""
        import torch

        run = self.runs[trial]
        if (half := self._halves.pop(trial, None)) is not None:
            self._ask(partial(self._client.delete_logged_model, half))
        with torch.no_grad():
            signature = infer_signature(example, network(torch.from_numpy(example)).numpy())
        tags = {key: text for key, text in run.data.tags.items() if key.startswith("nas.")}
        place = self._where[0], _model_name(trial), run.info.run_id, tags, run.data.params, "classifier"
        made = self._ask(partial(self._client.create_logged_model, *place))
        try:
            self._complete(made.model_id, run.info.run_id, network, example, signature)
        except OutOfPatience:
            raise
        except BaseException:
            with suppress(Exception):  # else it stays there, as one that is not ready
                self._ask(partial(self._client.delete_logged_model, made.model_id))
            raise
        self.known[trial] = made.model_id
        return str(made.model_id)

    def _complete(
        self,
        model_id: str,
        run_id: str,
        network: nn.Module,
        example: NDArray[np.float32],
        signature: ModelSignature,
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            save_network(
                network,
                f"{folder}/model",
                mlflow_model=Model(run_id=run_id, model_uuid=model_id, model_id=model_id),
                signature=signature,
                input_example=example,
                pip_requirements=[f"{name}=={_public(name)}" for name in ("mlflow", "torch", "numpy")],
                serialization_format="pt2",
            )
            self._ask(partial(self._client.log_model_artifacts, model_id, f"{folder}/model"))
        self._ask(partial(self._client.log_outputs, run_id, [LoggedModelOutput(model_id, step=0)]))
        self._ask(partial(self._client.finalize_logged_model, model_id, LoggedModelStatus.READY))  # last

    def register(self, model_id: str, name: str, alias: str) -> tuple[int, int | None]:
        """A version of a registered model that is this model, and the one that had the alias until now."""
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model = self._client.get_logged_model(model_id)
        versions = self._client.search_model_versions(f"name = '{name}'")
        version = next((each for each in versions if each.source == model.artifact_location), None)
        if version is None:
            version = self._client.create_model_version(
                name, model.artifact_location, model.source_run_id, model_id=model_id
            )
        before = self._client.get_registered_model(name).aliases.get(alias)
        self._client.set_registered_model_alias(name, alias, version.version)
        return int(version.version), None if before is None else int(before)


def _all(page: Callable[..., PagedList[T]]) -> list[T]:
    found, token = list[T](), None
    while True:
        some = page(page_token=token)
        found += some
        if not (token := some.token):
            return found


def _model_name(trial: str) -> str:
    return re.sub(r"[/:.%\"']", "-", trial)  # which MLflow does not take in names of models


def _public(package: str) -> str:
    return installed(package).partition("+")[0]  # "2.13.0+cpu" is not on the public index
