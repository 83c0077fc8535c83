"""Code that travels: the product and the user's own modules, copied for a cluster that has neither.

Ray unpacks the copy on every node and puts it on the path of every worker. What a user named by a file
(`file.py:name`) is found in the copy under the digest of its path there (`search_spaces.lookup`).
"""

from __future__ import annotations

import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from search_spaces.lookup import SHIPPED, shipped_name

PRODUCT = ("search_spaces", "trials", "nas")
LARGEST_MB = 100
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv", "node_modules")


def ship(to: Path, files: Iterable[Path]) -> None:
    """Copy what workers need into a folder.

    Args:
        to: an empty folder.
        files: Python files that names refer to, ``file.py:name``.

    Raises:
        ValueError: it is too large to be code.
    """
    for source, name in _own(files):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_SKIPPED, dirs_exist_ok=True)
        elif not target.exists():
            shutil.copyfile(source, target)
        _refuse_large(to, source)


def _own(files: Iterable[Path]) -> list[tuple[Path, str]]:
    """What to copy, and under which name."""
    found = []
    here = Path(__file__).resolve().parents[1]
    for name in PRODUCT:
        found.append((here / name, name))
    for module in list(sys.modules):
        top, _, rest = module.partition(".")
        source = getattr(sys.modules[module], "__file__", None)
        ...
    return found
