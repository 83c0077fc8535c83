"""Finalists as models in MLflow: the frozen network for raw inputs, beside the run that trained it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from nas.patience import Ask, OutOfPatience, directly
from nas.run_directory import RunDirectory, RunInfo
from nas.tracking_place import experiment_of, tracking_address
from trials.record import TrialRecord

if TYPE_CHECKING:
    from nas.model_store import Models

ALIAS = "champion"
"""Of the version that was registered last."""
EXAMPLES = 2
"""Rows of an input example; more than one, or the program would take no other number."""


def log_finalists(
    directory: RunDirectory,
    info: RunInfo,
    uri: str,
    say: Callable[[str], None],
    ask: Ask = directly,
) -> bool:
    """Log every finalist that was tested and is not a model in a store yet, which has its run.

    Args:
        directory: of the run.
        info: its run.json.
        uri: of the store.
        say: one line if not all of them could be logged.
        ask: what makes calls of the store, and may give up.

    Returns:
        Whether all are there.
    """
    records = [r for r in directory.read_records()[0] if r.trial.study.kind == "finalist" and r.test]
    if not records:
        return True
    failed: list[str] = []
    done = 0
    try:
        from nas.model_store import Models

        models = Models(uri, experiment_of(directory, info), ask)
        for record in records:
            try:
                _logged(models, directory, info, record)
                done += 1
            except OutOfPatience:
                raise
            except Exception as error:  # the others may do
                failed.append(_first(error))
    except Exception as error:  # whatever MLflow raises, the run is done and its records hold everything
        failed.append(_first(error))
    if done < len(records):
        other = "" if uri == tracking_address(directory, info) else f" --tracking-uri {uri}"
        say(
            f"{done} of {len(records)} finalists are models in MLflow ({failed[-1]}); "
            f"nas show {directory} --rebuild{other} sends the rest"
        )
    return done == len(records)


def register(directory: RunDirectory, record: TrialRecord, name: str) -> str:
    """Register a finalist's model in the store of its run, under an alias that moves to it.

    Args:
        directory: of the run.
        record: of the finalist.
        name: of the registered model; made if it is not there.

    Returns:
        What `mlflow.pyfunc.load_model` takes, and the version.

    Raises:
        ValueError: MLflow does not take it, or has not been shown this finalist.
    """
    from nas.mlflow_client import MlflowException
    from nas.model_store import Models

    info = directory.info()
    if info is None:
        raise ValueError(f"{directory} has no run.json, so nothing was shown in MLflow")
    uri = tracking_address(directory, info)
    try:
        models = Models(uri, experiment_of(directory, info))
        version, before = models.register(_logged(models, directory, info, record), name, ALIAS)
    except MlflowException as error:
        raise ValueError(f"MLflow at {uri} does not take {name!r}: {str(error).splitlines()[0]}") from error
    moved = f", before it version {before}" if before not in (None, version) else ""
    return f"models:/{name}@{ALIAS} (version {version}{moved}) at {uri}"


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _logged(models: Models, directory: RunDirectory, info: RunInfo, record: TrialRecord) -> str:
    """MLflow's id of a finalist's model, logged if it is not there."""
    from nas.networks import deployed, raw_rows, stored_weights, trained

    if (known := models.known.get(record.trial.id)) is not None:
        return known
    if record.trial.id not in models.runs:
        raise ValueError(
            f"MLflow has no run of {record.trial.id}; nas show {directory} --rebuild sends what is missing"
        )
    task = next(task for task in info.tasks if task.name == record.trial.study.task)
    network = deployed(trained(record, stored_weights(directory, record), task), task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch.export passes through
        return models.log(
            record.trial.id, network, raw_rows(task, 1 + EXAMPLES)[1:].numpy()
        )  # the first may hold NaN
