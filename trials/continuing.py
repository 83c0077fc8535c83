"""Training that begins with the weights of an export folder."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

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
        ValueError: the folder is damaged, its weights are for other inputs or classes, not those of its
            design, or not finite.
        OSError: they cannot be put into the trial's folder.
    """
    design = read_design(exported)
    if design.shape != task.shape:
        raise ValueError(
            f"the weights in {exported} are for inputs {design.shape} and {design.shape.classes} classes, "
            f"{task.name} has {task.shape} and {task.shape.classes}; leave --weights out"
        )
    pairs = zip_longest(design.class_names, task.class_names, fillvalue="none")
    for label, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            raise ValueError(
                f"the weights in {exported} are for other classes: label {label} is {ours!r} there, "
                f"{theirs!r} in {task.name}; leave --weights out"
            )
    learner = Learner(trial, task.shape, torch.device("cpu"), rows=len(task.train))
    state = learner.state()
    state["model"] = _weights(exported / TENSORS, state["model"])
    if not checkpoint.save(folder, trial, {"learner": state, "ledger": {"curve": []}}):
        raise OSError(
            f"the weights of {exported} cannot be put into {folder.root}, so training would not go on from "
            "them; make room there, or take another --to"
        )


def _weights(path: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's, if they are those of the network and finite."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read: {error}; export the network again") from error
    if odd := sorted(wanted.keys() ^ found.keys()):
        raise ValueError(
            f"{path} must hold the weights of the design beside it, {odd[0]} is in one alone; export the "
            "network again"
        )
    for name, values in found.items():
        if values.shape != wanted[name].shape:
            raise ValueError(
                f"{path}: {name} must be {tuple(wanted[name].shape)}, got {tuple(values.shape)}; export the "
                "network again"
            )
        if not values.isfinite().all():
            raise ValueError(
                f"{path}: weights must be finite, got NaN or infinity in {name}; export the network again, "
                "or leave --weights out"
            )
    return found
