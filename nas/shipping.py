"""Code that travels: the product and the user's own modules, copied for a cluster that has neither.

Ray unpacks the copy on every node and puts it first on the path of every worker. What a user named by its
file (`file.py:name`) is looked up there before its own path is (`search_spaces.lookup`).
"""

from __future__ import annotations

import shutil
import site
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from search_spaces.lookup import FROM_FILE, shipped_name
from trials.surroundings import COMMIT, commit

PRODUCT = ("search_spaces", "trials", "nas")
LARGEST_MB = 100
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def ship(to: Path) -> None:
    """Copy what workers need into an empty folder: what this process has imported and no package manager put
    there, and the product.

    Raises:
        ValueError: it is too large to be code.
    """
    root = Path(__file__).resolve().parents[1]
    sources = {to / name: root / name for name in PRODUCT}
    for name, module in list(sys.modules.items()):
        sources |= {to / target: source for target, source in _own(name, module)}
    total = 0
    for source in sources.values():
        total += _size(source)
        if total > LARGEST_MB * 1e6:
            raise ValueError(
                f"what the cluster's nodes need to import is larger than {LARGEST_MB} MB with {source}; "
                "keep data out of the folders of your modules, or install them on every node"
            )
    for target, source in sources.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_SKIPPED)
        else:
            shutil.copyfile(source, target)
    found = to / f"nas_flexconv-{version('nas-flexconv')}.dist-info"  # so that the copy knows its version
    found.mkdir()
    (found / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: nas-flexconv\nVersion: {version('nas-flexconv')}\n", encoding="utf-8"
    )
    (to / COMMIT).write_text(commit(), encoding="utf-8")


def _own(name: str, module: ModuleType) -> Iterator[tuple[str, Path]]:
    """What to copy of a module, and where to: a whole package, or its file."""
    top = name.partition(".")[0]
    if top in (*PRODUCT, "__main__") or top in sys.stdlib_module_names:
        return
    file = getattr(module, "__file__", None)
    if file is None or not _is_users(path := Path(file).resolve()):
        return
    package = getattr(sys.modules.get(top), "__file__", None)
    if name.startswith(FROM_FILE):
        yield shipped_name(path), path
    elif package is not None and Path(package).name == "__init__.py":
        yield top, Path(package).resolve().parent
    else:  # alone, or of a package without __init__.py
        yield name.replace(".", "/") + path.suffix, path


def _is_users(path: Path) -> bool:
    """Whether neither Python nor a package manager put a file where it is."""
    paths = sysconfig.get_paths()
    installed = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed |= {*site.getsitepackages(), site.getusersitepackages()}
    return path.is_file() and not any(path.is_relative_to(Path(each).resolve()) for each in installed)


def _size(source: Path) -> int:
    """Bytes of what is copied."""
    if source.is_file():
        return source.stat().st_size
    kept = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in kept)
