"""Training that begins with the weights of an export folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from trials import checkpoint
from trials.exported import TENSORS, read_design
from trials.learner import Learner
from trials.record import Trial
from trials.storage import Storage
from trials.task import TaskData


def begin_with(exported: Path, trial: Trial, task: TaskData, folder: Storage) -> None:
    """Leave a checkpoint of no steps, with these weights, where `run_trial` looks for one.

    The optimiser and the learning rate begin anew, with the recipe's warm-up; only weights, the statistics of
    norms and what a FlexConv knows of its grid go on.

    Args:
        exported: the export folder.
        trial: with the folder's own design.
        task: to train on; of the shape that the weights are for.
        folder: of the trial.

    Raises:
        ValueError: the folder is damaged, or its weights are for other inputs or classes.
    """
    design = read_design(exported)
    if design.shape != task.shape:
        raise ValueError(
            f"the weights in {exported} are for inputs {design.shape} and {design.shape.classes} classes, "
            f"{task.name} has {task.shape} and {task.shape.classes}; leave --weights out"
        )
    learner = Learner(trial, task.shape, torch.device("cpu"), rows=len(task.train))
    state = learner.state()
    state["model"] = load_file(exported / TENSORS)
    checkpoint.save(folder, trial, {"learner": state, "ledger": {"curve": []}})
