"""Where a trial ran and what memory it took: the facts of a record that are not results."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_STATUS = Path("/proc/self/status")
COMMIT = "COMMIT"
"""A file beside the packages that names their commit where they are a copy."""


def reset_peak_memory() -> None:
    """Starts a new measurement where the system allows it (Linux)."""
    with suppress(OSError):  # elsewhere the peak counts from the start of the process
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """Largest resident memory of this process since `reset_peak_memory`."""
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_bytes() -> int:
    """Resident memory of this process; where the system does not tell it, the largest so far."""
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return peak_memory_bytes()


@cache
def processor() -> str:
    """Model of the processor, e.g. ``"AMD EPYC 7B13"``."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def accelerator() -> str:
    """UUID of the CUDA device in use, empty without one."""
    import torch

    return str(torch.cuda.get_device_properties().uuid) if torch.cuda.is_available() else ""


def unseen_accelerators(driver: Path = Path("/proc/driver/nvidia/gpus"), devices: Path = Path("/dev")) -> str:
    """Accelerators that this machine has and torch does not see, in words with the way out; else empty.

    Asked of NVML where it answers, else of the driver's files. A container sees those of its host; what it
    was not given is not counted.

    Args:
        driver: a folder with one folder for each accelerator.
        devices: where the system has those that this process may open.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return ""
    there = _nvml_devices() or _driver_devices(driver, devices)
    if not there:
        return ""  # before torch is imported, which takes seconds
    import torch

    if torch.cuda.is_available():
        return ""
    return (
        f"this machine has {', '.join(there)}, and torch {torch.__version__} does not see any; install "
        "a torch that is built for CUDA, and its driver, or set CUDA_VISIBLE_DEVICES=-1 to use processors"
    )


def _nvml_devices() -> list[str]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []


def _driver_devices(driver: Path, devices: Path) -> list[str]:
    found = []
    with suppress(OSError):
        for folder in sorted(driver.iterdir()):
            lines = (folder / "information").read_text().splitlines()
            facts = {
                name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            if (devices / f"nvidia{facts.get('Device Minor', '0')}").exists():
                found.append(facts.get("Model", folder.name))
    return found


@cache
def software() -> str:
    """Versions that can change a result, e.g. ``"python 3.11.7, torch 2.13.0"``."""
    try:
        torch = f", torch {version('torch').partition('+')[0]}"
    except PackageNotFoundError:
        torch = ""
    return f"python {platform.python_version()}{torch}"


@cache
def commit() -> str:
    """Commit of the product's source, ``-dirty`` if tracked files differ from it, empty if unknown."""
    root = Path(__file__).resolve().parents[1]
    if (root / COMMIT).is_file():  # a copy that was sent here
        return (root / COMMIT).read_text(encoding="utf-8")
    if not (root / ".git").exists():
        return ""  # installed: a checkout around it would be someone else's
    command = [
        "git",
        "--no-optional-locks",
        "-C",
        str(root),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        found = subprocess.run([*command, "--exclude=*"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
