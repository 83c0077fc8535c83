"""Artifacts of an export folder as a stranger's process sees them.

`python -m nas.exporting.reloaded FOLDER SCRATCH ARTIFACT=ROWS...` writes what each artifact says of the raw
rows in ``SCRATCH/ROWS.npy`` to ``SCRATCH/ARTIFACT=ROWS.npy``; ONNX first, while torch is not even imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.exported import ARCHITECTURE, TENSORS

Floats = NDArray[np.float32]
FIRST, BATCH = (1, 7), 64
"""Rows of the first batches, and of the others: none of them is the batch at export."""


def main(folder: str, scratch: str, *asked: str) -> None:
    """What the command does."""
    jobs = sorted((tuple(each.split("=")) for each in asked), key=lambda job: not job[0].endswith(".onnx"))
    for artifact, rows in jobs:
        inputs = np.load(f"{scratch}/{rows}.npy", mmap_mode="r")
        run = _runner(Path(folder) / artifact)
        np.save(f"{scratch}/{artifact}={rows}.npy", np.concatenate([run(batch) for batch in batches(inputs)]))


def batches(inputs: Floats) -> Iterator[Floats]:
    """The rows in order."""
    ends = np.cumsum([*FIRST, *[BATCH] * (len(inputs) // BATCH + 1)])
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        if start < len(inputs):
            yield np.ascontiguousarray(inputs[start:end])


def _runner(path: Path) -> Callable[[Floats], Floats]:
    if path.suffix == ".onnx":
        assert "torch" not in sys.modules
        return onnx_runner(path)
    import torch

    network: Any = torch.export.load(path).module() if path.suffix == ".pt2" else _rebuilt(path.parent)

    def run(batch: Floats) -> Floats:
        with torch.no_grad():
            logits: Floats = network(torch.from_numpy(batch)).numpy()
        return logits

    return run


def onnx_runner(path: Path) -> Callable[[Floats], Floats]:
    """What onnxruntime makes of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(batch: Floats) -> Floats:
        logits: Floats = session.run(None, {name: batch})[0]
        return logits

    return run


def _rebuilt(folder: Path) -> Callable[..., Any]:
    """The network of model.safetensors and architecture.json, from raw inputs."""
    import json

    import torch
    from safetensors.torch import load_file

    from search_spaces import Architecture, TaskShape, build
    from trials.plain import from_plain

    about = json.loads((folder / ARCHITECTURE).read_text(encoding="utf-8"))
    network = build(
        Architecture.from_dict(about["architecture"]), from_plain(TaskShape, about["shape"], "shape")
    )
    network.load_state_dict(load_file(folder / TENSORS))
    network.eval()
    axes = [1] * len(about["shape"]["extent"])
    mean, std = (torch.tensor(about[name]).view(1, -1, *axes) for name in ("mean", "std"))
    return lambda raw: network((raw - mean) / std)


if __name__ == "__main__":
    main(*sys.argv[1:])
