"""How a deployed network's convolutions are done in its .pt2: as measured, not as expected."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.layers.convolution import Backend, PlainConv
from search_spaces.network import freeze

DIRECT, PADDED, FFT = "direct", "padded first", "FFT where it is cheaper"
WORTH = 1.1
"""How much faster than torch's own direct convolution another way must be, to be taken."""
ROUNDS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Backends:
    """What was measured.

    Attributes:
        taken: the one that the .pt2 has.
        seconds: of a forward pass on `rows` rows, best of `ROUNDS`, by name.
        rows: of the batch.
    """

    taken: str
    seconds: dict[str, float]
    rows: int

    @property
    def any_extent(self) -> bool:
        """Whether what is taken can be traced for any extent."""
        return self.taken != FFT


def fastest(network: nn.Module, example: Tensor) -> tuple[nn.Module, Backends]:
    """The network with its convolutions done in the fastest way; they are timed in turns.

    Args:
        network: deployed: its convolutions are `PlainConv`.
        example: raw inputs (batch, channels, *extent).
    """
    candidates = {
        DIRECT: freeze(network, portable=True),
        PADDED: _with_backend(network, "spatial"),
        FFT: _with_backend(network, "auto"),
    }
    seconds = dict.fromkeys(candidates, float("inf"))
    with torch.no_grad():
        for _ in range(1 + ROUNDS):  # the first one warms up
            for name, candidate in candidates.items():
                began = time.perf_counter()
                candidate(example)
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    taken = DIRECT
    for name in (PADDED, FFT):  # FFT costs the dynamic extent: not for a difference that is noise
        if seconds[name] * WORTH <= seconds[taken]:
            taken = name
    return candidates[taken], Backends(taken=taken, seconds=seconds, rows=len(example))


def _with_backend(network: nn.Module, backend: Backend) -> nn.Module:
    changed = copy.deepcopy(network)
    for module in changed.modules():
        if isinstance(module, PlainConv):
            module.backend = backend
    return changed
