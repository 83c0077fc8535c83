"""What `nas show`, `nas tasks` and `nas spaces` print."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.open_space import open_space, serving
from nas.progress import decoding
from nas.run_directory import open_run
from nas.run_paths import RUNS
from search_spaces import SPACES
from search_spaces.complexity import complexity
from search_spaces.constraints import reach
from search_spaces.space import Space, TaskShape

if TYPE_CHECKING:
    from trials.task import TaskData

BEST = 10
EXAMPLE_SHAPES = (
    TaskShape(extent=(28, 28), channels=1, classes=10),
    TaskShape(extent=(784,), channels=1, classes=10),
)


def newest_run() -> Path:
    """The run in ``runs/`` that was started last.

    Raises:
        ValueError: there is none.
    """
    runs = sorted(RUNS.glob("*/config.json"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise ValueError(
            f"there is no run in {RUNS}/; start one with `nas run smoke`, or name a run directory"
        )
    return runs[-1].parent


def state_of(path: Path | str) -> RenderableType:
    """Trials by task, space and kind: issued, ended, failed."""
    directory = open_run(path)
    (trials, damaged), (records, unreadable) = directory.read_trials(), directory.read_records()
    issued = Counter(trial.study for trial in trials)
    ended = {status: Counter(r.trial.study for r in records if r.status == status) for status in STATUSES}
    table = _table(f"{path}: {len(records)} of {len(trials)} issued trials have ended", _STATE)
    for study in sorted(issued, key=lambda study: study.name):
        counts = [ended[status][study] for status in STATUSES]
        row = [issued[study], *counts, issued[study] - sum(counts)]
        kind = f"{study.kind} of {study.source} by {study.by}" if study.source else study.kind
        table.add_row(study.task, study.space, kind, str(study.seed), *map(str, row))
    failures = [
        Text(f"failed: {r.trial.id}: {r.reason.splitlines()[0]}") for r in records if r.status == "failed"
    ]
    return Group(table, *failures, *(Text(line) for line in damaged + unreadable))


STATUSES = ("completed", "stopped", "failed")
_STATE = ("task", "space", "kind", "seed", "issued", *STATUSES, "open")


def trials_table(path: Path | str) -> RenderableType:
    """The trials with the smallest `select` error of each task; long ones are not among them."""
    records, _ = open_run(path).read_records()
    records = [r for r in records if r.status == "completed" and r.trial.study.kind != "long"]
    tables: list[RenderableType] = []
    for task in sorted({record.trial.study.task for record in records}):
        columns = (
            "trial",
            "select %",
            "report %",
            "test %",
            "parameters",
            "multiply-adds",
            "seconds",
            "kernels",
        )
        table = _table(f"{task}: best trials by select error", columns)
        ours = [record for record in records if record.trial.study.task == task]
        for record in sorted(ours, key=lambda record: record.select_error)[:BEST]:
            table.add_row(
                record.trial.id,
                f"{100 * record.select_error:.1f}",
                f"{100 * record.report_error:.1f}",
                "" if record.test is None else f"{100 * record.test.error:.1f}",
                f"{record.parameters:,}",
                f"{record.multiply_adds:,}",
                f"{record.seconds:.1f}",
                " ".join("x".join(map(str, size)) for size in record.kernel_sizes),
            )
        tables.append(table)
    return Group(*tables)


def task_list() -> RenderableType:
    """The registered tasks, one line each."""
    from trials.finding import TASKS

    table = _table(
        "tasks (or a directory or glob of Parquet files, a URL, module:attribute, file.py:name)",
        ("task", "what it is"),
    )
    for name, make in TASKS.items():
        table.add_row(name, Text((make.__doc__ or "").strip().partition("\n")[0]))
    return table


def one_task(name: str, console: Console, baseline: bool = False) -> RenderableType:
    """What was understood of a task, in words, and what it takes without a network.

    Args:
        name: of the task, with its sizes.
        console: where the first decoding shows how it gets on.
        baseline: fit the baselines as well.
    """
    from trials.description import describe
    from trials.task import open_task

    with decoding(console, name) as progress:
        task = open_task(name, progress)
    table = _table(f"task {task.name}", ("", ""))
    for what, value in describe(task).items():
        table.add_row(what, Text(value))
    return Group(table, _baselines(task)) if baseline else table


def _baselines(task: TaskData) -> RenderableType:
    from trials.baselines import baselines

    rows = len(task.select) + len(task.report)
    columns = ("baseline", f"error on {rows} validation rows", "seconds", "note")
    table = _table("without a network", columns)
    for each in baselines(task):
        error = "–" if each.error is None else f"{100 * each.error:.1f} %"
        table.add_row(each.name, error, f"{each.seconds:.1f}", Text(each.note))
    return table


def parse_shape(text: str) -> TaskShape:
    """The shape that ``3x32x32`` stands for: channels, then the extent of 1 to 3 axes; of 10 classes.

    Raises:
        ValueError: it is not of that form.
    """
    if re.fullmatch(r"[1-9][0-9]*(x[1-9][0-9]*){1,3}", text) is None:
        raise ValueError(f"--shape is channels, then 1 to 3 axes, such as 3x32x32 or 1x784, got {text!r}")
    channels, *extent = map(int, text.split("x"))
    return TaskShape(extent=tuple(extent), channels=channels, classes=10)


def space_list(shape: TaskShape | None = None) -> RenderableType:
    """The registered spaces, one line each: on a shape, or on the first example that a space can serve."""
    columns = ("space", "on", "designs", "bits", "parameters", "what it is")
    table = _table("spaces (or module:attribute, file.py:name)", columns)
    served = {on: serving(on) for on in (EXAMPLE_SHAPES if shape is None else (shape,))}
    for name in SPACES:
        on = next((on for on, names in served.items() if name in names), None)
        if on is None:
            table.add_row(name, str(shape or "–"), "–", "–", "–", "cannot be made for this shape")
            continue
        space = open_space(name, on)
        designs = f"{space.size:,}" if space.size < 1e6 else f"{space.size:.1e}"
        span = _span(reach(space, on, "parameters"))
        table.add_row(name, str(on), designs, f"{space.bits:.1f}", span, space.summary)
    return table


def one_space(name: str, shape: TaskShape | None = None) -> RenderableType:
    """Choices, size and costs of a space, and an example design: on a shape, or on examples.

    Raises:
        ValueError: there is no such space, or it can be made for none of the shapes.
    """
    shown: list[RenderableType] = []
    refused: list[ValueError] = []
    for on in EXAMPLE_SHAPES if shape is None else (shape,):
        try:
            space = open_space(name, on)
        except ValueError as error:
            refused.append(error)
        else:
            shown += _described(space, on)
    if not shown:
        raise refused[0]
    return Group(*shown, *(Text(str(error)) for error in refused))


def _described(space: Space, shape: TaskShape) -> list[RenderableType]:
    title = f"{space.name} on {shape}: {space.size:,} designs, {space.bits:.1f} bits"
    table = _table(title, ("choice", "options"))
    for choice in space.choices:
        when = f"  (if {choice.when[0]} is one of {choice.when[1]})" if choice.when else ""
        table.add_row(choice.name, ", ".join(map(str, choice.options)) + when)
    values = space.sample(np.random.default_rng(0))
    cost = complexity(space.decode(values), shape)
    example = ", ".join(f"{name}={value}" for name, value in values.items())
    return [
        table,
        Text(
            f"parameters: {_span(reach(space, shape, 'parameters'))}; "
            f"multiply-adds: {_span(reach(space, shape, 'multiply_adds'))}"
        ),
        Text(f"example: {example}: {cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds"),
    ]


def _span(ends: tuple[int, int]) -> str:
    least, most = ends
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
