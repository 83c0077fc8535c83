"""The design of an export folder is really trained: in a run, resumed from elsewhere, and on its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas import export
from nas.open_space import everywhere
from nas.run_directory import RunDirectory
from tests.nas.exporting.runs import trained_run
from tests.nas.runs import SMALL
from tests.nas.test_cli import nas
from trials.exported import read_design

DIGITS = "digits@rows=100"
TINY = {
    "defaults": "",
    "epochs": 1,
    "population": 1,
    "repeats": 0,
    "transfer": 0,
    "controls": "",
    "search_trials": 0,
    "finalist_seeds": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a network for series of digits."""
    run = trained_run(tmp_path_factory.mktemp("run") / "run", ("digits_sequence@rows=100", "twin"), epochs=1)
    return export(str(run.path), to=tmp_path_factory.mktemp("out") / "network").path


def test_a_plan_names_folders_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    config = everywhere(replace(SMALL, spaces=("flexconv", "network", "somewhere:space")))
    assert config.spaces == ("flexconv", str(folder.resolve()), "somewhere:space")
    assert everywhere(config) == config
    with pytest.raises(ValueError, match="must differ"):
        everywhere(replace(SMALL, spaces=("flexconv", "network", "./network")))


@pytest.mark.slow
def test_a_run_trains_the_design_and_is_resumed_from_another_folder(folder: Path, tmp_path: Path) -> None:
    fields = [text for name, value in TINY.items() for text in ("--set", f"{name}={value}")]
    common = ("run", "smoke", "--tasks", DIGITS, "--run-dir", str(tmp_path / "run"), *fields)
    done = nas(*common, "--spaces", "flexconv,network", "--set", "seeds=1", cwd=folder.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    design = read_design(folder)
    name = f"network-{design.architecture.id[:6]}"

    def trained() -> list[int]:
        records = [r for r in RunDirectory(tmp_path / "run").read_records()[0] if r.trial.study.space == name]
        for record in records:
            assert record.status == "completed" and len(record.curve) == 1 and record.parameters > 0
            assert dict(record.trial.architecture.settings)["width"] == width, "the design of the folder"
        return sorted(record.trial.seed for record in records)

    width = dict(design.architecture.settings)["width"]
    first = trained()
    assert len(first) == 1
    spaces = f"flexconv,{folder}"
    done = nas(*common, "--spaces", spaces, "--set", "seeds=2", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(trained()) == 2 and set(first) < set(trained())
    done = nas(*common, "--spaces", "flexconv", "--set", "seeds=3", "--resume", cwd=tmp_path)
    assert done.returncode == 0 and len(trained()) == 3, done.stdout + done.stderr


@pytest.mark.slow
def test_the_folder_is_trained_by_a_relative_name_on_its_own(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trials", "network", "--task", DIGITS, "--to", str(tmp_path / "out")],
        cwd=folder.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("out/trials/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "completed"
    losses = [epoch["train_loss"] for epoch in record["curve"]]
    assert losses[-1] < losses[0]
