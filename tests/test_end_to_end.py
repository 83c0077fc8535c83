"""From the command line to the report, MLflow and an exported network, as a user does it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nas import SearchConfig, compare, export, run
from nas.run_directory import RunDirectory
from tests.nas.runs import SMALL, TRIALS
from tests.nas.test_cli import nas

SETTINGS = "rows=200 epochs=3 population=4 repeats=1 seeds=2 search_trials=5 finalist_seeds=1 grace_epochs=1"
WHOLE = TRIALS + 2
"""With the sizes that both seeds of the single design learned, retrained."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run in ``run`` and what the command printed in ``output``."""
    folder = tmp_path_factory.mktemp("end-to-end")
    settings = [word for setting in SETTINGS.split() for word in ("--set", setting)]
    done = nas("run", "smoke", "--tasks", "digits", "--run-dir", "run", *settings, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "output").write_text(done.stdout)
    return folder


def test_the_command_says_where_everything_is(folder: Path) -> None:
    output = (folder / "output").read_text()
    assert f"{WHOLE}/{WHOLE} trials ended" in output
    assert "FlexConv reaches" in output
    for line in ("report:        run/report.html", "run directory: run", "MLflow:        nas show run --ui"):
        assert line in output


def test_every_trial_is_in_the_records_and_in_mlflow(folder: Path) -> None:
    records, unreadable = RunDirectory(folder / "run").read_records()
    assert len(records) == WHOLE
    assert unreadable == []
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'run' / 'mlflow.db'}")
    experiments = [each for each in client.search_experiments() if each.name.startswith("smoke ")]
    runs = client.search_runs([experiments[0].experiment_id], max_results=1000)
    by_name = {run.data.tags["nas.name"]: run for run in runs}
    for record in records:
        shown = by_name[record.trial.id]
        parent = by_name[record.trial.study.name]
        assert shown.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert shown.data.metrics["epoch"] == len(record.curve)
        assert shown.data.tags["nas.status"] == record.status
        files = [each.path for each in client.list_artifacts(shown.info.run_id)]
        assert files == ["predictions.parquet"] * (record.trial.study.kind == "finalist")
    artifacts = {each.path for each in client.list_artifacts(by_name["comparison"].info.run_id)}
    assert artifacts == {"report.html", "report.md", "report.json", "figures", "tables"}
    models = client.search_logged_models([experiments[0].experiment_id])
    finalists = {record.trial.id for record in records if record.trial.study.kind == "finalist"}
    assert {model.tags["nas.name"] for model in models} == finalists and len(models) == len(finalists)


def test_the_report_is_complete_and_self_contained(folder: Path) -> None:
    html = (folder / "run" / "report.html").read_text()
    assert "<svg" in html
    assert "FlexConv reaches" in html
    assert set(re.findall(r"https?://[^/\"' ]+", html)) <= {"http://www.w3.org"}
    assert str(folder) not in html


def test_comparing_again_gives_the_same_report_without_mlflow(folder: Path) -> None:
    report = (folder / "run" / "report.html").read_bytes()
    done = nas("compare", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "report.html").read_bytes() == report


def test_show_lists_studies_and_best_trials(folder: Path) -> None:
    done = nas("show", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"{WHOLE} of {WHOLE} issued trials have ended" in done.stdout
    assert "best trials by select error" in done.stdout


def test_resuming_a_finished_run_trains_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("run/trials/*/record.json")}
    settings = [word for setting in SETTINGS.split() for word in ("--set", setting)]
    done = nas("run", "smoke", "--tasks", "digits", "--run-dir", "run", *settings, "--resume", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.glob("run/trials/*/record.json")} == before
    refused = nas("run", "smoke", "--tasks", "digits", "--run-dir", "run", "--resume", cwd=folder)
    assert refused.returncode == 2
    assert "rows is 200 there and None here" in refused.stderr


