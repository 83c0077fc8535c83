"""Whether device-seconds of a task's trials may be compared: one device model, one packing level.

What is checked: the model and the trial's share of it; on processors, whose share is always 1, how many of
these trials ran on the same host at a time. What else a host did shows in the processor time that trials of
one thread got (`in_processor_seconds`). Not checked, since no record shows it: threads of a trial.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from nas.efficiency.estimators import Floats
from nas.efficiency.words import label
from trials.record import TrialRecord

PACKED = 1.5
"""Trials at a time on a host, of one space over another, from which on seconds are not compared."""
SLOWED = 1.1
"""Processor time in a second, of one space over another, from which on costs are counted in it."""


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


def in_processor_seconds(
    records: Sequence[TrialRecord], spaces: Sequence[str]
) -> tuple[list[TrialRecord], str]:
    """The records of a task with the share of its processor that each trial had, and why it is needed.

    A few trainings of a fixed design may all have run while the host was busy with something else; their mean
    is then too long, and that of a hundred designs is not. Known of trials of one thread on processors, from
    the processor time of each epoch; others stay as they are.

    Args:
        records: of one task, whose device-seconds may otherwise be compared.
        spaces: whose populations are compared: the shares of two of them differ by `SLOWED` or more.

    Returns:
        The records as they are, and no words, where all had their processor alike or it is not known.
    """
    busy = {record.trial.id: _processor_seconds(record) for record in records}
    shares = {}
    for space in spaces:
        study = [r for r in records if (r.trial.study.space, r.trial.study.kind) == (space, "population")]
        known = [(found, record.wall) for record in study if (found := busy[record.trial.id])]
        if known:
            seconds, walls = map(sum, zip(*known))
            shares[label(space)] = seconds / walls
    least, most = (choose(shares, key=shares.__getitem__, default="") for choose in (min, max))
    if not shares or shares[most] > SLOWED or shares[most] < SLOWED * shares[least]:
        return list(records), ""
    measured = [
        dataclasses.replace(record, device_share=min(1.0, found / record.wall))
        if (found := busy[record.trial.id])
        else record
        for record in records
    ]
    return measured, (
        f"Other work ran beside these trials: those of {least} had {shares[least]:.2f} of their processor, "
        f"those of {most} {shares[most]:.2f}. Device-seconds of this task are processor-seconds, what a "
        "trial had of them."
    )


def _processor_seconds(record: TrialRecord) -> float:
    """Of all epochs; 0 where any is not known."""
    loads = [metrics.load.processors if metrics.load else 0.0 for metrics in record.curve]
    if record.peak_device_bytes is not None or not loads or not all(loads):
        return 0.0
    spent = [m.seconds_training + m.seconds_evaluation + m.seconds_data for m in record.curve]
    lengths = np.diff(spent, prepend=0.0)  # not from Unix times: a trial may have been interrupted
    return float(lengths @ np.array(loads))
