"""Artifacts are loaded in a fresh process and held against the live network, row by row."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TOLERANCE = 1e-4
"""Largest difference of an artifact's logits from the live network's, over the largest logit."""
AGREEMENT = 0.999
"""Least share of rows with the same prediction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """An artifact against the live network, on the same rows.

    Attributes:
        name: of the file.
        difference: largest absolute difference of a logit.
        relative: the same over the live network's largest logit.
        agreement: share of rows with the same prediction.
        error: share of rows that the artifact gets wrong; None where rows have no labels.
    """

    name: str
    difference: float
    relative: float
    agreement: float
    error: float | None = None


def compared(name: str, logits: Floats, expected: Floats, labels: NDArray[np.int64] | None = None) -> Checked:
    """Measure one artifact; NaN where the live network has none is a difference of infinity."""
    gaps = np.abs(logits - expected)
    difference = float(gaps.max()) if np.isfinite(gaps).all() else np.inf
    largest = float(np.abs(expected).max())
    predicted = logits.argmax(1)
    return Checked(
        name=name,
        difference=difference,
        relative=difference / largest if largest > 0 else (0.0 if difference == 0 else np.inf),
        agreement=float((predicted == expected.argmax(1)).mean()),
        error=None if labels is None else float((predicted != labels).mean()),
    )


def refuse_different(checked: Sequence[Checked]) -> None:
    """Refuse artifacts that are not the network.

    Raises:
        ValueError: one differs by more than `TOLERANCE` or agrees on fewer rows than `AGREEMENT`.
    """
    for each in checked:
        if not each.relative <= TOLERANCE:
            raise ValueError(
                f"{each.name} differs from the trained network by {each.relative:.1e} of the largest logit, "
                f"more than {TOLERANCE:.0e}; nothing was written"
            )
        if each.agreement < AGREEMENT:
            raise ValueError(
                f"{each.name} agrees with the trained network on {100 * each.agreement:.2f} % of the rows, "
                f"fewer than {100 * AGREEMENT:g} %; nothing was written"
            )


class Job(NamedTuple):
    """An artifact, and raw rows with a name of their own to ask it of."""

    artifact: str
    rows: str
    inputs: Floats


def reloaded(folder: Path, jobs: Sequence[Job]) -> list[Floats]:
    """What artifacts say of raw rows, in a process that has seen nothing else: logits (rows, classes).

    Raises:
        ValueError: one cannot be loaded or run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for job in jobs:
            if not (at := Path(scratch) / f"{job.rows}.npy").exists():
                np.save(at, job.inputs)
        asked = [f"{job.artifact}={job.rows}" for job in jobs]
        done = subprocess.run(
            [sys.executable, "-m", "nas.exporting.reloaded", str(folder.resolve()), scratch, *asked],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        answers = [Path(scratch) / f"{each}.npy" for each in asked]
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            ran = [(job.artifact, answer) for job, answer in zip(jobs, answers, strict=True)]
            ran.sort(key=lambda each: not each[0].endswith(".onnx"))  # as there: before torch is imported
            name = next((artifact for artifact, answer in ran if not answer.exists()), "the last file")
            raise ValueError(f"{name} does not run in a fresh process: {said[:300]}; nothing was written")
        return [np.load(answer) for answer in answers]
