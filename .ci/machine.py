"""Can this machine install and run the product? One line for each thing that is missing, with the way out.

Runs on any Python 3, also those that the product does not support.
"""

import os
import shutil
import sys

NEEDED_GB = 3
CUDA_GB = 10  # with the CUDA build of torch, which PyPI gives to Linux


def problems():
    """What is missing, one line each."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield "Python 3.11 to 3.13 is needed, this is %s: make PYTHON=python3.12 compare" % version
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        name = "python%d.%d-venv" % sys.version_info[:2]
        yield "Python's venv module is missing: install it (Debian, Ubuntu: apt install %s)" % name
    if free_gb() < NEEDED_GB:
        text = "%d GB of free disk are needed, there are %.1f: free some or clone elsewhere"
        yield text % (NEEDED_GB, free_gb())


def free_gb():
    """Free disk here; what is installed already is not asked for again."""
    return float("inf") if os.path.exists(".venv/nas") else shutil.disk_usage(".").free / 1e9


found = list(problems())
for line in found:
    sys.stderr.write(line + "\n")
if not found and free_gb() < CUDA_GB and sys.platform == "linux" and not os.environ.get("TORCH"):
    text = "note: %.1f GB of disk are free; PyPI's CUDA build of torch wants %d, TORCH= takes another build\n"
    sys.stderr.write(text % (free_gb(), CUDA_GB))
sys.exit(1 if found else 0)
