"""Datasets that are broken in one place, and how a user is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.cli import main
from tests.trials.tables import NAMES, write
from trials.cache import root

Break = Callable[[Path], None]


def train(columns: dict[str, Any], features: object = NAMES) -> Break:
    """One training file with these columns."""
    return lambda folder: write(folder / "train.parquet", columns, features) and None


def at(row: int, column: str, message: str, file: str = "train") -> str:
    """What is said of a value: its place and what is wrong."""
    return rf"^nas: \S*/leaves/{file}\.parquet, row {row}, column '{column}': .*{message}"


def is_named_in_one_line(
    make: Break, message: str, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
) -> None:
    """`nas tasks` of a broken dataset: exit code 2, one line that matches, nothing half written."""
    folder = folder / "leaves"
    folder.mkdir()
    make(folder)
    patch.setattr("sys.argv", ["nas", "tasks", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2, said
    assert re.search(message, said.err), said.err
    assert said.err.startswith("nas: ") and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert "Error(" not in said.err and len(said.err) < 1000
    assert not list(root().rglob("*.partial"))
