"""Where a trial stands, kept: written whole or not at all, ignored if damaged, not if unreadable."""

from __future__ import annotations

import io
import pickle
import warnings
from typing import Any

import torch
from torch import Tensor

from trials.names import CHECKPOINT, WEIGHTS, NotKept
from trials.plain import dumps
from trials.record import Trial
from trials.storage import Storage, kept


def save(folder: Storage, trial: Trial, state: dict[str, Any], limit: int | None = None) -> bool:
    """Writes the state of a trial: tensors, numbers, texts, lists and dictionaries of them.

    Args:
        folder: of the trial.
        trial: is written down with the state.
        state: what `load` gives back.
        limit: largest number of bytes; None: any.

    Returns:
        False, with a warning, if it is larger than the limit or cannot be written: the trial can go on, and
        would begin at its last checkpoint.
    """
    buffer = io.BytesIO()
    torch.save({**state, "trial": dumps(trial)}, buffer)
    size = buffer.tell()
    if limit is not None and size > limit:
        problem = f"its {size:,} bytes are more than the {limit:,} that checkpoint_gb leaves a trial"
    else:
        try:
            folder.put(CHECKPOINT, buffer.getvalue())
            return True
        except OSError as error:
            problem = error.strerror or str(error)
    warnings.warn(f"no checkpoint of trial {trial.id} was written: {problem}", NotKept, stacklevel=2)
    return False


def load(folder: Storage, trial: Trial) -> dict[str, Any] | None:
    """What `save` wrote for this trial; None, with a warning, if it is damaged or of another trial.

    Raises:
        Unwritten: it cannot be read; what is there may be sound.
    """
    with kept():
        data = folder.get(CHECKPOINT)
    if data is None:
        return None
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if isinstance(state, dict) and state.get("trial") == dumps(trial):
            return state
        problem = "is of another trial"
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        problem = f"is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    warnings.warn(f"{folder.root}/{CHECKPOINT} {problem}; trial {trial.id} starts anew", stacklevel=2)
    return None


def save_weights(folder: Storage, weights: dict[str, Tensor]) -> None:
    """Writes parameters and buffers as ``weights.safetensors``.

    Raises:
        Unwritten: they cannot be.
    """
    from safetensors.torch import save

    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    with kept():
        folder.put(WEIGHTS, content)
