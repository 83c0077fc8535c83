"""Records of several run directories as those of one, or why they cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.efficiency.selection import LeftOut
from nas.run_directory import RunDirectory, RunInfo
from trials.record import TrialRecord

SAME_BUDGET = (
    "constraints",
    "sampler",
    "search_trials",
    "grace_epochs",
    "reduction_factor",
    "cpus_per_trial",
)
"""Fields of a configuration that say which designs are drawn and what a search and a trial may spend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """What several run directories hold together.

    Attributes:
        records: each trial once.
        unreadable: records that cannot be read or contradict themselves, and why.
        infos: of the directories that a run has written one in.
    """

    records: tuple[TrialRecord, ...]
    unreadable: tuple[LeftOut, ...]
    infos: tuple[RunInfo, ...]


def join(directories: Sequence[RunDirectory]) -> Joined:
    """Read all directories.

    Raises:
        ValueError: a trial has different records, a space is another one, or the budgets differ.
    """
    infos = tuple(info for directory in directories if (info := directory.info()) is not None)
    _refuse_other_budgets(directories)
    _refuse_other_spaces(directories)
    records: dict[str, TrialRecord] = {}
    unreadable: list[LeftOut] = []
    for directory in directories:
        found, broken = directory.read_records()
        for record in found:
            if records.setdefault(record.trial.id, record) != record:
                raise ValueError(
                    f"{record.trial.id} has different records in these directories, the second in "
                    f"{directory}; compare them apart, or rename that trial"
                )
        unreadable += [_left_out(directory, line) for line in broken]
    return Joined(records=tuple(records.values()), unreadable=tuple(unreadable), infos=infos)


def _left_out(directory: RunDirectory, line: str) -> LeftOut:
    """From a line that begins with the path of a trial's file; no path of the machine stays in it."""
    trial, _, reason = line.replace(f"{directory}/trials/", "").partition("/")
    return LeftOut(trial=trial, reason=reason)


def _refuse_other_budgets(directories: Sequence[RunDirectory]) -> None:
    planned = [each for each in directories if each.has_plan()]
    for directory in planned[1:]:
        first, other = planned[0].config(), directory.config()
        for name in SAME_BUDGET:
            if getattr(first, name) != getattr(other, name):
                raise ValueError(
                    f"{name} must be the same in all directories, got {getattr(first, name)!r} in "
                    f"{planned[0]} and {getattr(other, name)!r} in {directory}; compare them apart"
                )


def _refuse_other_spaces(directories: Sequence[RunDirectory]) -> None:
    """A space of one name has as many designs on a task wherever that was run."""
    sizes: dict[tuple[str, str], tuple[int, RunDirectory]] = {}
    for directory in directories:
        info = directory.info()
        for space in info.spaces if info is not None else ():
            size, first = sizes.setdefault((space.task, space.name), (space.designs, directory))
            if size != space.designs:
                raise ValueError(
                    f"{space.name} must be one space, got {size} designs on {space.task} in {first} and "
                    f"{space.designs} in {directory}; compare them apart, or rename one"
                )
