"""Seeds that follow from what they are for, so that a run can grow without changing earlier trials."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """A number in [0, 2^31) from any printable parts; equal on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
