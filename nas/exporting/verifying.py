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
        rows: so many.
        extent: of the rows, if it is not that of the network.
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
    rows: int = 0
    extent: str = ""

    @property
    def where(self) -> str:
        """The file, and the extent if it is another."""
        return f"{self.name} at {self.extent}" if self.extent else self.name


class Failed(ValueError):
    """An artifact that cannot be run, or is not the network.

    Attributes:
        artifact: name of the file.
        rows: of those that it failed on.
    """

    def __init__(self, said: str, artifact: str, rows: str) -> None:
        super().__init__(f"{said}; nothing was written")
        self.artifact, self.rows = artifact, rows


def compared(
    name: str,
    logits: Floats,
    expected: Floats,
    labels: NDArray[np.int64] | None = None,
    extent: str = "",
) -> Checked:
    """Measure one artifact; NaN where the live network has none is a difference of infinity."""
    gaps = np.abs(logits - expected)
    difference = float(gaps.max()) if np.isfinite(gaps).all() else np.inf
    largest = float(np.abs(expected).max())
    predicted = logits.argmax(1)
    return Checked(
        name=name,
        rows=len(logits),
        extent=extent,
        difference=difference,
        relative=difference / largest if largest > 0 else (0.0 if difference == 0 else np.inf),
        agreement=float((predicted == expected.argmax(1)).mean()),
        error=None if labels is None else float((predicted != labels).mean()),
    )


def refuse_different(checked: Sequence[Checked]) -> None:
    """Refuse artifacts that are not the network.

    Raises:
        Failed: one differs by more than `TOLERANCE` or agrees on fewer rows than `AGREEMENT`.
    """
    for each in checked:
        if not each.relative <= TOLERANCE:
            raise Failed(
                f"{each.where} differs from the trained network by {each.relative:.1e} of the largest logit, "
                f"more than {TOLERANCE:.0e}",
                each.name,
                each.extent,
            )
        if each.agreement < AGREEMENT:
            raise Failed(
                f"{each.where} agrees with the trained network on {100 * each.agreement:.2f} % of the rows, "
                f"fewer than {100 * AGREEMENT:g} %",
                each.name,
                each.extent,
            )


def refuse_overflow(name: str, logits: Floats, expected: Floats) -> None:
    """Refuse a file of lower precision that has no answer where the network has one.

    Raises:
        Failed: some logits are NaN or infinite.
    """
    lost = int((~np.isfinite(logits).all(1) & np.isfinite(expected).all(1)).sum())
    if lost:
        raise Failed(
            f"{name} gives NaN or infinity on {lost} of {len(logits)} rows; leave --precision "
            f"{name.split('.')[1]} out",
            name,
            "",
        )


class Job(NamedTuple):
    """An artifact, and raw rows to ask it of; their extent names them, if it is not the network's."""

    artifact: str
    rows: str
    inputs: Floats


def reloaded(folder: Path, jobs: Sequence[Job]) -> list[Floats]:
    """What artifacts say of raw rows, in a process that has seen nothing else: logits (rows, classes).

    Raises:
        Failed: one cannot be loaded or run.
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
            ran = list(zip(jobs, answers, strict=True))
            ran.sort(key=lambda each: not each[0].artifact.endswith(".onnx"))  # as there: before torch
            failed = next((job for job, answer in ran if not answer.exists()), jobs[-1])
            raise Failed(
                f"{failed.artifact} does not run in a fresh process: {said[:300]}",
                failed.artifact,
                failed.rows,
            )
        return [np.load(answer) for answer in answers]
