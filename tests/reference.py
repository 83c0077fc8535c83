"""Golden numbers of the authors' released layers, loaded into ours.

FLEX is rjbruin/flexconv, CCNN is david-knigge/ccnn; files are told apart by their parameters' names. Where a
released layer does not follow our rules, the loader bends ours and not the numbers:

- The crop is held at the kernel in the file. FLEX keeps one tap, where we keep three; its causal layer keeps
  x > mean - 2.146 sigma, as we do, CCNN's one tap more; and CCNN's 2-D layer crops each axis by the width of
  the other. One rule of ours and a held crop say more clearly than three rules what is ours.
- The floor of sigma and the gain are ours alone: they are lifted, to minus infinity and 1.
- CCNN divides by sigma^2 + 1e-8, which is our mask at the width sqrt(sigma^2 + 1e-8); and it multiplies the
  second axis by the first width.
- Coordinates come from torch.linspace. On grids without exact steps ours differ by the last bit, which the
  released frequencies, up to 1e5 radians per unit, turn into 1e-3 of the kernel.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from search_spaces.layers.flexconv import FlexConv, SeparableFlexConv

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"

Arrays = dict[str, np.ndarray]


def load_reference(npz_path: Path | str) -> tuple[FlexConv | SeparableFlexConv, Arrays]:
    """Our layer with the reference's parameters, and everything that the file holds.

    Args:
        npz_path: dense or separable, 1-D causal or 2-D, MAGNet or SIREN, of any sigma; convolved spatially or
            by FFT, which our layer chooses for itself.
    """
    with np.load(npz_path) as file:
        arrays: Arrays = dict(file)
    axes = arrays["kernel"].ndim - 2
    inputs, outputs = arrays["x"].shape[1], arrays["y"].shape[1]
    hidden_maps, hidden = _hidden(arrays)
    settings = {
        "size": (int(arrays["param/train_length"].item()),) * axes,
        "causal": axes == 1,
        "learn_mean": "param/mask_params" in arrays or "grad/mask_mean_param" in arrays,
        "generator": "siren" if _sines(arrays) else "magnet",
        "hidden": hidden,
        "layers": hidden_maps,
        "bias": "param/bias" in arrays,
    }
    layer: FlexConv | SeparableFlexConv
    if "param/channel_mixer.weight" in arrays:
        layer = SeparableFlexConv(inputs, outputs, **settings)
        flexible = layer.depthwise
    else:
        layer = flexible = FlexConv(inputs, outputs, **settings)
    flexible.crop = arrays["kernel"].shape[2:]
    if not flexible.causal:
        flexible.coordinates = partial(_linspace, flexible)
    with torch.no_grad():
        flexible.gain.fill_(1.0)
        flexible.mask.floor.fill_(-math.inf)
        for name, value in reference_values(arrays, "param", layer).items():
            tensor = _tensor(layer, name)
            tensor.copy_(torch.from_numpy(np.array(value)).reshape(tensor.shape))
    return layer, arrays


def _linspace(layer: FlexConv, kernel_size: tuple[int, ...]) -> list[torch.Tensor]:
    like = layer.gain
    whole = [torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) for n in layer.size]
    return [x[(len(x) - k) // 2 :][:k] for x, k in zip(whole, kernel_size, strict=True)]


def reference_values(arrays: Arrays, kind: str, layer: nn.Module) -> Arrays:
    """The reference's parameters (kind ``"param"``) or their gradients (``"grad"``) under our names.

    Ours hold the filters, and the linear maps between them, each in one tensor.
    """
    flexible = "depthwise." if isinstance(layer, SeparableFlexConv) else ""
    names = {f"{flexible}{ours}": theirs for ours, theirs in _generator_names(arrays).items()}
    names[f"{flexible}bias"] = "bias"
    names |= {f"pointwise.{end}": f"channel_mixer.{end}" for end in ("weight", "bias")}
    values = {
        ours: arrays[f"{kind}/{theirs}"] for ours, theirs in names.items() if f"{kind}/{theirs}" in arrays
    }
    if not _sines(arrays):
        stacked = {f"{flexible}generator.{ours}": each for ours, each in _stacked_names(arrays).items()}
        values |= {
            ours: np.stack([arrays[f"{kind}/{theirs}"] for theirs in each]) for ours, each in stacked.items()
        }
    mask = _mask_values(arrays, kind)
    return values | {f"{flexible}mask.{name}": value for name, value in mask.items()}


def _mask_values(arrays: Arrays, kind: str) -> Arrays:
    if f"{kind}/mask_params" in arrays:
        parameters = arrays[f"{kind}/mask_params"]
        return {"mean": parameters[:, 0], "sigma": parameters[:, 1]}
    width = arrays["param/mask_width_param"].astype(np.float64)
    ours = np.sqrt(width**2 + 1e-8)
    values = {"sigma": ours if kind == "param" else arrays["grad/mask_width_param"] * ours / width}
    if f"{kind}/mask_mean_param" in arrays:
        values["mean"] = arrays[f"{kind}/mask_mean_param"]
    return {name: value[::-1] for name, value in values.items()}


def _generator_names(arrays: Arrays) -> dict[str, str]:
    """Our names of the generator's tensors, and the reference's, where they are one to one."""
    names, output = {}, "Kernel.output_linear"
    if sines := _sines(arrays):
        for i, sine in enumerate(sines):
            names |= {f"generator.sines.{i}.{end}": f"{sine}.{end}" for end in ("weight", "bias")}
            names[f"generator.sines.{i}.omega"] = f"{sine}.omega_0"
        # FLEX ends the sequence with the linear map, CCNN has it apart
        last = max(_numbers(arrays, "Kernel.kernel_net"))
        if f"param/{output}.weight" not in arrays:
            output = f"Kernel.kernel_net.{last}"
    return names | {f"generator.output.{end}": f"{output}.{end}" for end in ("weight", "bias")}


def _stacked_names(arrays: Arrays) -> dict[str, list[str]]:
    """Our names of the tensors of a MAGNet that hold several of the reference's, in order."""
    linear = "Kernel.linears" if "param/Kernel.linears.0.weight" in arrays else "Kernel.linear"
    linears = [f"{linear}.{i}" for i in _numbers(arrays, linear)]
    filters = [f"Kernel.filters.{i}" for i in _numbers(arrays, "Kernel.filters")]
    names = {
        "weights": [f"{each}.weight" for each in linears],
        "biases": [f"{each}.bias" for each in linears],
    }
    names |= {f"filters.{end}": [f"{each}.{end}" for each in filters] for end in ("mu", "gamma")}
    return names | {
        f"filters.{end}": [f"{each}.linear.{end}" for each in filters] for end in ("weight", "bias")
    }


def _hidden(arrays: Arrays) -> tuple[int, int]:
    """Layers after the first, and their channels."""
    if sines := _sines(arrays):
        return len(sines) - 1, len(arrays[f"param/{sines[0]}.weight"])
    return len(_numbers(arrays, "Kernel.filters")) - 1, len(arrays["param/Kernel.filters.0.mu"])


def _sines(arrays: Arrays) -> list[str]:
    """The layers of a SIREN that end in a sine."""
    every = (f"Kernel.kernel_net.{i}" for i in _numbers(arrays, "Kernel.kernel_net"))
    return [name for name in every if f"param/{name}.omega_0" in arrays]


def _numbers(arrays: Arrays, prefix: str) -> list[int]:
    start = f"param/{prefix}."
    return sorted({int(name[len(start) :].split(".")[0]) for name in arrays if name.startswith(start)})


def _tensor(layer: nn.Module, name: str) -> torch.Tensor:
    *path, last = name.split(".")
    return getattr(layer.get_submodule(".".join(path)), last)
