"""Measures both backends of a convolution, fits the constants of the cost rule, says how well it chooses.

    OMP_NUM_THREADS=1 python benchmarks/measure_costs.py [--repeats 5]
    python benchmarks/measure_costs.py --device cuda

Both backends run in turn in one process and medians are taken, since the machine may be shared. Prints the
entries of `search_spaces.layers.costs.COSTS` to paste, and for every shape how much slower the rule's choice
is than the better backend (its regret), of the rule as it stands and as it is fitted. On one shared core with
5 repeats it takes about 6 minutes. On a GPU, where calls are issued ahead, several are timed as one, in
float32 and not TF32, as trials compute, on larger shapes too.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from search_spaces.layers.convolution import Backend, convolve
from search_spaces.layers.costs import COSTS, Costs, fft_terms, spatial_terms
from trials.isolation import whole_float32
from trials.surroundings import commit, processor, software

Counts = npt.NDArray[np.float64]
# multiply-adds of a spatial pass; beyond it nothing is in doubt and everything is slow
MOST = {"cpu": 4e9, "cuda": 3e11}
AHEAD = {"cpu": 1, "cuda": 5}  # calls that are timed as one
BACKENDS: tuple[Backend, Backend] = ("spatial", "fft")


@dataclass(frozen=True, slots=True)
class Shape:
    """One convolution that keeps its channels and, but for the stride, its extent."""

    batch: int
    channels: int
    extent: tuple[int, ...]
    taps: int
    depthwise: bool

    @property
    def x(self) -> tuple[int, ...]:
        """Of the input."""
        return (self.batch, self.channels, *self.extent)

    @property
    def kernel(self) -> tuple[int, ...]:
        """Of the kernel."""
        return (self.channels, 1 if self.depthwise else self.channels, *[self.taps] * len(self.extent))

    @property
    def groups(self) -> int:
        """1, or the number of channels."""
        return self.channels if self.depthwise else 1

    def terms(self, backend: Backend) -> dict[str, float]:
        """How many of each of the constants the backend has."""
        if backend == "spatial":
            return spatial_terms(self.x, self.kernel, self.groups, stride=1)
        return fft_terms(self.x, self.kernel, self.groups, causal=False)

    def __str__(self) -> str:
        kind = "depthwise" if self.depthwise else "dense"
        extent = "x".join(map(str, self.extent))
        return f"{kind} {self.batch}x{self.channels}x{extent}, {self.taps} taps"

    @property
    def work(self) -> int:
        """Multiply-adds of a spatial pass."""
        return self.batch * math.prod(self.extent) * math.prod(self.kernel)


def shapes(device: str) -> list[Shape]:
    """What is measured on a type of device."""
    batches, channels = ((4, 16, 64), (16, 32, 64)) if device == "cpu" else ((4, 64, 256), (16, 64, 128))
    extents_and_taps = [
        *itertools.product([(256,), (1024,)], (5, 9, 17, 31, 83, 257)),
        *itertools.product([(8, 8), (16, 16), (32, 32)], (3, 5, 7, 9, 11, 17)),
        *([((32, 32), 33)] if device == "cuda" else []),
        *itertools.product([(8, 8, 8), (16, 16, 16)], (3, 5, 7)),
    ]
    every = [
        Shape(batch, width, extent, taps, depthwise)
        for (extent, taps), batch, width, depthwise in itertools.product(
            extents_and_taps, batches, channels, (False, True)
        )
        if taps < 2 * extent[0]
    ]
    return [shape for shape in every if shape.work <= MOST[device]]


def measure(shape: Shape, training: bool, device: str, repeats: int) -> tuple[float, float]:
    """Median nanoseconds by the spatial backend and by FFT, run in turn."""
    x = torch.randn(shape.x, device=device, requires_grad=training)
    kernel = torch.randn(shape.kernel, device=device, requires_grad=training)
    times = [
        [_nanoseconds(x, kernel, backend, shape.groups) for backend in BACKENDS] for _ in range(repeats + 1)
    ]
    spatial, fft = (statistics.median(each) for each in zip(*times[1:]))
    return spatial, fft


def _nanoseconds(x: Tensor, kernel: Tensor, backend: Backend, groups: int) -> float:
    calls = AHEAD[x.device.type]
    began = time.perf_counter_ns()
    for _ in range(calls):
        x.grad = kernel.grad = None
        y = convolve(x, kernel, None, backend, groups=groups)
        if y.requires_grad:
            torch.autograd.backward(y, y.detach())
    if x.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter_ns() - began) / calls


def fit(counts: Counts, times: Counts, weights: Counts) -> Counts:
    """Positive constants c that bring log(counts @ c) near log(times), by Gauss-Newton on log c.

    Args:
        counts: (measurements, constants), none negative, no column of zeros only.
        times, weights: (measurements,).
    """
    logs = np.log(counts.T @ times / (counts**2).sum(0))
    for _ in range(200):
        parts = counts * np.exp(logs)
        total = parts.sum(1)
        slopes = weights[:, None] * parts / total[:, None]
        errors = weights * np.log(times / total)
        # a little damping: a constant that hardly matters stays where it is
        step = np.linalg.solve(slopes.T @ slopes + 1e-3 * np.eye(len(logs)), slopes.T @ errors)
        logs += np.clip(step, -0.5, 0.5)
    fitted: Counts = np.exp(logs)
    return fitted


def tune(constants: Counts, counts: Counts, spatial: Counts, fft: Counts) -> Counts:
    """Constants near the given ones that choose better: the least sum of squared log regrets found.

    Each in turn is multiplied by a few factors, until none helps.

    Args:
        constants: positive. counts: (measurements, constants), those of the FFT negative.
        spatial, fft: measured times, (measurements,).
    """
    penalty = np.log(spatial / fft) ** 2

    def loss(trial: Counts) -> float:
        return float(penalty[(counts @ trial > 0) != (spatial > fft)].sum())

    while True:
        before = loss(constants)
        for index in range(len(constants)):
            factors = np.ones((9, len(constants)))
            factors[:, index] = (1, 0.95, 1.05, 0.9, 1.1, 0.8, 1.25, 0.7, 1.4)
            constants = min(constants * factors, key=loss)
        if loss(constants) >= before:
            return constants


def fitted_costs(measured: dict[Shape, tuple[float, float]]) -> Costs:
    """The constants for (spatial, fft) nanoseconds."""
    spatial, fft = np.array(list(measured.values())).T
    weights = 1 / (1 + np.log(spatial / fft) ** 2)  # where one is far better an error does little harm
    names, constants, signed = [], [], []
    for backend, times, sign in zip(BACKENDS, (spatial, fft), (1, -1), strict=True):
        terms = [shape.terms(backend) for shape in measured]
        own = list(dict.fromkeys(name for each in terms for name in each))
        counts = np.array([[each.get(name, 0) for name in own] for each in terms], dtype=float)
        names += own
        constants.append(fit(counts, times, weights))
        signed.append(sign * counts)
    tuned = tune(np.concatenate(constants), np.hstack(signed), spatial, fft)
    return Costs(**dict(zip(names, tuned.tolist(), strict=True)))


def regrets(costs: Costs, measured: dict[Shape, tuple[float, float]]) -> dict[Shape, float]:
    """Time of the rule's choice over that of the better backend, 1 or more."""
    found = {}
    for shape, times in measured.items():
        spatial, fft = (costs.total(shape.terms(backend)) for backend in BACKENDS)
        found[shape] = times[fft < spatial] / min(times)
    return found


