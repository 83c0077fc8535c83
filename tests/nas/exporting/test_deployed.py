"""Networks as deployed: at another resolution, cropped, with fewer bits."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import export
from nas.exporting.backends import DIRECT, FFT, WORTH, fastest
from nas.exporting.precision import CALIBRATION, check_precisions, lowered
from nas.exporting.programs import save_onnx, traced
from nas.exporting.reloaded import onnx_runner
from nas.exporting.rows import FEWEST, report_rows
from nas.exporting.verifying import refuse_overflow
from nas.networks import RawInputs, deployed
from nas.run_directory import RunDirectory
from search_spaces import SPACES, TaskShape, build, freeze
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
        if name != "model.onnx":
            assert f"{name} {100 * (errors - at_double):+.1f}" in card, "what it loses"


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


LARGE = {"mean": (1e5, -3e5, 0.0), "std": (1e3, 2e3, 8e4)}
"""Raw inputs that half precision cannot hold, or only to within a deviation."""


@pytest.mark.parametrize("raw", [{}, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("precision", "most"), [("fp16", 5e-3), ("bf16", 3e-2), ("int8", 1e-1)])
@torch.no_grad()
def test_fewer_bits_stay_near_and_take_less_room(
    precision: str, most: float, raw: dict[str, tuple[float, ...]], tmp_path: Path
) -> None:
    shape = TaskShape(extent=(17, 12), channels=3, classes=4)
    bare = bare_task(shape)
    task = replace(bare, mean=raw.get("mean", bare.mean), std=raw.get("std", bare.std))
    network = freeze(deployed(random_design("ccnn", shape, 0), task), portable=True)
    save_onnx(traced(network, torch.zeros(2, 3, 17, 12))[0], tmp_path / "model.onnx", {})
    normal = np.random.default_rng(0).normal(size=(CALIBRATION, 3, 17, 12))
    axes = (3, 1, 1)
    rows = (normal * np.reshape(task.std, axes) + np.reshape(task.mean, axes)).astype(np.float32)
    (kind,) = check_precisions([precision])
    small = lowered(tmp_path / "model.onnx", kind, rows[:64])
    expected, found = onnx_runner(tmp_path / "model.onnx")(rows), onnx_runner(small)(rows)
    assert 0 < np.abs(found - expected).max() <= most * np.abs(expected).max()
    assert small.stat().st_size < 0.7 * (tmp_path / "model.onnx").stat().st_size


def test_a_file_that_has_no_answer_where_the_network_has_one_is_refused() -> None:
    expected = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    refuse_overflow("model.fp16.onnx", expected + 1, expected)
    lost = expected.copy()
    lost[1, 0] = np.inf
    lost[2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity on 2 of 3 rows; leave --precision fp16 out"):
        refuse_overflow("model.fp16.onnx", lost, expected)


def test_rows_are_fewer_where_a_finer_resolution_makes_each_dearer() -> None:
    data = open_task("digits")
    many, few = report_rows(data, 10**8), report_rows(data, 10**8, 2.0)
    assert len(many) == len(data.report) and len(few) == FEWEST < len(many)
    assert len(report_rows(data, 10**7, 2.0)) == len(data.report)


@torch.no_grad()
def test_half_precision_takes_any_batch_and_extent_and_series_that_end(tmp_path: Path) -> None:
    shape = TaskShape(extent=(45,), channels=1, classes=3, variable=True)
    for name in ("cell", "flexconv"):  # the first asks for the extent of its input
        network = deployed(random_design(name, shape, 0), bare_task(shape))
        program = traced(freeze(network, portable=True), torch.zeros(2, 1, 45))[0]
        save_onnx(program, tmp_path / "model.onnx", {})
        small = onnx_runner(lowered(tmp_path / "model.onnx", "fp16", np.zeros((0, 1, 45), np.float32)))
        rows = np.random.default_rng(0).normal(size=(5, 1, 61)).astype(np.float32)
        rows[0, :, 20:] = np.nan
        expected = onnx_runner(tmp_path / "model.onnx")(rows)
        assert np.abs(small(rows) - expected).max() <= 1e-2 * np.abs(expected).max()


@torch.no_grad()
def test_the_convolutions_of_a_pt2_are_done_in_the_way_that_was_faster() -> None:
    shape = TaskShape(extent=(784,), channels=1, classes=10)  # kernels as long as the series
    space = SPACES["flexconv"](shape)
    torch.manual_seed(0)
    live = build(space.decode({choice.name: choice.options[0] for choice in space.choices}), shape).eval()
    task, rows = bare_task(shape), torch.randn(8, 1, 784)
    network, measured = fastest(deployed(live, task), rows)
    assert measured.taken == FFT and measured.rows == 8 and not measured.any_extent
    assert measured.seconds[FFT] * WORTH <= measured.seconds[DIRECT]
    expected = RawInputs(live, task).eval()(rows)
    assert float((network(rows) - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_an_unknown_precision_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="precision must be one of fp16, bf16, int8, got 'int4'"):
        export(str(run), space="flexconv", to=tmp_path / "a", precisions=["int4"])
