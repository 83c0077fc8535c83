"""What a configuration opens to: tasks and spaces, as run.json has them, checked before anything trains."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from importlib.metadata import version

from rich.console import Console

from nas.comparison import roles
from nas.config import SearchConfig
from nas.efficiency.anchors import Anchor
from nas.limits import weigh
from nas.open_space import open_spaces
from nas.progress import decoding
from nas.run_directory import RunInfo, RunSpace, RunTask
from trials.description import FEW_ROWS, notes
from trials.finding import everywhere
from trials.record import Study
from trials.task import TaskData, open_task


def opened(config: SearchConfig, tracking_uri: str | None, console: Console) -> RunInfo:
    """Everything of a run that is found out before its first trial.

    Raises:
        ValueError: a task or a space cannot be opened, or does not do for its place in the configuration.
    """
    recipe = config.the_recipe()
    tasks = open_tasks(config, console)
    spaces = _open_spaces(config, tasks)
    development, evaluation = roles(config, (each.task for each in tasks))
    return RunInfo(
        id=uuid.uuid4().hex[:8],
        created=time.time(),
        version=version("nas-flexconv"),
        tracking_uri=tracking_uri,
        recipe=recipe,
        tasks=tasks,
        spaces=spaces,
        development=development,
        evaluation=evaluation,
    )


def continued(known: RunInfo | None, new: RunInfo, where: str) -> RunInfo:
    """What run.json should hold: what it held, what is new, and this call's tracking URI if it names one.

    Args:
        known: what it held; None if the run begins.
        new: what the plan opens to now.
        where: the run directory, for messages.

    Raises:
        ValueError: data, spaces or recipe behind the same names are not those the run began with.
    """
    if known is None:
        return new
    tasks = {task.name: task for task in known.tasks}
    spaces = {(space.task, space.reference): space for space in known.spaces}
    pairs: list[tuple[str, object, object]] = [("recipe", known.recipe, new.recipe)]
    for task in new.tasks:
        digest = tasks.get(task.name, task).digest
        pairs.append((f"rows of the task {task.name}", digest, task.digest))
    for space in new.spaces:
        before = spaces.get((space.task, space.reference), space)
        pairs.append((f"designs of the space {space.reference}", before, space))
    for what, then, today in pairs:
        if then != today:
            raise ValueError(
                f"the {what} changed since {where} began: {then} then, {today} now; take another --run-dir"
            )
    return replace(
        known,
        tracking_uri=new.tracking_uri or known.tracking_uri,
        tasks=tuple(tasks.get(task.name, task) for task in new.tasks),
        spaces=new.spaces,
        development=new.development,
        evaluation=new.evaluation,
    )


def open_tasks(config: SearchConfig, console: Console) -> tuple[RunTask, ...]:
    """The tasks of a configuration, a small one with every seed of its split; each is shown."""
    found = []
    for asked in config.the_tasks():
        task = everywhere(asked)
        with decoding(console, str(asked)) as progress:
            data = open_task(task, progress)
        splits = config.splits if data.learning_rows < FEW_ROWS else 1
        for seed in range(task.split, task.split + splits):
            data = data if seed == task.split else open_task(replace(task, split=seed))
            found.append(_shown(data, console))
    names = [Study(task=task.name, space="", kind="search").name for task in found]
    if len(set(names)) < len(names):
        named = ", ".join(task.name for task in found)
        raise ValueError(f"two tasks have the same name in file names: {named}; rename a directory")
    return tuple(found)


def with_anchors(task: RunTask, console: Console) -> RunTask:
    """The task with what needs no network fitted to it; minutes where there are many rows."""
    from trials.baselines import baselines

    console.print(f"task {task.name}: fitting what needs no network", soft_wrap=True, highlight=False)
    anchors = (
        Anchor(name=each.name, error=each.report_error, seconds=each.seconds, note=each.note)
        for each in baselines(open_task(task.task))
    )
    return replace(task, anchors=tuple(anchors))


def _shown(data: TaskData, console: Console) -> RunTask:
    lines = [
        f"task {data.name}: {data.shape}, {data.shape.classes} classes, {len(data.train)} training, "
        f"{len(data.select)} + {len(data.report)} validation rows",
        *(f"  note: {text}" for text in notes(data)),
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return RunTask(
        task=data.task,
        shape=data.shape,
        mean=data.mean,
        std=data.std,
        digest=data.digest,
        notes=tuple(notes(data)),
        origin=data.origin,
        licence=data.licence,
    )


def _open_spaces(config: SearchConfig, tasks: tuple[RunTask, ...]) -> tuple[RunSpace, ...]:
    found = []
    for task in tasks:
        for reference, space in open_spaces(config, task.shape).items():
            if reference in (config.single, *config.defaults) and not space.single:
                raise ValueError(
                    f"{reference} has {space.size} designs on {task.name}; "
                    "single and defaults name spaces that have one"
                )
            if reference in config.described and space.single:
                raise ValueError(
                    f"described names spaces of several designs, {reference} has one on {task.name}; "
                    "name it in --set defaults="
                )
            limits = () if reference in config.following else config.constraints
            designs, rejected = weigh(space, task.shape, limits)
            found.append(
                RunSpace(
                    task=task.name, reference=reference, name=space.name, designs=designs, rejected=rejected
                )
            )
    if config.single not in config.spaces:
        raise ValueError(
            f"spaces must hold the single design {config.single}, got {', '.join(config.spaces)}; "
            "add it, or name another with --set single="
        )
    names = [(space.task, space.name) for space in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two spaces have the same name in records: {', '.join(n for _, n in names)}")
    return tuple(found)
