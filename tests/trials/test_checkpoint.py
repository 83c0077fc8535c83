"""Checkpoints: whole or not at all, of one trial, within their limit."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from tests.nas.builders import record
from trials import checkpoint
from trials.storage import Storage, Unwritten

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
            return Path.touch, (tmp_path / "run",)

    torch.save({"trial": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoint.load(Storage(str(tmp_path)), TRIAL) is None
    assert not (tmp_path / "run").exists()


def test_one_that_cannot_be_written_is_said_and_the_trial_goes_on(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").mkdir()
    with pytest.warns(UserWarning, match="no checkpoint of trial .* was written: Is a directory"):
        assert not checkpoint.save(Storage(str(tmp_path)), TRIAL, STATE)


def test_one_that_cannot_be_read_is_not_taken_for_damaged(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").symlink_to("checkpoint.pt")  # ELOOP when it is opened, also for root
    with pytest.raises(Unwritten, match="symbolic links"):
        checkpoint.load(Storage(str(tmp_path)), TRIAL)


def test_what_is_cut_is_damaged(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    assert checkpoint.save(folder, TRIAL, STATE)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "checkpoint.pt").write_bytes(whole[:size])
        with pytest.warns(UserWarning, match="is damaged .* starts anew"):
            assert checkpoint.load(folder, TRIAL) is None
