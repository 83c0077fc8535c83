"""Who decides which designs are trained, and what the records say.

from nas import SearchConfig, run, compare, export
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.comparison import compare
    from nas.config import SearchConfig
    from nas.efficiency import Comparison
    from nas.exporting import Exported, export, export_front
    from nas.running import RunResult, run

__all__ = ["Comparison", "Exported", "RunResult", "SearchConfig", "compare", "export", "export_front", "run"]

_HOMES = {
    "Comparison": "nas.efficiency",
    "Exported": "nas.exporting",
    "RunResult": "nas.running",
    "SearchConfig": "nas.config",
    "compare": "nas.comparison",
    "export": "nas.exporting",
    "export_front": "nas.exporting",
    "run": "nas.running",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
