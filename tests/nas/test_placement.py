"""Which trial runs beside which on one device: no device is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.placement import CONTEXT_BYTES, PER_DEVICE, Place, Placement, share_of, slots_on
from tests.nas.builders import record
from trials.record import Trial

UNIT = 10**8
"""Bytes; peaks below are of these and hold the context."""
GPU = Place(node="n", host="h", process=1, device="GPU-1", device_bytes=1000 * UNIT)
CPU = Place(node="n", host="h", process=1)


def trial_of(space: str = "twin", number: int = 0) -> Trial:
    trial = record().trial
    return replace(trial, number=number, study=replace(trial.study, space=space))


def measured(placement: Placement, space: str, peak: int) -> None:
    allocated = peak * UNIT - CONTEXT_BYTES
    placement.learn(replace(record(), trial=trial_of(space), status="completed", peak_device_bytes=allocated))


def test_an_unknown_trial_is_alone_and_measures_for_the_others() -> None:
    placement = Placement(None)
    first, second = trial_of(number=0), trial_of(number=1)
    assert placement.fits(GPU, first) and placement.take(0, GPU, first) == 1.0
    assert not placement.fits(GPU, second)
    assert placement.leave(0) == 0
    measured(placement, "twin", 250)
    shares = [placement.take(slot, GPU, trial_of(number=slot)) for slot in range(3)]
    assert shares == [pytest.approx(0.3)] * 3  # 250 times 1.2 of 1000
    assert not placement.fits(GPU, trial_of(number=4))  # 4 times 0.3 is more than there is
    assert placement.leave(1) == 2
    assert placement.fits(GPU, trial_of(number=4))
    other = replace(GPU, device="GPU-2")
    assert placement.fits(other, trial_of("unknown"))


def test_the_largest_peak_of_a_task_and_space_counts() -> None:
    placement = Placement(None)
    for peak in (300, 500, 100):
        measured(placement, "twin", peak)
    assert placement.take(0, GPU, trial_of("twin")) == pytest.approx(0.6)
    assert not placement.fits(GPU, trial_of("wide"))  # never measured


def test_who_waits_for_a_whole_device_is_not_overtaken_for_ever() -> None:
    placement = Placement(None)
    measured(placement, "twin", 100)
    small, unknown = trial_of("twin"), trial_of("wide")
    placement.take(0, GPU, small)
    assert not placement.fits(GPU, unknown)
    assert not placement.fits(GPU, trial_of("twin", 1))  # there is room, and it is being waited for
    placement.leave(0)
    assert placement.fits(GPU, unknown)
    placement.take(1, GPU, unknown)
    placement.leave(1)
    assert placement.fits(GPU, small)


def test_what_waited_and_never_came_blocks_nobody() -> None:
    placement = Placement(None)
    measured(placement, "twin", 100)
    placement.take(0, GPU, trial_of("twin"))
    assert not placement.fits(GPU, trial_of("wide"))
    placement.leave(0)
    assert placement.fits(GPU, trial_of("twin", 1))
    placement.take(1, GPU, trial_of("twin", 1))
    assert placement.fits(GPU, trial_of("twin", 2))


def test_a_fixed_share_is_everyones_until_memory_runs_out() -> None:
    placement = Placement(0.25)
    for slot in range(4):
        assert placement.fits(GPU, trial_of(number=slot))
        assert placement.take(slot, GPU, trial_of(number=slot)) == 0.25
    lost = trial_of(number=3)
    placement.leave(3)
    assert placement.is_to_be_alone(lost)
    assert not placement.fits(GPU, lost)
    for slot in range(3):
        placement.leave(slot)
    assert placement.fits(GPU, lost) and placement.take(3, GPU, lost) == 1.0
    assert not placement.fits(GPU, trial_of(number=5))
    assert not placement.is_to_be_alone(lost)


def test_without_a_device_trials_share_the_host_but_not_with_one_that_needs_all_memory() -> None:
    placement = Placement(0.0)
    lost, other = trial_of(number=0), trial_of(number=1)
    assert placement.take(0, CPU, lost) == 1.0 and placement.take(1, CPU, other) == 1.0
    assert placement.leave(0) == 1
    assert placement.is_to_be_alone(lost) and not placement.fits(CPU, lost)
    assert placement.leave(1) == 1
    placement.take(0, CPU, lost)
    assert not placement.fits(CPU, other)
    assert placement.fits(replace(CPU, node="another"), other)


@pytest.mark.parametrize(
    ("node", "cpus", "share", "slots"),
    [
        ({"CPU": 8.0}, 1, 0.0, 8),
        ({"CPU": 8.0}, 3, 0.0, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 1.0, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.3, 6),
        ({"CPU": 2.0, "GPU": 1.0}, 1, 1 / PER_DEVICE, 2),
        ({"CPU": 8.0}, 1, 0.5, 0),
    ],
)
def test_slots_of_a_node(node: dict[str, float], cpus: int, share: float, slots: int) -> None:
    assert slots_on(node, cpus, share) == slots


def test_shares_of_a_cluster() -> None:
    nodes = [{"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}]
    assert share_of(nodes, 1, None) == 1.0
    assert share_of(nodes[:1], 1, None) == 0.0
    assert share_of(nodes, 1, "auto") == 1 / PER_DEVICE
    with pytest.raises(ValueError, match="asks for accelerators and the cluster has none"):
        share_of(nodes[:1], 1, "auto")
    with pytest.raises(ValueError, match="one trial needs 6 processors and 1 accelerators; no node has both"):
        share_of(nodes, 6, None)
    with pytest.raises(ValueError, match="must be between 0 and 1, got 2"):
        share_of(nodes, 1, 2.0)
