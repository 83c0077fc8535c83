"""Names from a user: a registered name, `module:attribute` or `file.py:name` of their own code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
FROM_FILE = "_user_"
"""How names of modules begin that were imported from a file that a name refers to."""


def lookup(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """What a name stands for.

    Args:
        kind: the word used in messages: "task", "space", "recipe", "preset".
        name: a key of `registry`, or ``module:attribute``, or ``path/to/file.py:attribute``.
        registry: the names that ship with the product.

    Raises:
        ValueError: nothing has this name; the message lists the names that exist.
    """
    if name in registry:
        return registry[name]
    if ":" in name:
        return _import_attribute(kind, name)
    close = get_close_matches(name, registry, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"unknown {kind} {name!r}{hint}; there are: {', '.join(registry)}. "
        f"Your own: module:attribute or file.py:name"
    )


def absolute(name: str) -> str:
    """``file.py:name`` with its path made absolute, so that another process finds the same thing."""
    source, colon, attribute = name.rpartition(":")
    if colon and source.endswith(".py"):
        return f"{Path(source).expanduser().resolve()}:{attribute}"
    return name


def _import_attribute(kind: str, name: str) -> T:  # type: ignore[type-var]
    source, _, attribute = name.rpartition(":")
    try:
        module = _import_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except ImportError as error:
        raise ValueError(f"{kind} {name!r}: {source} cannot be imported: {error}") from error
    except FileNotFoundError as error:
        raise ValueError(f"{kind} {name!r}: there is no file {source}") from error
    except Exception as error:  # the user's own code
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{kind} {name!r}: {source} fails when it is imported: {what}") from error
    if not hasattr(module, attribute):
        public = [each for each in vars(module) if not each.startswith("_")]
        raise ValueError(f"{kind} {name!r}: {source} has no {attribute!r}; it has {', '.join(public)}")
    found: T = getattr(module, attribute)
    return found


def shipped_name(path: Path) -> str:
    """Where a copy of a file is kept that was sent to another machine, within a folder of `sys.path`."""
    return f"_user_files/{sha256(str(path).encode()).hexdigest()[:12]}/{path.name}"


def _import_file(path: Path) -> object:
    path = path.expanduser().resolve()
    copies = (Path(folder) / shipped_name(path) for folder in sys.path)
    source = next((copy for copy in copies if copy.is_file()), path)
    if not source.is_file():
        raise FileNotFoundError(path)
    name = f"{FROM_FILE}{sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it runs
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
