"""Golden numbers of the authors' released FlexConv, loaded into ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from search_spaces.layers.flexconv import FlexConv

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"

Arrays = dict[str, np.ndarray]


def load_reference(path: Path) -> tuple[FlexConv, Arrays]:
    """A FlexConv with the reference's parameters, and everything that the file holds."""
    with np.load(path) as file:
        arrays: Arrays = dict(file)
    outputs, inputs, *taps = arrays["kernel"].shape
    layers = sum(name.startswith("param/Kernel.linear.") and name.endswith("bias") for name in arrays)
    size = (int(arrays["param/train_length"][0]),) * len(taps)
    layer = FlexConv(inputs, outputs, size, hidden=len(arrays["param/Kernel.linear.0.bias"]), layers=layers)
    with torch.no_grad():
        layer.gain.fill_(1.0)  # ours; the released layer leaves its scale to the norm that follows
        for name, value in reference_values(arrays, "param", layers).items():
            parameter = layer.get_parameter(name)
            parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))
    return layer, arrays


def reference_values(arrays: Arrays, kind: str, layers: int) -> Arrays:
    """The reference's parameters (kind ``"param"``) or their gradients (``"grad"``) under our names."""
    names = {"bias": "bias"}
    names |= {f"generator.output.{end}": f"Kernel.output_linear.{end}" for end in ("weight", "bias")}
    for i in range(layers):
        names |= {f"generator.linears.{i}.{end}": f"Kernel.linear.{i}.{end}" for end in ("weight", "bias")}
    for i in range(layers + 1):
        ours, theirs = f"generator.filters.{i}", f"Kernel.filters.{i}"
        names |= {f"{ours}.{end}": f"{theirs}.{end}" for end in ("mu", "gamma")}
        names |= {f"{ours}.{end}": f"{theirs}.linear.{end}" for end in ("weight", "bias")}
    values = {ours: arrays[f"{kind}/{theirs}"] for ours, theirs in names.items()}
    values["mask.mean"] = arrays[f"{kind}/mask_params"][:, 0]
    values["mask.sigma"] = arrays[f"{kind}/mask_params"][:, 1]
    return values
