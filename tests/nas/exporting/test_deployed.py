"""Networks as deployed: at another resolution, cropped, with fewer bits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import export
from nas.exporting.precision import CALIBRATION, check_precisions, lowered
from nas.exporting.programs import save_onnx, traced
from nas.exporting.reloaded import onnx_runner
from nas.networks import deployed
from nas.run_directory import RunDirectory
from search_spaces import TaskShape, freeze
from tests.nas.exporting.runs import bare_task, trained_run
from tests.nas.exporting.test_programs import random_design
from tests.nas.test_cli import nas
from trials.exported import read_design
from trials.other_rates import resampled
from trials.task import open_task

DIGITS = "digits@rows=200"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    finalists = ((DIGITS, "flexconv"), (DIGITS, "twin_3x3"))
    return trained_run(tmp_path_factory.mktemp("run") / "run", *finalists, rates=(2.0,))


@pytest.mark.slow
def test_another_resolution_is_exported_cropped_and_measured_there(run: RunDirectory, tmp_path: Path) -> None:
    asked = ("--space", "flexconv", "--to", "network", "--resolution", "16", "--crop", "0.2")
    lower = ("--precision", "int8", "--precision", "fp16", "--precision", "bf16")
    done = nas("export", str(run), *asked, *lower, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "network"
    assert read_design(folder).shape.extent == (16, 16)
    (known,) = (r for r in run.read_records()[0] if r.trial.study.space == "flexconv")
    at_double = known.at_rates[0].error
    assert at_double is not None
    rows = resampled(open_task(DIGITS).report, 2.0)
    assert f"at 16 samples: error {100 * at_double:.1f} % on {len(rows)} report rows" in done.stdout
    card = (folder / "card.md").read_text()
    assert f"its error on {len(rows)} resampled report rows is {100 * at_double:.1f} %" in card
    crop = re.search(r"cropped at 0\.2 .*: from (\S+),.* taps to (\S+?),.* change of a logit (\S+) of", card)
    assert crop is not None
    assert int(crop[2].split("x")[0]) < int(crop[1].split("x")[0]) and float(crop[3]) > 1e-5
    for name in ("model.onnx", "model.int8.onnx", "model.fp16.onnx", "model.bf16.onnx"):
        errors = (onnx_runner(folder / name)(rows.inputs).argmax(1) != rows.labels).mean()
        assert re.search(rf"\| {name} \| .* \| {100 * errors:.1f} % \|", card), name


def test_discrete_kernels_and_rates_that_do_not_fit_have_no_other_resolution(
    run: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="this one has discrete kernels"):
        export(str(run), space="twin_3x3", to=tmp_path / "a", resolution=16)
    with pytest.raises(ValueError, match="grids nest if"):
        export(str(run), space="flexconv", to=tmp_path / "a", resolution=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_variable_series_at_half_its_rate_is_exported(tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run", ("tests.trials.examples:ringing", "flexconv"), epochs=1)
    done = export(str(run), to=tmp_path / "network", resolution=20, precisions=["int8"])
    design = read_design(done.path)
    assert design.shape.extent == (20,) and design.shape.variable
    assert np.isnan(np.load(done.path / "example_input.npy")).any()
    assert done.difference < 1e-4


@pytest.mark.parametrize(("precision", "most"), [("fp16", 5e-3), ("bf16", 3e-2), ("int8", 1e-1)])
@torch.no_grad()
def test_fewer_bits_stay_near_and_take_less_room(precision: str, most: float, tmp_path: Path) -> None:
    shape = TaskShape(extent=(17, 12), channels=3, classes=4)
    network = freeze(deployed(random_design("ccnn", shape, 0), bare_task(shape)), portable=True)
    save_onnx(traced(network, torch.zeros(2, 3, 17, 12))[0], tmp_path / "model.onnx", {})
    rows = np.random.default_rng(0).normal(size=(CALIBRATION, 3, 17, 12)).astype(np.float32)
    (kind,) = check_precisions([precision])
    small = lowered(tmp_path / "model.onnx", kind, rows[:64])
    expected, found = onnx_runner(tmp_path / "model.onnx")(rows), onnx_runner(small)(rows)
    assert 0 < np.abs(found - expected).max() <= most * np.abs(expected).max()
    assert small.stat().st_size < 0.7 * (tmp_path / "model.onnx").stat().st_size


def test_an_unknown_precision_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precision must be one of fp16, bf16, int8, got 'int4'"):
        export(str(run), space="flexconv", to=tmp_path / "a", precisions=["int4"])
