"""Programs that do not hold at other extents are written for their own, and the card says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas import export
from nas.exporting import writing
from nas.exporting.backends import Backends
from nas.exporting.reloaded import onnx_runner
from tests.nas.exporting.runs import trained_run

DIGITS = "digits@rows=200"


@pytest.mark.slow
def test_a_pt2_that_torch_guards_against_short_inputs_takes_its_own_extent(tmp_path: Path) -> None:
    run = trained_run(tmp_path / "run", (DIGITS, "resnet"), epochs=1)  # 4x4 becomes a single position
    folder = export(str(run.path), to=tmp_path / "network").path
    text = (folder / "card.md").read_text()
    assert "model.pt2 takes this extent only; model.onnx takes any extent" in text
    assert "| model.onnx at 4x4 |" in text and "| model.pt2 at" not in text
    assert onnx_runner(folder / "model.onnx")(np.zeros((2, 1, 4, 4), np.float32)).shape == (2, 10)
    with pytest.raises(Exception, match="== 8"):
        torch.export.load(folder / "model.pt2").module()(torch.zeros(2, 1, 4, 4))


@pytest.mark.slow
def test_a_program_that_holds_at_one_extent_alone_is_exported_for_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(nn.Module):
        """Right at 8x8 alone."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            """(batch, channels, height, width) -> logits."""
            logits: Tensor = self.network(x)
            return logits + (x.shape[-1] - 8)

    right = writing.fastest

    def here(network: nn.Module, example: Tensor) -> tuple[nn.Module, Backends]:
        quickest, measured = right(network, example)
        return Here(quickest), measured

    monkeypatch.setattr(writing, "fastest", here)
    run = trained_run(tmp_path / "run", (DIGITS, "twin_3x3"), epochs=1)
    folder = export(str(run.path), to=tmp_path / "network").path
    text = (folder / "card.md").read_text()
    assert "model.pt2 takes this extent only; model.onnx takes any extent" in text
    with pytest.raises(Exception, match="8"):
        torch.export.load(folder / "model.pt2").module()(torch.zeros(1, 1, 9, 9))
