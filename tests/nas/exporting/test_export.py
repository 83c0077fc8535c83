"""Export folders: what is in them, what is refused, and that nothing half written stays."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas import export, export_front
from nas.exporting import taking, writing
from nas.exporting.choosing import front
from nas.exporting.folder import drafted
from nas.run_directory import RunDirectory
from tests.nas.exporting.runs import trained_run
from tests.nas.test_cli import nas
from trials.exported import read_design
from trials.task import open_task

DIGITS = "digits@rows=200"
FILES = {
    "architecture.json",
    "card.md",
    "example_input.npy",
    "example_output.npy",
    "manifest.json",
    "model.onnx",
    "model.pt2",
    "model.safetensors",
    "predict.py",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return trained_run(tmp_path_factory.mktemp("run") / "run", (DIGITS, "flexconv"), (DIGITS, "twin_3x3"))


@pytest.fixture(scope="module")
def folder(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the FlexConv network."""
    return export(str(run), space="flexconv", to=tmp_path_factory.mktemp("out") / "network").path


@pytest.fixture
def copied(run: RunDirectory, tmp_path: Path) -> Path:
    """A run directory to spoil."""
    assert run.path is not None
    return Path(shutil.copytree(run.path, tmp_path / "run"))


def test_an_export_holds_what_it_says_and_the_live_network_answers_the_same(
    run: RunDirectory, folder: Path
) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    data = open_task(DIGITS)
    inputs, outputs = (np.load(folder / f"example_{name}.npy") for name in ("input", "output"))
    assert np.array_equal(inputs, data.report.inputs[: len(inputs)])
    predicted = torch.export.load(folder / "model.pt2").module()(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(predicted, outputs, rtol=1e-4, atol=1e-5)
    design = read_design(folder)
    assert design.class_names == data.class_names and design.space == "flexconv"


def test_the_card_tells_quality_with_n_cost_differences_and_limits(run: RunDirectory, folder: Path) -> None:
    text = (folder / "card.md").read_text()
    (trained,) = (r for r in run.read_records()[0] if r.trial.study.space == "flexconv")
    assert trained.test is not None and trained.test.error_interval is not None
    interval = trained.test.error_interval
    error = f"{100 * trained.test.error:.1f} % | {100 * interval.low:.1f} to {100 * interval.high:.1f} %"
    assert f"| test error | {error} | {trained.test.rows} |" in text
    times = r"direct [\d.]+ ms, padded first [\d.]+ ms, FFT where it is cheaper [\d.]+ ms"
    assert re.search(rf"convolutions of model\.pt2: .* \(measured on 16 rows: {times}\)", text)
    for extent in ("4x4", "13x13"):
        assert f"| model.pt2 at {extent} | 3 |" in text and f"| model.onnx at {extent} | 3 |" in text
    assert "CC BY 4.0" in text and "Limits" in text and f"{trained.parameters:,} parameters" in text
    for name in ("model.safetensors", "model.pt2", "model.onnx"):
        found = re.search(
            rf"\| {name} \| {trained.rows_report} \| (\S+) \| (\S+) \| 100\.00 % "
            r"\| ([\d.]+) % \| ([\d. to]+) % \|",
            text,
        )
        assert found is not None and float(found[2]) < 1e-4
        assert float(found[3]) == pytest.approx(100 * trained.report_error, abs=0.05)
        assert found[4] == by_wilson(trained.report_error, trained.rows_report)
    for name, error, rows in (
        ("report error", trained.report_error, trained.rows_report),
        ("select error", trained.select_error, trained.rows_select),
    ):
        assert f"| {name} | {100 * error:.1f} % | {by_wilson(error, rows)} % | {rows} |" in text


def by_wilson(p: float, n: int) -> str:
    """Bounds in percent, by the formula of Wilson (1927)."""
    z = 1.959964
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return " to ".join(f"{100 * (middle + side * half) / (1 + z**2 / n):.1f}" for side in (-1, 1))


def site_without_torch(path: Path) -> Path:
    """A folder of packages with onnxruntime, what it needs, and nothing else."""
    import google.protobuf
    import onnxruntime

    packages = Path(onnxruntime.__file__).parent.parent
    for each in packages.iterdir():
        if re.match(r"(onnxruntime|numpy|flatbuffers|packaging)(\.libs)?$", each.name):
            (path / each.name).symlink_to(each)
    (path / "google").mkdir()
    (path / "google" / "protobuf").symlink_to(Path(google.protobuf.__file__).parent)
    return path


def test_the_script_predicts_where_there_is_no_torch(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = site_without_torch(tmp_path / "site")
    clean = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(command, env=clean, cwd=tmp_path, capture_output=True, text=True)

    assert "No module named 'torch'" in python("-c", "import torch").stderr
    done = python(str(folder / "predict.py"), str(folder / "example_input.npy"))
    assert done.returncode == 0, done.stderr
    logits = np.load(folder / "example_output.npy")
    assert done.stdout.split() == [str(label) for label in logits.argmax(1)]
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    flip(moved / "model.onnx")
    done = python(str(moved / "predict.py"), str(folder / "example_input.npy"))
    assert done.returncode == 1 and "model.onnx is damaged" in done.stderr
    assert len((folder / "predict.py").read_text().split("\n\n")[-1].splitlines()) <= 10


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", sorted(FILES - {"manifest.json"}))
def test_a_changed_or_missing_file_is_noticed_when_the_folder_is_used(
    folder: Path, tmp_path: Path, name: str
) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    flip(moved / name)
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        read_design(moved)
    (moved / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        read_design(moved)


def test_an_artifact_that_differs_is_named_with_the_amount_and_leaves_nothing(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = writing.traced

    def wrong(network: nn.Module, example: Tensor, any_extent: bool = True) -> tuple[Any, bool]:
        with torch.no_grad():
            list(network.parameters())[-1][0] += 0.01
        return right(network, example, any_extent)

    monkeypatch.setattr(writing, "traced", wrong)
    with pytest.raises(
        ValueError, match=r"model\.(pt2|onnx) differs .* by \d\.\de-\d\d of the largest logit"
    ):
        export(str(run), space="twin_3x3", to=tmp_path / "network")
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_that_cannot_be_loaded_again_is_named(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "save_pt2", lambda program, path: path.write_bytes(b"not a program"))
    with pytest.raises(ValueError, match=r"model\.pt2 does not run in a fresh process"):
        export(str(run), space="twin_3x3", to=tmp_path / "network")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o027, 0o640, 0o750), (0o002, 0o664, 0o775)])
def test_others_may_read_an_export_as_they_may_other_files_here(
    tmp_path: Path, umask: int, file: int, folder: int
) -> None:
    before = os.umask(umask)
    try:
        with drafted(tmp_path / "network") as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / "weights").touch(mode=0o600)  # as safetensors writes
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"network": folder, "inner": folder, "weights": file}


