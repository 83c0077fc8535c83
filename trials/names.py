"""Names of what a trial keeps in its folder, for those who must not load torch."""

from __future__ import annotations

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
