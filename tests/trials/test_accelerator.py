"""What a trial on an accelerator writes down of it, and how much of it a trial may take."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from search_spaces import SPACES
from tests.trials.examples import trial
from trials import record, training
from trials.task import TaskData, open_task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator"),
]


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits@rows=400")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_design_of_every_space_trains(digits: TaskData, precision: str) -> None:
    for space in (space for space in SPACES if not space.startswith("tcn")):  # which takes series
        found = training.run_trial(trial(digits, space, epochs=2, precision=precision), digits)
        assert found is not None and found.status == "completed", (space, found)


def test_a_record_says_what_the_accelerator_is_and_what_was_taken_of_it(digits: TaskData) -> None:
    found = training.run_trial(trial(digits, "flexconv", epochs=2), digits, device_share=0.5, timed=True)
    assert found is not None and found.status == "completed", found
    memory = torch.cuda.get_device_properties().total_memory
    assert found.device == torch.cuda.get_device_name() and found.device_share == 0.5
    assert found.peak_device_bytes is not None and 0 < found.peak_device_bytes < memory / 2
    assert found.latency_seconds is not None and 0 < found.latency_seconds < 1
    if found.joules is not None:  # its driver counts them
        assert found.joules > 0 and found.joules_of.startswith("the whole accelerator (NVML)")


def asking_for(share: float) -> Callable[[record.EpochMetrics], record.Verdict]:
    """Takes a share of the device's memory for a moment, inside the trial."""

    def take(metrics: record.EpochMetrics) -> record.Verdict:
        size = int(share * torch.cuda.get_device_properties().total_memory)
        assert len(torch.empty(size, dtype=torch.uint8, device="cuda")) == size
        return "continue"

    return take


def test_a_trial_gets_its_share_of_the_memory_and_no_more(digits: TaskData) -> None:
    wanted = trial(digits, epochs=1)
    enough = training.run_trial(wanted, digits, report=asking_for(0.2), device_share=0.25)
    assert enough is not None and enough.status == "completed", enough
    more = training.run_trial(wanted, digits, report=asking_for(0.3), device_share=0.25)
    assert more is not None and more.out_of_memory and "memory" in more.reason.splitlines()[0]
    after = training.run_trial(wanted, digits, report=asking_for(0.3), device_share=0.5)
    assert after is not None and after.status == "completed", after
