"""The halves of validation are types: a swap is an error of the type checker, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.efficiency.halves import report_errors, select_errors, validation_errors
from tests.nas.builders import record

ROOT = Path(__file__).parent.parent.parent
RIGHT = """
from nas.efficiency.chance import Noise, match
from nas.efficiency.estimators import chance_run, expected_best, jackknife_best
from nas.efficiency.selection import Population
import numpy as np

def measured(population: Population, other: Population, noise: Noise, rng: np.random.Generator) -> None:
    expected_best(population.select_errors(), population.report_errors(), [1])
    jackknife_best(population.select_errors(), population.report_errors(), [1])
    chance_run(population.repeats(), other.errors(), rng)
    match(population.errors(), np.ones((1, 1)), other.errors(), np.ones((1, 1)), noise, rng, rows=9)
"""
SWAPS = (
    (
        "expected_best(population.select_errors(), population.report_errors()",
        "expected_best(population.report_errors(), population.select_errors()",
    ),
    ("jackknife_best(population.select_errors()", "jackknife_best(population.report_errors()"),
    (
        "jackknife_best(population.select_errors(), population.report",
        "jackknife_best(population.select_errors(), population.select",
    ),
    ("chance_run(population.repeats()", "chance_run(population.report_repeats()"),
    ("match(population.errors()", "match(population.report_errors()"),
)


@pytest.mark.slow
def test_to_swap_the_halves_is_a_type_error(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    for i, (right, wrong) in enumerate(SWAPS):
        assert right in RIGHT
        (tmp_path / f"wrong_{i}.py").write_text(RIGHT.replace(right, wrong))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *sorted(map(str, tmp_path.glob("*.py")))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert not any("right.py" in line for line in errors), done.stdout
    for i in range(len(SWAPS)):
        of_this = [line for line in errors if f"wrong_{i}.py" in line]
        assert of_this and all("incompatible type" in line for line in of_this), done.stdout


def test_each_half_is_read_from_its_own_errors() -> None:
    records = [record(error=0.1, report_error=0.3), record(number=1, status="failed")]
    assert select_errors(records).tolist() == [0.1, np.inf]
    assert report_errors(records).tolist() == [0.3, np.inf]
    assert validation_errors(records).tolist() == pytest.approx([0.2, np.inf])
