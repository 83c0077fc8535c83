"""Checkpoints: whole or not at all, of one trial, within their limit."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from tests.nas.builders import record
from trials import checkpoint
from trials.storage import Storage

TRIAL = record().trial
STATE = {"weights": torch.arange(1000.0), "epoch": 3, "names": ["a", "b"]}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path / "new"))
    assert checkpoint.load(folder, TRIAL) is None
    assert checkpoint.save(folder, TRIAL, STATE)
    found = checkpoint.load(folder, TRIAL)
    assert found is not None and torch.equal(found["weights"], STATE["weights"])
    assert (found["epoch"], found["names"]) == (3, ["a", "b"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["checkpoint.pt"]


def test_one_over_the_limit_is_not_written_and_that_is_said(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    assert checkpoint.save(folder, TRIAL, STATE | {"epoch": 2})
    size = (tmp_path / "checkpoint.pt").stat().st_size
    with pytest.warns(
        UserWarning, match=rf"its {size:,} bytes are more than the {size - 1:,} that checkpoint_gb"
    ):
        assert not checkpoint.save(folder, TRIAL, STATE, limit=size - 1)
    found = checkpoint.load(folder, TRIAL)
    assert found is not None and found["epoch"] == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.save(folder, TRIAL, STATE, limit=size)


def test_nothing_is_run_that_a_file_holds(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "run",)  # type: ignore[return-value]

    torch.save({"trial": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoint.load(Storage(str(tmp_path)), TRIAL) is None
    assert not (tmp_path / "run").exists()


def test_another_failure_than_a_full_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").mkdir()
    with pytest.raises(OSError):
        checkpoint.save(Storage(str(tmp_path)), TRIAL, STATE)
