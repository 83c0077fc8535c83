"""Facts about the machine and the process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from trials import surroundings


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux only")
def test_peak_memory_counts_from_the_last_reset() -> None:
    block = np.ones(30_000_000)  # 240 MB
    high = surroundings.peak_memory_bytes()
    del block
    if not _resettable():
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert surroundings.peak_memory_bytes() < high - 150e6


def _resettable() -> bool:
    surroundings.reset_peak_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def test_machine_and_versions_are_known() -> None:
    assert surroundings.processor()
    assert re.fullmatch(r"python 3\.\d+\.\d+\w*, torch 2\.\d+\.\d+\w*", surroundings.software())
    assert re.fullmatch(r"([0-9a-f]{12}(-dirty)?)?", surroundings.commit())
