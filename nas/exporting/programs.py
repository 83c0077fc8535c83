"""A deployed network as a program: torch's .pt2 and ONNX, for any batch and, where it can be, any extent."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

OPSET = 20
INPUT, OUTPUT = "input", "logits"
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the axes that may vary, by their number."""


def traced(network: nn.Module, example: Tensor, any_extent: bool = True) -> tuple[Any, bool]:
    """A `torch.export.ExportedProgram`, and whether it takes inputs of any extent.

    Args:
        network: in evaluation mode.
        example: an input (2 or more, channels, *extent).
        any_extent: whether to try; with FFT it would take minutes, since lengths are searched for.

    Raises:
        ValueError: torch cannot trace it.
    """
    whole = {0: torch.export.Dim.DYNAMIC}
    every = whole | dict.fromkeys(range(2, example.ndim), torch.export.Dim.DYNAMIC)
    with quiet():
        if any_extent:
            with suppress(Exception):  # torch has several kinds for "this makes the extent a constant"
                return torch.export.export(network, (example,), dynamic_shapes=(every,)), True
        try:
            return torch.export.export(network, (example,), dynamic_shapes=(whole,)), False
        except Exception as error:
            raise ValueError(f"torch.export cannot trace this network: {_first(error)}") from error


def save_pt2(program: Any, path: Path) -> None:
    """Write what `traced` returned; read by ``torch.export.load(path).module()``."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    with quiet():
        torch.export.save(program, path)


def save_onnx(program: Any, path: Path, properties: dict[str, str]) -> None:
    """Write what `traced` returned as one ONNX file, after ONNX's own full check.

    Args:
        program: of a portable network (`search_spaces.freeze`).
        path: of the file.
        properties: are kept in the model's metadata.

    Raises:
        ValueError: it has no form in ONNX, or not one that passes the check.
    """
    import onnx

    with quiet():
        try:
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
            assert exported is not None
            model = exported.model_proto
            _name_axes(model)
            for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer, model.graph):
                del part.metadata_props[:]  # where torch came from, with paths of this machine
            onnx.helper.set_model_props(model, properties)
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:
            raise ValueError(f"this network cannot be written as ONNX: {_first(error)}") from error
    path.write_bytes(model.SerializeToString())


def _name_axes(model: Any) -> None:
    """Names for the axes that may vary, in place of torch's symbols."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    wanted = ("batch", "", *AXES[len(dims) - 2])
    names = {dim.dim_param: name for dim, name in zip(dims, wanted, strict=True) if dim.dim_param}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dim.dim_param)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporters say of themselves on the way."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
