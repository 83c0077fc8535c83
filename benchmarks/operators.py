"""Time and memory of FlexConv layers against torch's convolution with the same effective kernel.

    OMP_NUM_THREADS=1 python benchmarks/operators.py [--repeats 9]
    python benchmarks/operators.py --device cuda --channels 64 --batch 64 [--dtype bfloat16]

A step is forward and backward as in training, the mask wide enough for the case's taps and the grid as large
as the input. Both layers run in turn in one process; times are medians, ratios medians over neighbours,
since the machine may be shared. `memory` is the peak of a step above what was there before the layer and its
input, as a ratio: of the resident memory of a fresh child process on a CPU, of the allocator's on a GPU;
`chunked` is the same with backend "fft_chunked". `frozen` compares a frozen layer in evaluation with a bare
call of its backend, `portable` is how much longer torch's own convolution takes then. On a GPU `waits` counts
how often a step waits for the device, and `compiled` is its time under torch.compile over that without.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.layers.convolution import Backend, PlainConv, convolve
from search_spaces.layers.flexconv import REFRESH, FlexConv, SeparableFlexConv
from search_spaces.layers.grid import ROOT, odd_cover
from search_spaces.layers.grid import step as grid_step
from search_spaces.network import freeze
from trials import surroundings
from trials.isolation import whole_float32


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row of the table; `most` is the largest ratio of times that is aimed at."""

    name: str
    extent: tuple[int, ...]
    taps: int
    most: float
    causal: bool = False
    separable: bool = False
    channels: int = 32


