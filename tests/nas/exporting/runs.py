"""Run directories with finalists that were really trained, without a cluster."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from nas.finalists import train_and_test
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces.space import TaskShape
from tests.nas.runs import SMALL, begun
from tests.trials.examples import trial
from trials import record
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.reference import Task
from trials.task import open_task


def trained_run(
    path: Path, *finalists: tuple[str, str], epochs: int = 2, rates: tuple[float, ...] = ()
) -> RunDirectory:
    """A run with a finalist of each (task, space)."""
    directory = begun(path, replace(SMALL, tasks=tuple(dict.fromkeys(task for task, _ in finalists))))
    tasks = {name: open_task(name) for name, _ in finalists}
    known = tuple(
        RunTask(
            task=data.task,
            shape=data.shape,
            mean=data.mean,
            std=data.std,
            digest=data.digest,
            origin=data.origin,
            licence=data.licence,
        )
        for data in tasks.values()
    )
    info = RunInfo(
        id="0" * 8,
        created=time.time(),
        version="0",
        tracking_uri=None,
        recipe=STANDARD,
        tasks=known,
        spaces=(),
    )
    directory.put("run.json", dumps(info))
    for name, space in finalists:
        wanted = trial(tasks[name], space, kind="finalist", epochs=epochs)
        directory.put_trial(wanted)
        found = train_and_test(
            wanted, tasks[name], record.keep_going, directory.folder(wanted.id), rates=rates
        )
        assert found is not None and found.status == "completed", found
        directory.put_record(found)
    return directory


def bare_task(shape: TaskShape) -> RunTask:
    """What an export reads of a task of this shape, without data."""
    means = tuple(0.1 * (channel + 1) for channel in range(shape.channels))
    stds = tuple(0.5 + channel for channel in range(shape.channels))
    return RunTask(task=Task(source="made_up"), shape=shape, mean=means, std=stds, digest="")


def with_statistics(network: nn.Module) -> nn.Module:
    """The network in evaluation mode with norms as after some training: nothing is 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None and module.running_var is not None
            for values, low in (
                (module.running_mean, -0.5),
                (module.running_var, 0.3),
                (module.weight.data, 0.5),
                (module.bias.data, -0.5),
            ):
                values.copy_(low + torch.rand(values.shape, generator=generator))
    return network.eval()
