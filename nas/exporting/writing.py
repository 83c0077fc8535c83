"""One network into one folder: written, reloaded, compared, described."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from nas.exporting.backends import fastest
from nas.exporting.card import Cropped, Facts, card
from nas.exporting.choosing import Choice
from nas.exporting.precision import CALIBRATION, Precision, lowered
from nas.exporting.programs import save_onnx, save_pt2, traced
from nas.exporting.reloaded import batches, onnx_runner
from nas.exporting.rows import RawRows, opened, report_rows, training_rows
from nas.exporting.verifying import (
    Checked,
    Failed,
    Job,
    compared,
    refuse_different,
    refuse_overflow,
    reloaded,
)
from nas.networks import RawInputs, deployed, stored_weights, trained
from nas.run_directory import RunDirectory, RunTask
from search_spaces.complexity import complexity
from search_spaces.layers.resolution import at_rate, resamples
from search_spaces.network import freeze, kernel_sizes
from trials.exported import TENSORS, Design, write_design
from trials.record import TrialRecord
from trials.surroundings import processor, software
from trials.task import TaskData

EXAMPLES = 4
"""Rows of example_input.npy."""
FURTHER = 5
"""Samples more along every axis, and half of them, where a program takes any extent: is it true?"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How a network is to be deployed.

    Attributes:
        resolution: samples along every axis instead of those of training; of networks with FlexConvs.
        crop: share of a kernel's norm that may be left out, in [0, 1).
        precisions: of further ONNX files.
    """

    resolution: int | None = None
    crop: float = 0.0
    precisions: tuple[Precision, ...] = ()


def write(
    folder: Path, directory: RunDirectory, record: TrialRecord, choice: Choice, task: RunTask, asked: Asked
) -> Facts:
    """Fill a folder with a finalist's network; `choice`: how it came to be this one.

    Raises:
        ValueError: weights or data cannot be read, the resolution does not fit, or an artifact differs.
    """
    weights = stored_weights(directory, record)
    live = trained(record, weights, task)
    data = opened(task)
    rate = None
    if asked.resolution is not None:
        rate = asked.resolution / task.shape.extent[0]
        live, task = _at_resolution(live, task, rate)
    rows = report_rows(data, record.multiply_adds, rate)
    if rate is not None:
        task = replace(task, shape=replace(task.shape, extent=rows.inputs.shape[2:]))
    _write_weights(folder, live, record, task, data)

    network = deployed(live, task, asked.crop)
    example = torch.zeros(2, task.shape.channels, *task.shape.extent)
    timed = torch.from_numpy(rows.inputs[: max(1, min(16, 10**9 // max(1, record.multiply_adds)))])
    quickest, backends = fastest(network, timed)
    full = target = RawInputs(live, task).eval()
    if asked.crop:  # norms are not folded: that the program's are is to be seen
        target = RawInputs(freeze(live, crop=asked.crop), task).eval()
    expected, reference = (_logits(each, rows.inputs) for each in (full, network))
    np.save(folder / "example_input.npy", rows.inputs[:EXAMPLES])
    np.save(folder / "example_output.npy", reference[:EXAMPLES])
    shutil.copyfile(Path(__file__).with_name("predict.py"), folder / "predict.py")
    training = training_rows(data, CALIBRATION, rate) if asked.precisions else rows.inputs[:0]
    targets: dict[str, nn.Module] = {
        TENSORS: full,
        "model.pt2": target,
        "model.onnx": target,
    }
    others = _other_extents(rows.inputs[:3], task.shape.variable)
    takes = _takes(target, others)
    extents = {"model.pt2": takes and backends.any_extent, "model.onnx": takes}
    while True:
        program, extents["model.pt2"] = traced(quickest, example, extents["model.pt2"])
        save_pt2(program, folder / "model.pt2")
        portable = freeze(network, portable=True)
        program, extents["model.onnx"] = traced(portable, example, extents["model.onnx"])
        save_onnx(program, folder / "model.onnx", _properties(record, data))
        lower = [lowered(folder / "model.onnx", each, training).name for each in asked.precisions]
        try:
            checked = _verified(folder, rows, targets, extents, lower, others)
            break
        except Failed as failed:
            if failed.rows not in others or not extents[failed.artifact]:
                raise
            extents[failed.artifact] = False  # it may hold at the extent that it is for
    before, after = kernel_sizes(live), kernel_sizes(network)
    cropped = None
    if asked.crop:
        change = compared("", reference, expected, rows.labels)
        cropped = Cropped(
            tolerance=asked.crop,
            before=before,
            after=after,
            relative=change.relative,
            error_before=float((expected.argmax(1) != rows.labels).mean()),
            error_after=change.error or 0.0,
        )
    facts = Facts(
        design=_design(record, task, data),
        task=task,
        record=record,
        choice=choice,
        run=directory.name,
        checked=checked,
        live_error=float((expected.argmax(1) != rows.labels).mean()),
        rows=len(rows),
        kernel_sizes=after,
        frozen_parameters=sum(each.numel() for each in network.parameters()),
        frozen_multiply_adds=complexity(record.trial.architecture, task.shape, after).multiply_adds,
        any_extent=extents,
        backends=backends,
        milliseconds=_milliseconds(folder / "model.onnx", rows.inputs[:1]),
        processor=processor(),
        software=f"onnxruntime {onnxruntime.__version__}, {software()}",
        rate=rate,
        cropped=cropped,
        lower=lower,
    )
    (folder / "card.md").write_text(card(facts), encoding="utf-8")
    return facts


def _at_resolution(live: nn.Module, task: RunTask, rate: float) -> tuple[nn.Module, RunTask]:
    if not resamples(live):
        raise ValueError(
            "resolution is for networks whose kernels are functions; this one has discrete kernels, which "
            "have no other sampling rate"
        )
    return at_rate(live, rate), task


def _write_weights(folder: Path, live: nn.Module, record: TrialRecord, task: RunTask, data: TaskData) -> None:
    tensors = {name: values.detach().contiguous() for name, values in live.state_dict().items()}
    save_file(tensors, folder / TENSORS)
    write_design(folder, _design(record, task, data))


def _design(record: TrialRecord, task: RunTask, data: TaskData) -> Design:
    return Design(
        architecture=record.trial.architecture,
        shape=task.shape,
        mean=task.mean,
        std=task.std,
        class_names=data.class_names,
        task=task.name,
        space=record.trial.study.space,
        trial=record.trial.id,
        learning_rate=record.trial.recipe.learning_rate,
        weight_decay=record.trial.recipe.weight_decay,
        commit=record.commit,
    )


def _properties(record: TrialRecord, data: TaskData) -> dict[str, str]:
    return {"trial": record.trial.id, "task": data.name, "design": record.trial.architecture.id}


@torch.no_grad()
def _logits(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    found: list[Tensor] = [network(torch.from_numpy(batch)) for batch in batches(inputs)]
    logits: NDArray[np.float32] = torch.cat(found).numpy()
    return logits


def _other_extents(rows: NDArray[np.float32], variable: bool) -> dict[str, NDArray[np.float32]]:
    """The rows, half as long along every axis and longer, by their extent in words."""
    axes = rows.ndim - 2
    pads = [(0, 0), (0, 0), *[(0, FURTHER)] * axes]
    longer = np.pad(rows, pads, constant_values=np.nan) if variable else np.pad(rows, pads, mode="wrap")
    if variable:  # one series that fills it
        steps = int(np.isfinite(rows[0, 0]).sum())
        longer[0] = rows[0][:, np.arange(longer.shape[2]) % steps]
    shorter = rows[tuple(slice(n if axis < 2 else (n + 1) // 2) for axis, n in enumerate(rows.shape))]
    return {"x".join(map(str, each.shape[2:])): each for each in (shorter, longer)}


def _takes(network: nn.Module, others: dict[str, NDArray[np.float32]]) -> bool:
    """Whether the live network itself does."""
    try:
        return all(np.isfinite(_logits(network, each)).all() for each in others.values())
    except (RuntimeError, ValueError):
        return False


def _verified(
    folder: Path,
    rows: RawRows,
    targets: dict[str, nn.Module],
    extents: dict[str, bool],
    lower: Sequence[str],
    others: dict[str, NDArray[np.float32]],
) -> list[Checked]:
    """Every artifact on the rows, and those that take any extent on others; refuse what differs.

    Files of `lower` precision are measured and may differ, as long as they answer.
    """
    jobs = [Job(name, "", rows.inputs) for name in (*targets, *lower)]
    taking = [name for name, any_extent in extents.items() if any_extent]
    jobs += [Job(name, extent, inputs) for name in taking for extent, inputs in others.items()]
    references = targets | dict.fromkeys(lower, targets["model.onnx"])
    checked = []
    for job, logits in zip(jobs, reloaded(folder, jobs), strict=True):
        expected = _logits(references[job.artifact], job.inputs)
        labels = None if job.rows else rows.labels
        if job.artifact in lower:
            refuse_overflow(job.artifact, logits, expected)
        checked.append(compared(job.artifact, logits, expected, labels, job.rows))
    refuse_different([each for each in checked if each.name not in lower])
    return checked


def _milliseconds(path: Path, row: NDArray[np.float32]) -> float:
    """Median time of one row in onnxruntime."""
    run = onnx_runner(path)
    times: list[float] = []
    for _ in range(12):
        began = time.perf_counter()
        run(row)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times[2:])
