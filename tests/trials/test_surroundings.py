"""Facts about the machine and the process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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


def machine(folder: Path, given: tuple[int, ...]) -> tuple[Path, Path]:
    """The driver's files of a machine with two accelerators, and the devices that a container was given."""
    for minor, model in enumerate(("NVIDIA H100 80GB HBM3", "NVIDIA A10")):
        information = folder / "gpus" / f"0000:{minor}b:00.0" / "information"
        information.parent.mkdir(parents=True)
        information.write_text(f"Model: \t\t {model}\nIRQ:   \t\t 16\nDevice Minor: \t {minor}\n")
    (folder / "dev").mkdir()
    for minor in given:
        (folder / "dev" / f"nvidia{minor}").touch()
    return folder / "gpus", folder / "dev"


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees an accelerator here")
def test_an_accelerator_that_torch_does_not_see_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    both = machine(tmp_path / "both", (0, 1))
    found = surroundings.unseen_accelerators(*both)
    assert "NVIDIA H100 80GB HBM3, NVIDIA A10" in found and torch.__version__ in found and "\n" not in found
    one = surroundings.unseen_accelerators(*machine(tmp_path / "one", (1,)))
    assert "A10" in one and "H100" not in one
    assert surroundings.unseen_accelerators(*machine(tmp_path / "none", ())) == ""
    assert surroundings.unseen_accelerators(tmp_path / "no driver") == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert surroundings.unseen_accelerators(*both) == found
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert surroundings.unseen_accelerators(*both) == ""
