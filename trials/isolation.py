"""What a trial relies on in its process, whatever ran there before: other trials, a user's code."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import torch

_UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python does not show by itself."""


def _of(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


_torch: Any = torch  # some of these have no types
_STATE: tuple[tuple[Callable[[], Any], Callable[[Any], object], Any], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (_torch.is_anomaly_enabled, _torch.set_anomaly_enabled, False),
    (_torch.are_deterministic_algorithms_enabled, _torch.use_deterministic_algorithms, False),
    (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on), False),
    (lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on), False),
    (*_of(torch.backends.cudnn, "enabled"), True),
    (*_of(torch.backends.cudnn, "benchmark"), False),
    (*_of(torch.backends.cudnn, "deterministic"), False),
    (*_of(torch.backends.mkldnn, "enabled"), True),
)
"""How to read it, how to set it, what a trial needs."""


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Switches as in a fresh process, and afterwards as they were before; Python's and NumPy's generators
    are seeded (torch's by `Learner`), warnings shown once from each place.

    Threads stay as they are, and get back to that afterwards: whoever runs trials decides on them. float32
    is float32, not TF32, from here on.

    Args:
        seed: of the trial.
    """
    with torch.inference_mode(False), warnings.catch_warnings(), ExitStack() as after:  # also with gradients
        after.callback(torch.set_num_threads, torch.get_num_threads())
        if torch.get_default_device().type != "cpu":
            after.callback(torch.set_default_device, torch.get_default_device())
            torch.set_default_device(None)
        for read, write, needed in _STATE:
            after.callback(write, read())
            write(needed)
        whole_float32()
        warnings.simplefilter("default")
        for category in _UNSEEN:
            warnings.simplefilter("ignore", category)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - a user's code may draw from it
        yield


def whole_float32() -> None:
    """Products of float32 are computed in float32 from here on, not in TF32 or less."""
    # by the old switches, which set some of the new, then by the new: a user's code may have used either
    torch.set_float32_matmul_precision("highest")
    backends: Any = torch.backends
    backends.cudnn.allow_tf32 = False
    for every in (backends, backends.cudnn, backends.mkldnn, backends.mkldnn.conv, backends.mkldnn.rnn):
        every.fp32_precision = "none"


def give_memory_back() -> None:
    """What earlier trials held is there for other processes too."""
    gc.collect()
    if torch.cuda.is_available():
        with suppress(RuntimeError):  # a device that failed answers nothing
            torch.cuda.empty_cache()