def report(costs: Costs, device: str, training: bool, measured: dict[Shape, tuple[float, float]]) -> None:
    """Print the entry of the table, and the regrets of it and of the present entry."""
    print(f'\n    ("{device}", {training}): Costs(')
    for field in fields(Costs):
        print(f"        {field.name}={getattr(costs, field.name):.3g},")
    print("    ),\n")
    now, then = regrets(COSTS[device, training], measured), regrets(costs, measured)
    for name, each in (("the table's", now), ("the fitted", then)):
        over = [regret for regret in each.values() if regret > 1.1]
        print(f"{name} rule: {len(over)} of {len(each)} shapes above 1.1, worst {max(each.values()):.2f}")
    print("\n| shape | spatial ms | fft ms | regret, table | regret, fitted |\n" + "| --- " * 5 + "|")
    for shape, (spatial, fft) in measured.items():
        print(f"| {shape} | {spatial / 1e6:.2f} | {fft / 1e6:.2f} | {now[shape]:.2f} | {then[shape]:.2f} |")


def main() -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    whole_float32()
    device = torch.cuda.get_device_name() if arguments.device == "cuda" else processor()
    print(f"commit {commit()}, {device}, {software()}, {arguments.repeats} pairs")
    for training in (True, False):
        measured = {
            shape: measure(shape, training, arguments.device, arguments.repeats)
            for shape in shapes(arguments.device)
        }
        report(fitted_costs(measured), arguments.device, training, measured)


if __name__ == "__main__":
    main()
