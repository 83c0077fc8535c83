"""Where a trial stands, on disk: written whole or not at all, ignored if damaged."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trials.plain import dumps
from trials.record import Trial

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


def save(folder: Path, trial: Trial, state: dict[str, Any]) -> None:
    """Writes the state of a trial: tensors, numbers, texts, lists and dictionaries of them."""
    _atomically(folder / CHECKPOINT, lambda path: torch.save({**state, "trial": dumps(trial)}, path))


def load(folder: Path, trial: Trial) -> dict[str, Any] | None:
    """What `save` wrote for this trial; None, with a warning, if it is damaged or of another trial."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict) and state.get("trial") == dumps(trial):
            return state
        problem = "is of another trial"
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        problem = f"is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    warnings.warn(f"{path} {problem}; trial {trial.id} starts anew", stacklevel=2)
    return None


def save_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Writes parameters and buffers as ``weights.safetensors``."""
    from safetensors.torch import save_file

    copies = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    _atomically(folder / WEIGHTS, lambda path: save_file(copies, path))


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
