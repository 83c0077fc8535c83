"""MLflow as this product uses it: the only file that imports it, after saying how it should behave."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

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
from nas.writer import Refused

__all__ = [
    "QUICK",
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
    "twice",
]


T = TypeVar("T")
FOR_GOOD = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
"""MLflow's codes of errors that stay: a run that is deleted, a parameter that has another value."""
QUICK = 3.0
"""Seconds: a call that failed so soon is made again at once, one that took longer only some time later."""


def client_of(uri: str) -> MlflowClient:
    """A client of a tracking store and of the registry in it, which is quiet and reaches this machine."""
    reach_loopback()
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)


def save_network(*arguments: object, **more: object) -> None:
    """`mlflow.pytorch.save_model`, which imports torch."""
    from mlflow.pytorch import save_model

    save_model(*arguments, **more)


def twice(call: Callable[[], T]) -> T:
    """The result of a call that may be made again: once at once, if it failed quickly."""
    began = time.monotonic()
    try:
        return _made(call)
    except Refused:
        raise
    except Exception:
        if time.monotonic() - began > QUICK:
            raise
        return _made(call)


def _made(call: Callable[[], T]) -> T:
    try:
        return call()
    except MlflowException as error:
        if error.error_code in FOR_GOOD:
            raise Refused((str(error).strip() or "no reason given").splitlines()[0][:200]) from error
        raise