SLOW = [pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGKILL)]


@pytest.mark.parametrize("number", [signal.SIGTERM, *SLOW])
def test_an_interrupted_export_leaves_no_folder_under_its_name(
    run: RunDirectory, tmp_path: Path, number: signal.Signals
) -> None:
    hears = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also in a background job
    )
    command = [sys.executable, "-c", f"{hears}; from nas.cli import main; main()", "export", str(run)]
    process = subprocess.Popen(
        [*command, "--space", "twin_3x3", "--to", "network"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not list(tmp_path.glob(".network.*/model.*")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if number is signal.SIGKILL else 130), said
    left = [] if number is not signal.SIGKILL else list(tmp_path.glob(".network.*"))
    assert list(tmp_path.iterdir()) == left
    assert not (tmp_path / "network").exists()


def spoiled(run: Path, space: str, value: float) -> None:
    """Put a number into the finalist's weights."""
    (weights,) = run.glob(f"trials/*.{space}.finalist*/weights.safetensors")
    tensors = load_file(weights)
    name = next(name for name, values in tensors.items() if values.is_floating_point() and values.ndim > 1)
    tensors[name].flatten()[0] = value
    save_file(tensors, weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(copied: Path, tmp_path: Path, value: float) -> None:
    spoiled(copied, "twin_3x3", value)
    with pytest.raises(ValueError, match="weights must be finite, got NaN or infinity in"):
        export(copied, space="twin_3x3", to=tmp_path / "network")
    assert not (tmp_path / "network").exists()


def test_other_rows_than_those_of_the_run_are_refused(copied: Path, tmp_path: Path) -> None:
    info = json.loads((copied / "run.json").read_text())
    info["tasks"][0]["digest"] = "0" * 64
    (copied / "run.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match="are not those of the run"):
        export(copied, space="twin_3x3", to=tmp_path / "network")


def test_what_is_left_out_is_found_or_asked_for(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"several tasks or spaces: {DIGITS} flexconv, {DIGITS} twin_3x3"):
        export(str(run), to=tmp_path / "a")
    with pytest.raises(ValueError, match=r"no finalist of task 'mnist' and space 'twin'; there are: digits"):
        export(str(run), task="mnist", space="twin", to=tmp_path / "a")
    unknown: dict[str, Any] = {"by": "size"}
    with pytest.raises(ValueError, match="by must be one of error, multiply-adds, latency, got 'size'"):
        export(str(run), space="twin_3x3", to=tmp_path / "a", **unknown)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="exists and is not empty"):
        export(str(run), space="twin_3x3", to=tmp_path / "file")


def test_the_command_names_the_folder_after_the_trial_where_none_is_given(
    run: RunDirectory, tmp_path: Path
) -> None:
    done = nas("export", str(run), "--space", "twin_3x3", "--by", "latency", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"{DIGITS}.twin_3x3.finalist.0.0000" and f"{folder.name}: " in done.stdout
    read_design(folder)


def test_latencies_of_two_devices_end_the_command(copied: Path, tmp_path: Path) -> None:
    (one,) = copied.glob("trials/*.twin_3x3.finalist*")
    other = Path(shutil.copytree(one, one.with_name(one.name.replace("0000", "0001"))))
    record = json.loads((other / "record.json").read_text())
    record["trial"]["number"], record["device"] = 1, "another one"
    (other / "record.json").write_text(json.dumps(record))
    (other / "design.json").write_text(json.dumps(record["trial"]))
    asked = ("export", str(copied), "--space", "twin_3x3", "--to", "network", "--by", "latency")
    done = nas(*asked, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "another one" in done.stderr and "use by multiply-adds" in done.stderr
    assert not (tmp_path / "network").exists()


def test_without_onnx_the_way_out_is_named(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "find_spec", lambda name: None if name == "onnxscript" else 1)
    with pytest.raises(ValueError, match=r"needs onnxscript, .* pip install 'nas-flexconv\[export\]'"):
        export(str(run), space="twin_3x3", to=tmp_path / "network")


@pytest.fixture(scope="module")
def written_front(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("front") / "front"
    export_front(str(run), to=path)
    return path


def test_the_front_is_folders_and_a_table(run: RunDirectory, written_front: Path) -> None:
    wanted = [r.trial.id for r in front(run.read_records()[0])]
    listed = json.loads((written_front / "front.json").read_text())
    assert [each["trial"] for each in listed] == wanted
    table = (written_front / "front.md").read_text()
    for each in listed:
        assert read_design(written_front / each["path"]).trial == each["trial"]
        (row,) = (line for line in table.splitlines() if line.startswith(f"| {each['path']} |"))
        of = next(r for r in run.read_records()[0] if r.trial.id == each["trial"])
        interval = by_wilson(of.report_error, of.rows_report)
        deployed = f"{100 * of.report_error:.1f} % ({interval} %, {of.rows_report})"
        assert row.split(" | ")[4] == deployed, "the column of what model.onnx does"
        card = (written_front / each["path"] / "card.md").read_text()
        assert "It was chosen among 2 finalists because none of them has both" in card
    assert {path.name for path in written_front.iterdir()} == {"front.json", "front.md", *wanted}
