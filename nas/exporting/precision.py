"""The ONNX file with fewer bits, from the one in float32: half the size or a quarter, at some loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nas.exporting.programs import INPUT, quiet

Precision = Literal["fp16", "bf16", "int8"]
CALIBRATION = 256
"""Training rows that ranges of int8 are taken from."""
_CALIBRATION_BATCH = 16


def check_precisions(wanted: Iterable[str]) -> tuple[Precision, ...]:
    """Each once, in the order of `Precision`.

    Raises:
        ValueError: an unknown one.
    """
    wanted = set(wanted)
    if unknown := sorted(wanted - set(get_args(Precision))):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {unknown[0]!r}")
    return tuple(each for each in get_args(Precision) if each in wanted)


def file_of(precision: Precision) -> str:
    """Its name in an export folder."""
    return f"model.{precision}.onnx"


def lowered(model: Path, precision: Precision, training: NDArray[np.float32]) -> Path:
    """Write another precision beside a float32 model; inputs, their normalisation and outputs stay float32.

    ``fp16``: weights and what is computed; where the processor has no such operation onnxruntime casts.
    ``bf16``: weights alone, computed in float32, since onnxruntime convolves in no bfloat16.
    ``int8``: weights by channel and inputs of convolutions and linear maps, static, from training rows.

    Args:
        model: the float32 file.
        precision: which.
        training: float32 (rows, channels, *extent), raw.

    Raises:
        ValueError: it cannot be written.
    """
    to = model.with_name(file_of(precision))
    with quiet():
        try:
            if precision == "int8":
                _quantised(model, to, training)
            else:
                loaded = onnx.load(model)
                changed = _half(loaded) if precision == "fp16" else _brain(loaded)
                onnx.checker.check_model(changed, full_check=True)
                onnx.save(changed, to)
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"{to.name} cannot be written: {first[:300]}") from error
    return to


def _half(model: Any) -> Any:
    """Everything after the normalisation in half precision: raw inputs may be larger than it can hold."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    graph, steps = model.graph, _normalisation(model)
    constants = [each for each in graph.initializer if each.name in (steps[0].input[1], steps[1].input[1])]
    normalised = steps[1].output[0]
    for part, gone in ((graph.node, steps), (graph.initializer, constants)):
        for each in gone:
            part.remove(each)
    for node in graph.node:  # what asks for the shape of the input
        node.input[:] = [normalised if name == INPUT else name for name in node.input]
    away = {name for step in steps for name in (*step.input, *step.output)}
    for each in [each for each in graph.value_info if each.name in away]:
        graph.value_info.remove(each)
    graph.input[0].name = normalised
    changed = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    changed.topological_sort()  # the casts of inputs come last
    graph = changed.model.graph
    graph.input[0].name = INPUT
    for step in reversed(steps):
        graph.node.insert(0, step)
    graph.initializer.extend(constants)
    return changed.model


def _normalisation(model: Any) -> tuple[Any, Any]:
    """The nodes that make of raw inputs normalised ones: less the mean, over the deviation."""
    for first in model.graph.node:
        if first.op_type == "Sub" and first.input[0] == INPUT:
            for second in model.graph.node:
                if second.op_type == "Div" and second.input[0] == first.output[0]:
                    return first, second
    raise ValueError("its normalisation was not found")


def _brain(model: Any) -> Any:
    """Weights of two and more axes in bfloat16, each cast back where it is used; mean and deviation stay."""
    casts = []
    exact = {step.input[1] for step in _normalisation(model)}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 and tensor.name not in exact:
            short = helper.make_tensor(
                f"{tensor.name}_bf16", TensorProto.BFLOAT16, tensor.dims, numpy_helper.to_array(tensor)
            )
            casts.append(helper.make_node("Cast", [short.name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(short)
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    return model


def _quantised(model: Path, to: Path, training: NDArray[np.float32]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        """Training rows, a few at a time."""

        def __init__(self) -> None:
            self._batches = _batches(training)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._batches, None)

    with TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            to,
            Rows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _batches(rows: NDArray[np.float32]) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(rows), _CALIBRATION_BATCH):
        yield {INPUT: rows[start : start + _CALIBRATION_BATCH]}
