"""What a trial relies on in its process, whatever ran there before: other trials, a user's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python does not show either."""


def _flag(of: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return lambda: getattr(of, name), lambda value: setattr(of, name, value)


_torch: Any = torch  # some of these have no types
_STATE: tuple[tuple[Callable[[], Any], Callable[[Any], object], Any], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.is_grad_enabled, torch.autograd.grad_mode.set_grad_enabled, True),
    (_torch.is_anomaly_enabled, _torch.set_anomaly_enabled, False),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on), False),
    (lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on), False),
    (*_flag(torch.backends.cudnn, "enabled"), True),
    (*_flag(torch.backends.cudnn, "benchmark"), False),
    (*_flag(torch.backends.cudnn, "deterministic"), False),
    (*_flag(torch.backends.cudnn, "allow_tf32"), False),  # as of matrix products: float32 is float32
)
"""How to read it, how to set it, and what a trial needs."""
