"""When a run ends before its plan does: a budget that is spent, or one failure after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nas.config import SearchConfig
from nas.interrupt import Ended
from trials.record import TrialRecord

if TYPE_CHECKING:
    from nas.messages import News

IN_A_ROW = 5
"""Trials that fail one after another of one cause before the run is stopped."""


class Budgets:
    """What a run has spent, and what its last trials failed of.

    Attributes:
        begun: trials that were handed out in the run's life.
        device_seconds: of all records.
        failing: the line for the user if trial after trial failed of one cause, else empty.
    """

    def __init__(self, config: SearchConfig) -> None:
        self._config = config
        self.begun, self.device_seconds, self.failing = 0, 0.0, ""
        self._failed: list[str] = []
        self._cause = ""

    def spent(self, held: float) -> str:
        """The line for the user if a budget is spent, else empty; `held`: seconds the run was held."""
        config = self._config
        for name, limit, used in (
            ("max_trials", config.max_trials, self.begun),
            ("max_device_hours", config.max_device_hours, self.device_seconds / 3600),
            ("max_hours", config.max_hours, held / 3600),
        ):
            if limit is not None and used >= limit:
                return f"the budget {name}={limit:g} is spent; go on with --set {name}= more, and --resume"
        return ""

    def pauses(self, held: float) -> bool:
        """Whether trials that run are to pause too."""
        most = self._config.max_hours
        return bool(self.failing) or (most is not None and held >= most * 3600)

    def note(self, record: TrialRecord) -> None:
        """Take how a trial ended in this process."""
        cause = _cause(record) if record.status == "failed" else ""
        if cause.startswith("cancelled:"):
            return  # says nothing of the others
        self._failed = self._failed if cause == self._cause else []
        self._cause = cause
        if cause:
            self._failed.append(record.trial.id)
        if len(self._failed) >= IN_A_ROW:
            self.failing = (
                f"{IN_A_ROW} trials in a row failed of one cause: {record.reason.splitlines()[0]} "
                f"({', '.join(self._failed[-IN_A_ROW:])}); mend it, remove their record.json, and go on "
                "with --resume"
            )

    def take_over(self, before: Budgets) -> None:
        """Remember what the last trials failed of under another plan."""
        self._failed, self._cause, self.failing = before._failed, before._cause, before.failing


def _cause(record: TrialRecord) -> str:
    """The first line of the reason, in which numbers do not count."""
    lines = record.reason.splitlines() or ["unknown"]
    return re.sub(r"\d+", "#", lines[0])


def how_it_ended(
    news: News,
    signalled: Literal["", "interrupted", "preempted"],
    stopped: str,
    failure: Sequence[BaseException],
) -> Ended | None:
    """What the last news say of a run that has no slots any more; None: it is to go on with new ones.

    Args:
        signalled: by which signal it was asked to end.
        stopped: why it was asked to stop; empty if it was not.
        failure: what ended the slots' manager.

    Raises:
        Exception: the error of the news, or RuntimeError after a failure.
    """
    if news.error is not None:
        raise news.error
    if news.ended >= news.total:
        return Ended(how="finished")
    if signalled:
        return Ended(how=signalled)
    if stopped:
        return Ended(how="stopped", reason=stopped)
    if news.over:
        return Ended(how="budget", reason=news.over)
    if failure:
        raise RuntimeError(f"no trial can run: {failure[0]!r}; mend that and go on with --resume")
    return None  # it grew when the last slot had ended