def test_damaged_files_are_named_and_the_run_can_go_on(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    record = next(tmp_path.glob("run/trials/*twin.population.0.0001/record.json"))
    record.write_text(record.read_text()[:100])
    settings = [word for setting in SETTINGS.split() for word in ("--set", setting)]
    again = ("run", "smoke", "--tasks", "digits", "--run-dir", "run", *settings, "--resume")
    done = nas(*again, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "twin.population.0.0001/record.json" in done.stderr
    assert "remove that file and its trial is run again" in done.stderr
    assert nas("compare", "run", cwd=tmp_path).returncode == 0
    assert "record.json" in (tmp_path / "run" / "report.md").read_text()
    record.unlink()
    design = record.with_name("design.json")
    whole = design.read_text()
    design.write_text("{")
    assert "design.json cannot be read" in nas("show", "run", cwd=tmp_path).stdout.replace("\n", " ")
    done = nas(*again, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "remove its folder" in done.stderr
    shutil.rmtree(design.parent)
    done = nas(*again, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{WHOLE}/{WHOLE} trials ended" in done.stdout
    assert design.read_text() == whole


FRESH = """
import json, sys, torch
from safetensors.torch import load_model
from search_spaces import Architecture, TaskShape, build
folder = sys.argv[1]
about = json.load(open(f"{folder}/architecture.json"))
shape = TaskShape(extent=tuple(about["shape"]["extent"]), channels=about["shape"]["channels"],
                  classes=about["shape"]["classes"])
network = build(Architecture.from_dict(about["architecture"]), shape)
load_model(network, f"{folder}/model.safetensors")
network.eval()
raw = torch.rand(7, shape.channels, *shape.extent)
mean, std = (torch.tensor(about[name]).reshape(1, -1, *[1] * len(shape.extent)) for name in ("mean", "std"))
expected = network((raw - mean) / std)
program = torch.export.load(f"{folder}/model.pt2").module()
print(float((program(raw) - expected).abs().max() / expected.abs().max()))
"""


@pytest.mark.parametrize("space", ["flexconv", "twin"])
def test_an_exported_network_runs_in_a_fresh_process(folder: Path, space: str, tmp_path: Path) -> None:
    target = tmp_path / "network"
    done = nas(
        "export", "run", "--task", "digits@rows=200", "--space", space, "--to", str(target), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert {"model.safetensors", "architecture.json", "model.pt2", "model.onnx"} < {
        path.name for path in target.iterdir()
    }
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH, str(target)], capture_output=True, text=True, check=True
    )
    assert float(fresh.stdout) < 1e-4
    again = nas(
        "export", "run", "--task", "digits@rows=200", "--space", space, "--to", str(target), cwd=folder
    )
    assert again.returncode == 2
    assert "not empty" in again.stderr


def test_exporting_what_is_not_there_names_what_is(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are: digits@rows=200 flexconv, digits@rows=200 twin"):
        export(folder / "run", task="digits", space="twin", to=tmp_path / "x")


def test_a_damaged_weight_file_leaves_no_export(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    for weights in tmp_path.glob("run/trials/*twin.finalist*/weights.safetensors"):
        weights.write_bytes(weights.read_bytes()[:100])
    done = nas("export", "run", "--task", "digits@rows=200", "--space", "twin", "--to", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "weights.safetensors" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_trial_run_elsewhere_joins_the_comparison(folder: Path, tmp_path: Path) -> None:
    design = next(folder.glob("run/trials/*twin.population.0.0000/design.json"))
    command = [sys.executable, "-m", "trials", str(design), "--seed", "4242", "--to", "elsewhere"]
    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    (space,) = compare(folder / "run").tasks[0].spaces
    comparison = compare(folder / "run", tmp_path / "elsewhere")
    assert comparison.records == WHOLE + 1
    (more,) = comparison.tasks[0].spaces
    assert (more.designs, more.repeats) == (space.designs, space.repeats + 1)
    compare(folder / "run")  # put the report back


def test_the_same_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config: SearchConfig = replace(SMALL, spaces=("flexconv",), defaults=("twin_3x3",), seeds=1)
    result = run(config)
    assert result.finished
    assert result.path == Path("runs/small")
    assert {level.space for level in result.comparison.tasks[0].defaults} == {"twin_3x3"}
    assert compare(result.path) == result.comparison
    done = export(result.path, task="digits@rows=200", space="flexconv", to="network")
    assert done.difference < 1e-4
