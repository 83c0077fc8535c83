"""MLflow as this product uses it: the only file that imports it, after saying how it should behave."""

from __future__ import annotations

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # `nas.tracking` knows what may be sent twice
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines, and a call, a trial

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature, infer_signature
from mlflow.store.entities import PagedList

from nas.tracking_place import reach_loopback

__all__ = [
    "Dataset",
    "DatasetInput",
    "InputTag",
    "LoggedModelOutput",
    "LoggedModelStatus",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "PagedList",
    "Param",
    "Run",
    "RunTag",
    "client_of",
    "infer_signature",
    "save_network",
]


def client_of(uri: str) -> MlflowClient:
    """A client of a tracking store and of the registry in it, which is quiet and reaches this machine."""
    reach_loopback()
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def save_network(*arguments: object, **more: object) -> None:
    """`mlflow.pytorch.save_model`, which imports torch."""
    from mlflow.pytorch import save_model

    save_model(*arguments, **more)
