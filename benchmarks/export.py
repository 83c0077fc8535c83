"""What an exported network gains: latency in onnxruntime, and how long the export takes.

    python benchmarks/export.py [--rounds 15] [--skip-export]

Latency, at batch 1 and 64, of the single FlexConv design, by turns: frozen in onnxruntime; unfrozen in eager
torch, in evaluation, where kernels are generated once and kept; unfrozen with kernels generated at every
call; and the network of discrete kernels of the same sizes, so of equal multiply-adds, in onnxruntime. The
machine may be shared: each ratio is the median over rounds of the ratio of neighbours. One thread each.

Export: `nas.export` of a FlexConv network of about a million parameters trained for one epoch on digits.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from nas import SearchConfig, export
from nas.exporting.programs import save_onnx, traced
from nas.finalists import train_and_test
from nas.networks import RawInputs, deployed
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces import SPACES, Architecture, TaskShape, build, complexity, freeze
from search_spaces.layers.flexconv import FlexConv
from search_spaces.network import kernel_sizes
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import Study, Trial, keep_going
from trials.reference import Task
from trials.surroundings import commit, processor
from trials.task import open_task

SHAPES = (
    TaskShape(extent=(28, 28), channels=1, classes=10),
    TaskShape(extent=(784,), channels=1, classes=10),
)
WIDTH = 88
"""Of five FlexConvs with about a million parameters."""


def session(network: nn.Module, shape: TaskShape, folder: Path) -> onnxruntime.InferenceSession:
    """A deployed network in onnxruntime, on one thread."""
    program, _ = traced(freeze(network, portable=True), torch.zeros(2, shape.channels, *shape.extent))
    save_onnx(program, folder / "model.onnx", {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])


def plain(live: nn.Module, design: Architecture, shape: TaskShape) -> nn.Module:
    """The network of discrete kernels of the sizes that a FlexConv network has."""
    settings = dict(design.settings)
    kept = {name: settings[name] for name in ("width", "factors")}
    same = Architecture.of("flexnet", kernels=kernel_sizes(live), **kept)
    one, other = (complexity(each, shape, kernel_sizes(live)).multiply_adds for each in (design, same))
    assert one == other
    return build(same, shape).eval()


def latencies(shape: TaskShape, rounds: int) -> None:
    """Print the latencies of one shape and their ratios."""
    task = RunTask(task=Task(source="none"), shape=shape, mean=(0.1,), std=(0.3,), digest="")
    torch.manual_seed(0)
    space = SPACES["flexconv"](shape)
    design = space.decode({choice.name: choice.options[0] for choice in space.choices})
    live = build(design, shape).eval()
    discrete = plain(live, design, shape)
    eager = RawInputs(live, task).eval()
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = (session(deployed(each, task), shape, Path(scratch)) for each in (live, discrete))
    layers = [module for module in live.modules() if isinstance(module, FlexConv)]
    for batch in (1, 64):
        rows = np.random.default_rng(0).normal(size=(batch, 1, *shape.extent)).astype(np.float32)
        tensor = torch.from_numpy(rows)

        def anew(tensor: torch.Tensor = tensor) -> None:
            for layer in layers:
                layer.train(False)  # forgets the kernel
            eager(tensor)

        ways: dict[str, Callable[[], object]] = {
            "frozen, onnxruntime": lambda rows=rows: ours.run(None, {"input": rows}),
            "unfrozen, torch": lambda tensor=tensor: eager(tensor),
            "unfrozen, torch, kernels anew": anew,
            "plain, onnxruntime": lambda rows=rows: theirs.run(None, {"input": rows}),
        }
        taken = timed(ways, rounds)
        ratios = {
            name: statistics.median(b / a for a, b in zip(taken["frozen, onnxruntime"], each, strict=True))
            for name, each in taken.items()
        }
        for name, each in taken.items():
            milliseconds = 1000 * statistics.median(each)
            print(
                f"{shape} batch {batch:2d}  {name:30s} {milliseconds:9.3f} ms  {ratios[name]:6.2f} x frozen"
            )
        frozen_over_plain = 1 / ratios["plain, onnxruntime"]
        print(f"{shape} batch {batch:2d}  frozen over plain: {frozen_over_plain:.3f} (wanted: at most 1.05)")


@torch.no_grad()
def timed(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, best of three calls in a row, round after round."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            best = min(_seconds(way) for _ in range(3))
            if number:  # the first round warms up
                taken[name].append(best)
    return taken


def _seconds(way: Callable[[], object]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def exported() -> None:
    """Print how long the export of a network of a million parameters takes."""
    data = open_task("digits@rows=400")
    base = SPACES["flexconv_tuned"](data.shape)
    design = base.decode(base.default or {})
    wide = Architecture.of(design.family, **{**dict(design.settings), "width": WIDTH})
    trial = Trial(
        study=Study(task=data.name, space="wide", kind="finalist"),
        number=0,
        task=data.task,
        architecture=wide,
        values={},
        recipe=replace(STANDARD, epochs=1),
        seed=0,
    )
    with tempfile.TemporaryDirectory() as scratch:
        directory = RunDirectory(Path(scratch) / "run")
        directory.put("config.json", dumps(SearchConfig(name="export", tasks=("digits@rows=400",))))
        known = RunTask(task=data.task, shape=data.shape, mean=data.mean, std=data.std, digest=data.digest)
        info = RunInfo(
            id="0" * 8,
            created=0.0,
            version="0",
            tracking_uri=None,
            recipe=STANDARD,
            tasks=(known,),
            spaces=(),
        )
        directory.put("run.json", dumps(info))
        directory.put_trial(trial)
        found = train_and_test(trial, data, keep_going, directory.folder(trial.id))
        assert found is not None and found.status == "completed"
        directory.put_record(found)
        began, processor_began = time.perf_counter(), time.process_time()
        done = export(str(directory), to=Path(scratch) / "network")
        print(
            f"export of {done.parameters:,} parameters: {time.perf_counter() - began:.1f} s, "
            f"{time.process_time() - processor_began:.1f} s of them in this process on the processor "
            f"(wanted: under 20 s); largest difference {done.difference:.1e}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of exported networks, and time of an export.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--skip-export", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{processor()}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, commit {commit()}"
    )
    for shape in SHAPES:
        latencies(shape, options.rounds)
    if not options.skip_export:
        exported()


if __name__ == "__main__":
    main()
