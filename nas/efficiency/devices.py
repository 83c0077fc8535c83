"""Whether device-seconds of a task's trials may be compared: one device model, one packing level.

What is checked: the model and the trial's share of it; on processors, whose share is always 1, how many of
these trials ran on the same host at a time. What else a host did shows in the processor time that trials of
one thread got (`slowed`). Not checked, since no record shows it: threads of a trial.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from nas.efficiency.estimators import Floats
from nas.efficiency.words import label, number
from trials.record import TrialRecord

PACKED = 1.5
"""Trials at a time on a host, of one space over another, from which on seconds are not compared."""
SLOWED = 1.1
"""Processor time per second, of one space over another, from which on a cost is given in it too."""


def at_once(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Trials on the host of each trial at a time, itself included, on average over its time; by id.

    Of trials on processors with a known host; of one that was interrupted, over its last stretch.

    Args:
        records: all of the run, since trials of any task share a host.
    """
    by_host: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.host and record.peak_device_bytes is None and record.wall > 0:
            by_host[record.host].append(record)
    found: dict[str, float] = {}
    for trials in by_host.values():
        ends = np.array([record.finished for record in trials])
        spent = np.array([record.wall + record.seconds_waiting for record in trials])
        begins = np.maximum([record.started for record in trials], ends - spent)
        first = begins.min()
        begins, ends = begins - first, ends - first
        lengths = np.maximum(ends - begins, 1e-9)
        means = (_together(ends, begins, ends) - _together(begins, begins, ends)) / lengths
        found |= {record.trial.id: float(mean) for record, mean in zip(trials, means)}
    return found


def _together(times: Floats, begins: Floats, ends: Floats) -> Floats:
    """Time that all trials had run, summed, at each of some times."""
    begun, over = (_since(times, np.sort(each)) for each in (begins, ends))
    return begun - over


def _since(times: Floats, events: Floats) -> Floats:
    """Sum over the sorted events before each time of the time since them."""
    count = np.searchsorted(events, times, side="right")
    sums = np.concatenate(([0.0], np.cumsum(events)))
    passed: Floats = count * times - sums[count]
    return passed


def seconds_apart(
    records: Sequence[TrialRecord],
    spaces: Sequence[str],
    packing: Mapping[str, float],
    kind: Literal["population", "long", "transfer"] = "population",
) -> str:
    """Why device-seconds of these records are not compared; empty where they are.

    Args:
        records: of one task. A trial whose worker died knows no device and is not looked at.
        spaces: whose populations must have been packed alike on processors: their means of `packing` differ
            by less than a factor of `PACKED`.
        packing: of `at_once`.
        kind: of the trials whose seconds are to be compared with those of populations: the trials of this
            kind must have been packed as these.
    """
    known = [record for record in records if record.device]
    devices = sorted({record.device for record in known})
    if len(devices) > 1:
        return f"Trials ran on several device models ({', '.join(devices)}): only multiply-adds are compared."
    shares = sorted({record.device_share for record in known})
    if len(shares) > 1:
        several = ", ".join(f"{share:g}" for share in shares)
        return f"Trials had several shares of a device ({several}): only multiply-adds are compared."
    groups: dict[str, list[float]] = defaultdict(list)
    for record in known:
        study = record.trial.study
        if study.kind in ("population", kind) and study.space in spaces and record.trial.id in packing:
            name = label(study.space) + ("" if study.kind == "population" else f" ({kind})")
            groups[name].append(packing[record.trial.id])
    means = {name: float(np.mean(values)) for name, values in groups.items()}
    least, most = (choose(means, key=means.__getitem__, default="") for choose in (min, max))
    if not means or means[most] < PACKED * means[least]:
        return ""
    of_kind = "" if kind == "population" else f" with {kind} trials"
    return (
        f"On average {means[most]:.1f} trials ran on a host while one of {most} did, and "
        f"{means[least]:.1f} while one of {least} did: only multiply-adds are compared{of_kind}."
    )


def slowed(single: Sequence[TrialRecord], designs: Sequence[TrialRecord], n: int) -> tuple[float | None, str]:
    """The cost ratio in processor-seconds, and why it is given: the seconds of one side hold more waiting.

    A few trainings of a fixed design may all have run while the host was busy with something else; their mean
    is then too long, and that of a hundred designs is not. Known of trials of one thread on processors.

    Args:
        single: trainings of the single design.
        designs: one training of each design.
        n: of them are compared with one of `single`.

    Returns:
        None and no words where both sides had their processor alike (within `SLOWED`), or nothing is known.
    """
    (busy, spent), (busy_designs, spent_designs) = map(_processor_time, (single, designs))
    if not (busy.all() and busy_designs.all() and len(busy) and len(busy_designs)):
        return None, ""
    shares = busy.sum() / spent.sum(), busy_designs.sum() / spent_designs.sum()
    if max(shares) > SLOWED or max(shares) < SLOWED * min(shares):
        return None, ""
    ratio = n * float(busy_designs.mean() / busy.mean())
    names = (label(each[0].trial.study.space) for each in (single, designs))
    had = " and ".join(f"those of {name} {share:.2f}" for name, share in zip(names, shares))
    return ratio, (
        f"Trials had unlike parts of their processor, {had}: other work ran beside them. "
        f"In processor-seconds the cost ratio is {number(ratio)}."
    )


def _processor_time(records: Sequence[TrialRecord]) -> tuple[Floats, Floats]:
    """Processor-seconds and seconds of the epochs of each trial that did not fail; 0 where unknown."""
    ended = [record for record in records if record.status != "failed"]
    busy, spent = np.zeros(len(ended)), np.zeros(len(ended))
    for i, record in enumerate(ended):
        ends = [m.seconds_training + m.seconds_evaluation + m.seconds_data for m in record.curve]
        lengths = np.diff(ends, prepend=0.0)
        loads = [m.load.processors if m.load else 0.0 for m in record.curve]
        if record.peak_device_bytes is None and all(loads):
            busy[i], spent[i] = lengths @ np.array(loads), lengths.sum()
    return busy, spent
