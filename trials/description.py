"""A task in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trials.task import TaskData

FEW_ROWS = 1000
"""Below so many training and validation rows the split matters: several seeds of it are advised."""


def describe(data: TaskData) -> dict[str, str]:
    """What a task looks like, as names and texts in the order to print them."""
    counts = np.bincount(data.train.labels, minlength=data.shape.classes)
    moments = [f"{mean:.4g} +- {std:.4g}" for mean, std in zip(data.mean, data.std)]
    length = ", series of different lengths" if data.shape.variable else ""
    found = {
        "name": data.name,
        "shape": f"{data.shape} (channels x extent){length}",
        "columns": "\n".join(data.columns),
        "classes": f"{data.shape.classes}: {_shortened(data.class_names)}",
        "training rows": f"{len(data.train)} ({counts.min()} to {counts.max()} a class)",
        "validation rows": f"{len(data.select)} to select by, {len(data.report)} to report",
        "test rows": str(data.test_rows),
        "rows in two splits": "" if data.seen_in_test or data.seen_in_validation else "none",
        "majority error": f"{100 * data.majority_error:.1f} %",
        "channels (mean +- std)": _shortened(moments),
        "augmentations that keep the label": ", ".join(data.augmentations) or "none",
        "digest": data.digest[:12],
        "origin": data.origin,
        "licence": data.licence,
        "note": "\n".join(notes(data)),
    }
    return {name: text for name, text in found.items() if text}


def notes(data: TaskData) -> list[str]:
    """What a user should know before trusting numbers on this task, one sentence each."""
    found = []
    if data.seen_in_test:
        found.append(f"{data.seen_in_test} training or validation rows are identical to a test row")
    if data.seen_in_validation:
        found.append(f"{data.seen_in_validation} training rows are identical to a validation row")
    found += data.shared_groups
    if data.learning_rows < FEW_ROWS:
        found.append(
            f"only {data.learning_rows} rows to train and validate with: one split says little, "
            "use several (splits=5 in a run's configuration, or @split=1 of a task)"
        )
    return found


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 10 else f"{', '.join(names[:9])}, ... {names[-1]}"
