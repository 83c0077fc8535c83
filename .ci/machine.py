"""Can this machine install and run the product? One line for each thing that is missing, with the way out.

Runs on any Python 3, also those that the product does not support.
"""

import os
import shutil
import sys

# The CUDA build of torch, which PyPI gives to Linux, takes several GB more than a build without.
NEEDED_GB = 4 if os.environ.get("TORCH") or sys.platform == "darwin" else 10


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
    if not os.path.exists(".venv/nas"):
        free = shutil.disk_usage(".").free / 1e9
        if free < NEEDED_GB:
            text = "%d GB of free disk are needed, there are %.1f: free some, or TORCH= a build without CUDA"
            yield text % (NEEDED_GB, free)


found = list(problems())
for line in found:
    sys.stderr.write(line + "\n")
sys.exit(1 if found else 0)
