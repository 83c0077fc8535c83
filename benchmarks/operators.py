"""Time of FlexConv layers against torch's convolution with the same effective kernel.

    OMP_NUM_THREADS=1 python benchmarks/operators.py [--repeats 15]

Forward and backward, float32, one thread, 32 -> 32 channels unless said. Both layers run in turn in one
process; medians and their ratio, since the machine may be shared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers.flexconv import FlexConv, SeparableFlexConv
from trials.surroundings import commit, processor, software


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    extent: tuple[int, ...]
    taps: int
    batch: int
    causal: bool = False
    separable: bool = False
    channels: int = 32


CASES = (
    Case(name="2-D 32x32, 5x5", extent=(32, 32), taps=5, batch=16),
    Case(name="2-D 32x32, 9x9", extent=(32, 32), taps=9, batch=8),
    Case(name="2-D 32x32, 17x17", extent=(32, 32), taps=17, batch=4),
    Case(name="2-D 32x32, 33x33", extent=(32, 32), taps=33, batch=2),
    Case(name="1-D 1024, 83 causal", extent=(1024,), taps=83, batch=16, causal=True),
    Case(name="1-D 1024, 275", extent=(1024,), taps=275, batch=8, causal=True),
    Case(name="1-D 1024, 1024", extent=(1024,), taps=1023, batch=4, causal=True),
    Case(name="separable 2-D, 5x5", extent=(32, 32), taps=5, batch=16, separable=True),
    Case(name="separable 2-D, 9x9", extent=(32, 32), taps=9, batch=16, separable=True),
    Case(name="separable 2-D, 17x17", extent=(32, 32), taps=17, batch=16, separable=True),
    Case(name="separable 1-D, 84 causal", extent=(1024,), taps=84, batch=16, causal=True, separable=True),
    Case(name="separable 1-D, 1024", extent=(1024,), taps=1024, batch=8, causal=True, separable=True),
    Case(name="3-D 16^3, 7, 16 channels", extent=(16,) * 3, taps=7, batch=2, channels=16),
    Case(name="separable 3-D 16^3, 7", extent=(16,) * 3, taps=7, batch=4, channels=16, separable=True),
)


class Plain(nn.Module):
    """What torch offers: a convolution with all taps as parameters, then 1x1 if separable."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        groups = case.channels if case.separable else 1
        taps = (case.taps,) * len(case.extent)
        self.case, self.groups = case, groups
        self.weight = nn.Parameter(torch.randn(case.channels, case.channels // groups, *taps) * 0.01)
        kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(case.extent) - 1]
        self.pointwise = kind(case.channels, case.channels, 1) if case.separable else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.case.extent) - 1]
        padding = self.case.taps // 2
        if self.case.causal:
            x, padding = F.pad(x, (self.case.taps - 1, 0)), 0
        y: Tensor = self.pointwise(convolve(x, self.weight, padding=padding, groups=self.groups))
        return y


def flexible(case: Case) -> nn.Module:
    """The layer whose kernel has the case's taps now, with room on the grid for more."""
    size = tuple(n if case.causal else n + 1 - n % 2 for n in case.extent)
    kind = SeparableFlexConv if case.separable else FlexConv
    layer: nn.Module = kind(case.channels, case.channels, size, causal=case.causal)
    inner = layer.depthwise if isinstance(layer, SeparableFlexConv) else layer
    assert isinstance(inner, FlexConv)
    inner.crop = (case.taps,) * len(case.extent)
    return layer


def step(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """One forward and backward."""

    def run() -> None:
        layer.zero_grad()
        torch.autograd.backward(layer(x).square().mean())

    return run


def ratio(first: Callable[[], None], second: Callable[[], None], repeats: int) -> tuple[float, float, float]:
    """Median milliseconds of both, run in turn, and the median of the ratios of neighbours."""
    times: list[tuple[float, float]] = []
    for _ in range(repeats + 2):
        pair = []
        for run in (first, second):
            began = time.perf_counter()
            run()
            pair.append(1000 * (time.perf_counter() - began))
        times.append((pair[0], pair[1]))
    times = times[2:]  # warm-up
    ours, theirs = (statistics.median(each) for each in zip(*times))
    return ours, theirs, statistics.median(a / b for a, b in times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"commit {commit()}, {processor()}, {software()}, {repeats} pairs\n")
    print("| case | batch | FlexConv ms | plain ms | ratio |\n" + "| --- " * 5 + "|")
    for case in CASES:
        torch.manual_seed(0)
        x = torch.randn(case.batch, case.channels, *case.extent)
        ours, theirs = flexible(case), Plain(case)
        a, b, trained = ratio(step(ours, x), step(theirs, x), repeats)
        print(f"| {case.name} | {case.batch} | {a:.1f} | {b:.1f} | {trained:.2f} |", flush=True)


if __name__ == "__main__":
    main()
