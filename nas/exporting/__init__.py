"""The best network of a run, taken out of it: into a folder that needs neither the run nor this product."""

from __future__ import annotations

from nas.exporting.taking import Exported, export, export_front

__all__ = ["Exported", "export", "export_front"]
