"""Coverage of every interval of the product on simulated runs whose truth is known: docs/coverage.md.

    python -m benchmarks.coverage [--replications 1000] [--processes 2] [--cases chances best] [--write]

Run from the root of the repository (`make soak` does). Cases are in tests/nas/coverage_cases.py, what is
drawn in tests/nas/simulator.py. Prints a table; `--write` puts it between the markers of docs/coverage.md and
every cell of the grid into docs/coverage.csv. Each cell has its own random numbers, whatever the processes.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import multiprocessing
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.nas.coverage_cases import CASES, Cell
from trials.surroundings import commit

DOCS = Path(__file__).parent.parent / "docs"
START, END = "<!-- coverage: start -->", "<!-- coverage: end -->"
LEAST, MOST = 0.93, 0.98


class Line(NamedTuple):
    """One measure in one cell: how often the truth was within, under and over the interval, and its width.

    `intervals` is the number given: p_design is withheld where the single design makes hardly an error.
    `width` is the median of high - low, of costs and factors of high / low; `seed` is
    what a seed moves, log-odds or errors.
    """

    measure: str
    shape: str
    rows: int
    noise: float
    seed: str
    failing: float
    designs: int
    seeds: int
    p: float
    intervals: int
    covered: float
    under: float
    over: float
    width: float


def simulate(job: tuple[str, Cell, int]) -> list[Line]:
    """All measures of a case in one cell."""
    name, cell, replications = job
    rng = np.random.default_rng([7, zlib.crc32(f"{name} {cell}".encode())])
    lines = []
    for measure, found in CASES[name].run(cell, replications, rng).items():
        if not found:  # the measure was never given
            continue
        low, high, truth = np.array(found).T
        under, over = float((truth < low - 1e-12).mean()), float((truth > high + 1e-12).mean())
        with np.errstate(divide="ignore", invalid="ignore"):
            widths = high / low if measure in ("cost to match", "factor") else high - low
        world = cell.world
        lines.append(
            Line(
                measure,
                world.shape,
                world.rows,
                world.noise,
                world.seeds,
                world.failing,
                cell.designs,
                cell.seeds,
                cell.p,
                len(found),
                1 - under - over,
                under,
                over,
                float(np.median(widths)),
            )
        )
    return lines


def summary(lines: Sequence[Line]) -> str:
    """A Markdown table, one row for each measure and part of the grid."""
    head = (
        "interval",
        "cells",
        "coverage: least",
        "median",
        "most",
        f"cells under {LEAST:.0%}".replace("%", " %"),
        f"over {MOST:.0%}".replace("%", " %"),
        "worst cell",
        "truth under it, at most",
        "over it, at most",
        "median width",
    )
    rows = [_row(name, part) for name, part in _parts(lines) if part]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _parts(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    parts = []
    for measure in dict.fromkeys(line.measure for line in lines):
        own = [line for line in lines if line.measure == measure]
        rare = len({line.p for line in own}) > 1
        choices: list[tuple[str, Callable[[Line], bool]]] = [("", lambda line: True)]
        if rare:
            choices = [(", p >= 0.1", lambda line: line.p >= 0.1), (", p = 0.02", lambda line: line.p < 0.1)]
        for text, keep in choices:
            for seeds in ((2,), (5, 10)) if any(line.seeds == 2 for line in own) else ((),):
                which = f", {' or '.join(map(str, seeds))} seeds" if seeds else ""
                part = [line for line in own if keep(line) and (not seeds or line.seeds in seeds)]
                parts.append((measure + text + which, part))
    return parts


def _row(name: str, part: Sequence[Line]) -> tuple[str, ...]:
    covered = [line.covered for line in part]
    worst = min(part, key=lambda line: line.covered)
    where = f"{worst.shape}, {worst.rows} rows, noise {worst.noise}"
    where += f", N = {worst.designs}" if worst.designs else ""
    where += f", {worst.seeds} seeds" if worst.seeds > 1 else ""
    where += f", p = {worst.p}" + (", error seeds" if worst.seed == "error" else "")
    where += f", {worst.failing:.0%} failing".replace("%", " %") if worst.failing else ""
    return (
        name,
        str(len(part)),
        _percent(min(covered)),
        _percent(float(np.median(covered))),
        _percent(max(covered)),
        str(sum(value < LEAST for value in covered)),
        str(sum(value > MOST for value in covered)),
        where,
        _percent(max(line.under for line in part)),
        _percent(max(line.over for line in part)),
        _width(float(np.median([line.width for line in part]))),
    )


def _width(width: float) -> str:
    return f"{width:.3g}" if math.isfinite(width) else "one-sided"


def verdicts(lines: Sequence[Line]) -> str:
    """Wrong verdicts with the truth on the margin, where a verdict is given (N of 100 and more)."""
    gains = [line for line in lines if line.measure == "gain" and line.designs >= 100]
    if not gains:
        return ""
    search, enough = max(line.under for line in gains), max(line.over for line in gains)
    both = max(line.under + line.over for line in gains)
    return (
        f"Verdicts with the truth exactly on the margin, {len(gains)} cells of N >= 100: wrong *search* at "
        f"most {_percent(search)}, wrong *no search needed* at most {_percent(enough)}, either at most "
        f"{_percent(both)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--every", type=int, default=1, help="of the grid, only every so many-th cell")
    parser.add_argument("--write", action="store_true", help="into docs/coverage.md and docs/coverage.csv")
    options = parser.parse_args(arguments)
    if options.write and (options.every > 1 or options.replications < 1000 or commit().endswith("dirty")):
        parser.error("--write is for the whole grid, 1,000 replications or more, and a committed tree")
    started = time.monotonic()
    jobs = [
        (name, cell, options.replications)
        for name in options.cases
        for cell in CASES[name].cells[:: options.every]
    ]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        lines = [line for found in pool.imap(simulate, jobs) for line in found]
    minutes = (time.monotonic() - started) / 60
    part = f"Every {options.every}th cell of the grid, " if options.every > 1 else ""
    text = (
        f"{part}{options.replications} replications a cell, {datetime.date.today()}, commit {commit()}, "
        f"{minutes:.0f} minutes in {options.processes} processes. numpy {np.__version__}, python "
        f"{sys.version.split()[0]}.\n\n{summary(lines)}\n\n{verdicts(lines)}"
    ).strip()
    print(text)
    if options.write:
        page = DOCS / "coverage.md"
        before, rest = page.read_text().split(START)
        page.write_text(f"{before}{START}\n{text}\n{END}{rest.split(END)[1]}")
        with (DOCS / "coverage.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(Line._fields)
            table.writerows([f"{v:.3g}" if isinstance(v, float) else v for v in line] for line in lines)


if __name__ == "__main__":
    main()
