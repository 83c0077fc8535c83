"""A training step asks the device for nothing: the processor runs ahead of it, and it never starves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from search_spaces import SPACES
from search_spaces.layers.flexconv import REFRESH
from tests.trials.examples import ringing, trial
from trials.learner import Learner
from trials.loading import Loader
from trials.task import TaskData, open_task

READS = {"tolist", "item", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__"}
READS |= {"_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "unique_dim"}
READS |= {"tensor", "lift_fresh"}  # the other way: what is made of Python's numbers is copied, waiting, too
TASKS = ("digits@rows=100", "digits_sequence@rows=100", f"{ringing.__module__.replace('.', '/')}.py:ringing")
CASES = [
    (source, space)
    for source in TASKS
    for space in SPACES
    if not (source == TASKS[0] and space.startswith("tcn")) and not (source == TASKS[2] and space == "cell")
]


def checked(func: Any) -> None:
    """
    Raises:
        AssertionError: a function or operation that reads.
    """
    for name in (
        getattr(func, "__name__", ""),
        getattr(getattr(func, "overloadpacket", None), "__name__", ""),
    ):
        assert name not in READS, f"{name} waits for the device"


class Calls(TorchFunctionMode):
    """Refuses what Python calls."""

    def __torch_function__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        checked(func)
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """Refuses what torch itself calls: the backward pass, parts of other operations."""

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        checked(func)
        return func(*args, **(kwargs or {}))


@contextmanager
def forbidden(device: torch.device) -> Iterator[None]:
    """No waiting for the device: on a GPU by the driver's word, on a processor by the operations."""
    if device.type == "cpu":
        with Operations(), Calls():
            yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


@pytest.fixture(scope="module")
def tasks() -> dict[str, TaskData]:
    return {source: open_task(source) for source in TASKS}


def takes_steps_without_waiting(of: TaskData, space: str, device: str, **recipe: object) -> None:
    """The forwards from one look at the masks to the next, but not the one that looks."""
    on = torch.device(device)
    ours = Learner(trial(of, space, **recipe), of.shape, on, len(of.train))
    ours.model.train()
    batch = next(Loader(of.train, of, on).batches(torch.arange(8), 8))
    ours.step(*batch)  # looks; kernels of the device are loaded
    for _ in range(REFRESH - 1):
        with forbidden(on):
            ours.step(*batch)
    assert ours.loss > 0  # waits, once


@pytest.mark.parametrize(("source", "space"), CASES)
def test_a_step_of_every_space_reads_nothing(tasks: dict[str, TaskData], source: str, space: str) -> None:
    takes_steps_without_waiting(tasks[source], space, "cpu")


@pytest.mark.parametrize("options", [{"moving_average": 0.9}, {"precision": "bfloat16"}])
def test_a_step_with_an_option_reads_nothing(tasks: dict[str, TaskData], options: dict[str, object]) -> None:
    takes_steps_without_waiting(tasks[TASKS[0]], "flexconv", "cpu", **options)


def test_what_reads_is_seen(tasks: dict[str, TaskData]) -> None:
    """The look at the masks, every `REFRESH`-th step."""
    of = tasks[TASKS[0]]
    ours = Learner(trial(of, "flexconv"), of.shape, torch.device("cpu"), len(of.train))
    batch = next(Loader(of.train, of, torch.device("cpu")).batches(torch.arange(8), 8))
    with pytest.raises(AssertionError, match="waits for the device"), forbidden(torch.device("cpu")):
        ours.step(*batch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("source", TASKS)
def test_no_space_waits_for_an_accelerator(tasks: dict[str, TaskData], source: str, precision: str) -> None:
    for space in (space for other, space in CASES if other == source):
        takes_steps_without_waiting(tasks[source], space, "cuda", precision=precision, moving_average=0.9)