CASES = (
    Case(name="2-D 32x32, 5x5", extent=(32, 32), taps=5, most=1.15),
    Case(name="2-D 32x32, 9x9", extent=(32, 32), taps=9, most=0.65),
    Case(name="2-D 32x32, 17x17", extent=(32, 32), taps=17, most=0.37),
    Case(name="2-D 32x32, 33x33", extent=(32, 32), taps=33, most=0.32),
    Case(name="1-D 1024, 83 causal", extent=(1024,), taps=83, most=0.30, causal=True),
    Case(name="1-D 1024, 275 causal", extent=(1024,), taps=275, most=0.10, causal=True),
    Case(name="1-D 1024, 1024 causal", extent=(1024,), taps=1024, most=0.035, causal=True),
    Case(name="separable 2-D, 5x5", extent=(32, 32), taps=5, most=1.10, separable=True),
    Case(name="separable 2-D, 9x9", extent=(32, 32), taps=9, most=0.50, separable=True),
    Case(name="separable 2-D, 17x17", extent=(32, 32), taps=17, most=0.15, separable=True),
    Case(name="separable 1-D, 84 causal", extent=(1024,), taps=84, most=0.30, causal=True, separable=True),
    Case(name="separable 1-D, 1024", extent=(1024,), taps=1024, most=0.03, causal=True, separable=True),
    Case(name="3-D 16^3, 7, 16 channels", extent=(16,) * 3, taps=7, most=1.15, channels=16),
    Case(name="separable 3-D 16^3, 7", extent=(16,) * 3, taps=7, most=0.30, channels=16, separable=True),
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
        convolution = (F.conv1d, F.conv2d, F.conv3d)[len(self.case.extent) - 1]
        padding = self.case.taps // 2
        if self.case.causal:
            x, padding = F.pad(x, (self.case.taps - 1, 0)), 0
        y: Tensor = self.pointwise(convolution(x, self.weight, padding=padding, groups=self.groups))
        return y


def flexible(case: Case, backend: Backend = "auto") -> nn.Module:
    """The layer whose mask keeps the case's taps, on a grid as large as the input."""
    size = tuple(n if case.causal else odd_cover(n) for n in case.extent)
    kind = SeparableFlexConv if case.separable else FlexConv
    reach = (case.taps - 0.5 if case.causal else case.taps / 2) * grid_step(size[0])
    layer: nn.Module = kind(case.channels, case.channels, size, causal=case.causal, sigma=reach / ROOT)
    inner = layer.depthwise if isinstance(layer, SeparableFlexConv) else layer
    assert isinstance(inner, FlexConv) and inner.kernel_size == (case.taps,) * len(size)
    inner.backend = backend
    return layer


def step(layer: nn.Module, x: Tensor, dtype: torch.dtype = torch.float32) -> None:
    """One forward and backward; the input needs a gradient too, as inside a network."""
    layer.zero_grad()
    x.grad = None
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        loss = layer(x).square().mean()
    torch.autograd.backward(loss)


@torch.no_grad()
def call(layer: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """One forward in evaluation."""
    layer(x)


def bare(frozen: nn.Module, x: Tensor) -> Tensor:
    """The backend of a frozen layer, called with its numbers."""
    parts = list(frozen.children()) or [frozen]
    for part in parts:
        if isinstance(part, PlainConv):
            geometry = {"groups": part.groups, "causal": part.causal, "stride": part.stride}
            x = convolve(x, part.weight, part.bias, part.backend, **geometry)
        else:
            x = part(x)
    return x


def ratio(first: Callable[[], None], second: Callable[[], None], repeats: int) -> tuple[float, float, float]:
    """Median milliseconds of both, run in turn, and the median of the ratios of neighbours."""
    times: list[tuple[float, float]] = []
    for _ in range(repeats + 2):
        pair = []
        for run in (first, second):
            began = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            pair.append(1000 * (time.perf_counter() - began))
        times.append((pair[0], pair[1]))
    times = times[2:]  # warm-up
    ours, theirs = (statistics.median(each) for each in zip(*times, strict=True))
    return ours, theirs, statistics.median(a / b for a, b in times)


def peak(build: Callable[[], nn.Module], shape: tuple[int, ...], device: str, dtype: torch.dtype) -> float:
    """Bytes that a step needs at its highest, over what was there before layer and input."""
    if device == "cuda":
        return _peak(build, shape, device, dtype)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_peak, (build, shape, device, dtype))


def _peak(build: Callable[[], nn.Module], shape: tuple[int, ...], device: str, dtype: torch.dtype) -> float:
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        surroundings.reset_peak_memory()
        before = surroundings.peak_memory_bytes()
    layer, x = build().to(device), torch.randn(shape, device=device, requires_grad=True)
    for _ in range(2):
        step(layer, x, dtype)
    after = torch.cuda.max_memory_allocated() if device == "cuda" else surroundings.peak_memory_bytes()
    return after - before


def waits(layer: nn.Module, x: Tensor, dtype: torch.dtype) -> int:
    """How often a step in the steady state waits for the device."""
    for _ in range(REFRESH + 1):
        step(layer, x, dtype)
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step(layer, x, dtype)
    torch.cuda.set_sync_debug_mode("default")
    return len(caught)


def row(case: Case, batch: int, device: str, dtype: torch.dtype, repeats: int) -> str:
    """One line of the table."""
    shape = (batch, case.channels, *case.extent)
    needs = [
        peak(build, shape, device, dtype)
        for build in (partial(Plain, case), partial(flexible, case), partial(flexible, case, "fft_chunked"))
    ]
    torch.manual_seed(0)
    x = torch.randn(shape, device=device, requires_grad=True)
    ours, theirs = flexible(case).to(device), Plain(case).to(device)
    a, b, trained = ratio(partial(step, ours, x, dtype), partial(step, theirs, x, dtype), repeats)
    frozen, portable = freeze(ours), freeze(ours, portable=True)
    x = x.detach()
    _, _, overhead = ratio(partial(call, frozen, x), partial(call, partial(bare, frozen), x), repeats)
    _, _, slower = ratio(partial(call, portable, x), partial(call, frozen, x), repeats)
    cells = [
        f"{a:.1f}",
        f"{b:.1f}",
        f"{trained:.3f}",
        f"{case.most}",
        f"{needs[1] / needs[0]:.2f}",
        f"{needs[2] / needs[0]:.2f}",
        f"{overhead:.2f}",
        f"{slower:.1f}",
    ]
    if device == "cuda":
        x.requires_grad_()
        compiled = torch.compile(ours)
        _, _, gained = ratio(partial(step, compiled, x, dtype), partial(step, ours, x, dtype), repeats)
        cells += [f"{waits(ours, x, dtype)}", f"{gained:.2f}"]
    return f"| {case.name} | {batch} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, help="of every case; default: 32, in 3-D 16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of autocast")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    whole_float32()  # as trials compute
    device = torch.cuda.get_device_name() if given.device == "cuda" else surroundings.processor()
    print(f"commit {surroundings.commit()}, {device}, {surroundings.software()}, {given.dtype}, ", end="")
    print(f"{given.repeats} pairs, one thread\n")
    names = ["case", "batch", "FlexConv ms", "plain ms", "ratio", "at most"]
    names += ["memory", "chunked", "frozen", "portable"]
    names += ["waits", "compiled"] if given.device == "cuda" else []
    print(f"| {' | '.join(names)} |\n{'| --- ' * len(names)}|")
    for case in CASES:
        if given.only in case.name:
            if given.channels is not None:
                case = Case(**{f: getattr(case, f) for f in Case.__slots__} | {"channels": given.channels})
            print(
                row(case, given.batch, given.device, getattr(torch, given.dtype), given.repeats), flush=True
            )


if __name__ == "__main__":
    main()
