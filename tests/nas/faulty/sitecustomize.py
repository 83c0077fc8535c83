"""Imported by every Python process whose PYTHONPATH begins here: faults from within, as NAS_FAULT says.

NAS_FAULT is JSON: {"below": path, "every": n, "errno": number} makes every n-th rename or link below a path
raise; {"after": seconds, "jump": seconds} makes the process's clock jump;
{"defaults": {"module.function.argument": value}} changes what a function is called with when nobody says, so
that trials of seconds keep checkpoints. {"struck": path}: a file that gets a line for each
write that failed and for each process whose clock jumped.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time
from types import ModuleType
from typing import Any

FAULT: dict[str, Any] = json.loads(os.environ.get("NAS_FAULT", "{}"))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads a module as usual, then changes a default of one of its functions."""

    def __init__(self, argument: str, value: object) -> None:
        self.module, self.function, self.argument = argument.rsplit(".", 2)
        self.value = value

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        self.real = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.real.exec_module(module)
        defaults = getattr(module, self.function).__kwdefaults__
        assert self.argument in defaults
        defaults[self.argument] = self.value


def _struck(what: str) -> None:
    with open(FAULT["struck"], "a") as log:
        log.write(f"{os.getpid()} {what}\n")


def _failing(real: Any) -> Any:
    calls = 0

    def call(source: Any, target: Any, **more: Any) -> None:
        nonlocal calls
        if str(target).startswith(FAULT["below"]):
            calls += 1
            if calls % FAULT["every"] == 0:
                _struck(str(target))
                raise OSError(FAULT["errno"], os.strerror(FAULT["errno"]), str(target))
        real(source, target, **more)

    return call


def _jumping(real: Any) -> Any:
    began, jumped = time.monotonic(), False

    def call() -> Any:
        nonlocal jumped
        if time.monotonic() - began <= FAULT["after"]:
            return real()
        if not jumped:
            jumped = True
            _struck("clock")
        return real() + FAULT["jump"]

    return call


for argument, value in FAULT.get("defaults", {}).items():
    sys.meta_path.insert(0, _Changed(argument, value))
if "every" in FAULT:
    os.replace, os.link = _failing(os.replace), _failing(os.link)
if "jump" in FAULT:
    time.time = _jumping(time.time)
