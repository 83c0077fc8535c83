"""Every space becomes a .pt2 and an ONNX file that take any batch and any extent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nas.exporting.programs import save_onnx, save_pt2, traced
from nas.exporting.reloaded import onnx_runner
from nas.networks import RawInputs, deployed
from search_spaces import SPACES, TaskShape, build, freeze
from search_spaces.layers.convolution import PlainConv
from tests.nas.exporting.runs import bare_task, with_statistics

SHAPES = [
    TaskShape(extent=(45,), channels=2, classes=3),
    TaskShape(extent=(45,), channels=1, classes=2, variable=True),
    TaskShape(extent=(17, 12), channels=3, classes=4),
    TaskShape(extent=(9, 8, 7), channels=1, classes=3),
]


def serves(name: str, shape: TaskShape) -> bool:
    try:
        SPACES[name](shape)
    except ValueError:
        return False
    return True


EVERY = [(name, shape) for name in SPACES for shape in SHAPES if serves(name, shape)]
SAMPLE = [("flexconv", 0), ("tcn", 1), ("ccnn", 2), ("resnet", 2), ("cell", 3), ("convnext", 1), ("twin", 3)]
CASES = [(name, SHAPES[number]) for name, number in SAMPLE]


def random_design(name: str, shape: TaskShape, seed: int) -> nn.Module:
    """A network of a random design of a space, with norms as after training."""
    space = SPACES[name](shape)
    torch.manual_seed(seed)
    return with_statistics(build(space.decode(space.sample(np.random.default_rng(seed))), shape))


@torch.no_grad()
def assert_exports(live: nn.Module, shape: TaskShape, folder: Path) -> None:
    """Both programs say what the live network does, of batches and extents not seen when they were made."""
    task = bare_task(shape)
    network, full = deployed(live, task), RawInputs(live, task).eval()
    program, any_extent = traced(
        freeze(network, portable=True), torch.zeros(2, shape.channels, *shape.extent)
    )
    assert any_extent
    save_pt2(program, folder / "model.pt2")
    save_onnx(program, folder / "model.onnx", {"trial": "a"})
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version >= 20
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    axes = {1: ["length"], 2: ["height", "width"], 3: ["depth", "height", "width"]}[shape.dimensions]
    assert dims == ["batch", shape.channels, *axes]
    assert not {node.op_type for node in model.graph.node} & {"BatchNormalization", "DFT", "Sin"}
    assert str(Path.cwd()).encode() not in (folder / "model.onnx").read_bytes(), "a path of this machine"
    run, module = onnx_runner(folder / "model.onnx"), torch.export.load(folder / "model.pt2").module()
    generator = torch.Generator().manual_seed(5)
    for batch, more in ((1, 0), (5, 0), (3, 6), (2, -2)):
        raw = torch.randn(batch, shape.channels, *(n + more for n in shape.extent), generator=generator)
        if shape.variable:
            raw[0, :, 20:] = torch.nan
        expected = full(raw)
        scale = float(expected.abs().max())
        assert float((module(raw) - expected).abs().max()) <= 1e-4 * scale
        assert np.abs(run(raw.numpy()) - expected.numpy()).max() <= 1e-4 * scale


@pytest.mark.parametrize(("name", "shape"), CASES, ids=[f"{name}-{shape}" for name, shape in CASES])
def test_a_sample_of_spaces_is_exported(name: str, shape: TaskShape, tmp_path: Path) -> None:
    assert_exports(random_design(name, shape, 0), shape, tmp_path)


def test_an_untrained_network_is_exported(tmp_path: Path) -> None:
    shape = SHAPES[2]
    space = SPACES["flexconv"](shape)
    torch.manual_seed(0)
    design = space.decode({choice.name: choice.options[0] for choice in space.choices})
    assert_exports(build(design, shape).eval(), shape, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), EVERY, ids=[f"{name}-{shape}" for name, shape in EVERY])
def test_every_space_is_exported(name: str, shape: TaskShape, tmp_path: Path) -> None:
    assert_exports(random_design(name, shape, 1), shape, tmp_path)


@torch.no_grad()
def test_fft_in_a_pt2_takes_any_batch_of_one_extent(tmp_path: Path) -> None:
    shape = TaskShape(extent=(301,), channels=1, classes=3)
    live, task = random_design("flexconv", shape, 0), bare_task(shape)
    network = deployed(live, task)
    for module in network.modules():
        if isinstance(module, PlainConv):
            module.backend = "fft"
    program, any_extent = traced(network, torch.zeros(2, 1, 301), any_extent=False)
    assert not any_extent
    save_pt2(program, tmp_path / "model.pt2")
    again = torch.export.load(tmp_path / "model.pt2").module()
    for batch in (1, 6):
        raw = torch.randn(batch, 1, 301)
        expected = RawInputs(live, task)(raw)
        assert float((again(raw) - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flexconv", "ccnn"])
@torch.no_grad()
def test_an_extent_of_16000_is_exported(name: str, tmp_path: Path) -> None:
    shape = TaskShape(extent=(16_000,), channels=1, classes=3)
    live, task = random_design(name, shape, 0), bare_task(shape)
    network, example = deployed(live, task), torch.zeros(2, 1, 16_000)
    raw = torch.randn(3, 1, 16_000)
    expected = RawInputs(live, task).eval()(raw)
    save_pt2(traced(network, example, any_extent=False)[0], tmp_path / "model.pt2")
    save_onnx(traced(freeze(network, portable=True), example)[0], tmp_path / "model.onnx", {})
    again = torch.export.load(tmp_path / "model.pt2").module()(raw)
    scale = float(expected.abs().max())
    assert float((again - expected).abs().max()) <= 1e-4 * scale
    found = onnx_runner(tmp_path / "model.onnx")(raw.numpy())
    assert np.abs(found - expected.numpy()).max() <= 1e-4 * scale


def test_what_has_no_form_in_onnx_is_said_in_one_line(tmp_path: Path) -> None:
    class Bessel(nn.Module):
        """A function that ONNX does not have."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """(batch, channels, length) -> the same."""
            return torch.special.bessel_j0(x)

    program, _ = traced(Bessel(), torch.zeros(2, 1, 8), any_extent=False)
    with pytest.raises(ValueError, match="cannot be written as ONNX") as said:
        save_onnx(program, tmp_path / "model.onnx", {})
    assert "\n" not in str(said.value) and not (tmp_path / "model.onnx").exists()
