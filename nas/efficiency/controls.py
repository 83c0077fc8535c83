"""Controls: spaces that differ from the single design in one thing. Shown beside, never part of a verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.efficiency.level import Level, against, summary
from nas.efficiency.selection import population_of
from trials.record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class FixedControl:
    """A control that is no space to draw from: one design, or one for each training of the single design.

    Attributes:
        level: over its trainings, whatever their designs, with `difference` to the single design (Welch; that
            each took its sizes from one of those trainings is ignored). Its costs hold both: of the training
            itself and of the single design's training that its sizes were taken from.
        designs: distinct ones.
        sources: trainings of the single design that sizes were taken from; 0: none.
        unknown: trainings whose source is not among the records, so that half of their cost is missing.
        own_seconds, own_training_multiply_adds: of its own trainings alone, failed ones too, per training
            that ended; seconds None where those of the task are not compared.
        cost_ratio_seconds, cost_ratio_multiply_adds: both costs over one training of the single design; None
            where one is unknown, and of seconds with several device models.
    """

    level: Level
    designs: int
    sources: int
    unknown: int
    own_seconds: float | None
    own_training_multiply_adds: float
    cost_ratio_seconds: float | None
    cost_ratio_multiply_adds: float | None


def is_fixed(records: Sequence[TrialRecord]) -> bool:
    """Whether a control's population is one design over seeds, or designs made from trainings."""
    return bool(records) and (
        len(population_of(records).trials) == 1
        or all(record.trial.selected_from is not None for record in records)
    )


def fixed_control(
    space: str,
    records: Sequence[TrialRecord],
    single: Sequence[TrialRecord],
    single_level: Level | None,
    by_id: Mapping[str, TrialRecord],
    *,
    one_device: bool,
) -> FixedControl:
    """Level of a control over its trainings, both costs charged.

    Args:
        space: its name.
        records: its trainings, at least one.
        single, single_level: the single design's trainings.
        by_id: records of the task; `Trial.selected_from` names one of them.
    """
    own = summary(space, records, one_device=one_device)
    names = [r.trial.selected_from for r in records if r.trial.selected_from is not None]
    sources = [by_id[name] for name in names if name in by_id]
    ended = max(own.seeds, 1)
    charged = dataclasses.replace(
        own,
        seconds=None if own.seconds is None else own.seconds + sum(s.seconds for s in sources) / ended,
        training_multiply_adds=own.training_multiply_adds
        + sum(source.training_multiply_adds for source in sources) / ended,
    )
    known = single_level is not None and own.seeds and len(sources) == len(names)

    def ratio(name: str) -> float | None:
        both, of_single = getattr(charged, name), getattr(single_level, name, None)
        return both / of_single if known and both is not None and of_single else None

    return FixedControl(
        level=dataclasses.replace(against(charged, records, single), verdict=None),
        designs=len(population_of(records).trials),
        sources=len(set(names)),
        unknown=len(names) - len(sources),
        own_seconds=own.seconds,
        own_training_multiply_adds=own.training_multiply_adds,
        cost_ratio_seconds=ratio("seconds"),
        cost_ratio_multiply_adds=ratio("training_multiply_adds"),
    )
