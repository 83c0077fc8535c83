"""What a trial keeps in its folder, for those who must not load torch."""

from __future__ import annotations

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"


class NotKept(UserWarning):
    """No checkpoint of a trial was written: interrupted, it goes on from an earlier one or begins again."""
