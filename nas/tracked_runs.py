"""What an MLflow store already has of studies and trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nas.mlflow_client import Run

NOTED = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
STATUS = {
    "running": "RUNNING",
    "waiting": "SCHEDULED",
    "completed": "FINISHED",
    "stopped": "KILLED",
    "failed": "FAILED",
}
"""What MLflow calls the states of a trial, by our word, which is its tag `nas.status`. A stopped trial is not
shown as a complete one."""
OPEN = (STATUS["running"], STATUS["waiting"])


@dataclass(slots=True)
class Tracked:
    """What MLflow has of a study or a trial.

    Attributes:
        id: MLflow's.
        status: MLflow's.
        epoch: the last one that it has with all metrics.
        parameters: how many it has.
        files: digest of its artifacts once all of them are there.
    """

    id: str
    status: str = "RUNNING"
    epoch: int = 0
    parameters: int = 0
    files: str = ""


class Seen(NamedTuple):
    """A run as it was listed. Of two of one name the one of more `weight` is ours: ended, larger, older.

    Attributes:
        empty: whether it has nothing that we or a user put there, so that it may go.
    """

    run: Tracked
    parent: str
    weight: tuple[bool, int, int]
    chosen: bool
    empty: bool


def tracked(run: Run) -> Tracked:
    return Tracked(
        id=run.info.run_id,
        status=run.info.status,
        epoch=int(run.data.metrics.get("epoch", 0)),
        parameters=len(run.data.params),
        files=run.data.tags.get("nas.files", ""),
    )


def seen_in(run: Run) -> Seen:
    size = len(run.data.metrics) + len(run.data.params)
    return Seen(
        run=tracked(run),
        parent=run.data.tags.get(PARENT, ""),
        weight=(run.info.status not in OPEN, size, -run.info.start_time),
        chosen="nas.chosen" in run.data.tags,
        empty=run.info.status in OPEN and size == 0 and NOTED not in run.data.tags,
    )
