"""What the board tells slots and driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.placement import Place
from trials.record import EpochMetrics, Trial, TrialRecord, Verdict

Event = tuple[Literal["started", "epoch", "kept", "ended"], Trial, EpochMetrics | TrialRecord | int | None]
"""What happened to a trial; of "kept", how many epochs its checkpoint holds."""
Told = Verdict | Literal["gone"]
"""What a slot is told of its trial; "gone": the slot should not exist, and must write nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A trial for a slot.

    Attributes:
        share: of the device's memory that it may use.
        rates, timed, checkpoint_bytes: see `nas.finalists.train_and_test`.
    """

    trial: Trial
    share: float
    rates: tuple[float, ...]
    timed: bool
    checkpoint_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """What happened since the last look.

    Attributes:
        events: in their order.
        ended, total: trials.
        running: trials that are with slots.
        over: the budget that is spent though work is left, else empty.
        stalled: slots that are silent, and where their processes are.
        lines: for the user: nodes that are newly left out, the first checkpoint that was not kept.
        done: whether nothing is left to hand out.
        error: what the run ends with once its slots have.
    """

    events: tuple[Event, ...]
    ended: int
    total: int
    running: int
    over: str
    stalled: tuple[tuple[int, Place], ...]
    lines: tuple[str, ...]
    done: bool
    error: Exception | None
