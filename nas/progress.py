"""What a run shows while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trials.record import EpochMetrics, Trial, TrialRecord

LINE_SECONDS = 15.0
PATIENCE = 1.0
"""Seconds that data are decoded before anything is shown of it."""


@contextmanager
def decoding(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how the first decoding of a task gets on, where that takes long: call with rows done and in all.

    A bar that goes away on a terminal, a line now and then elsewhere.
    """
    columns = (*Bar.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=console, transient=True)
    row = bar.add_task(f"decoding {what}", total=None)
    began = said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        bar.update(row, completed=done, total=total)
        now = time.monotonic()
        if console.is_terminal:
            if now - began >= PATIENCE:
                bar.start()
        elif now - said >= LINE_SECONDS:
            said = now
            console.print(f"decoding {what}: {done:,} of {total:,} rows", soft_wrap=True, highlight=False)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


class Progress:
    """Trials done, running, failed, the best so far and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._running: dict[str, EpochMetrics | None] = {}
        self._best: dict[tuple[str, str], float] = {}
        self._better: dict[tuple[str, str], float] = {}  # since the last line
        self._total, self._slots, self._here = 0, 1, 0
        self._began = self._said = time.monotonic()

    def start(self, slots: int, records: list[TrialRecord]) -> None:
        """Trials can run now; `records` were there before."""
        self._slots = slots
        for record in records:
            self._note(record)
        self._better.clear()
        self._began = time.monotonic()
        before = f", {len(records)} trials are there already" if records else ""
        self._console.print(f"{slots} trials at a time{before}")
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def total(self, trials: int) -> None:
        """Trials planned in all."""
        self._total = trials

    def epoch(self, trial: Trial, metrics: EpochMetrics | None) -> None:
        """A trial has started (no metrics) or finished an epoch."""
        self._running[trial.id] = metrics

    def ended(self, record: TrialRecord) -> None:
        self._running.pop(record.trial.id, None)
        self._here += 1
        self._note(record)
        if record.status == "failed":
            self.say(f"failed: {record.trial.id}: {record.reason.splitlines()[0]}")

    def show(self) -> None:
        """Bring the display up to date."""
        if self._live is not None:
            self._live.update(self._table())
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            self._console.print(self._line(), soft_wrap=True)

    def say(self, line: str) -> None:
        """One line that stays."""
        self._console.print(Text(line), soft_wrap=True)

    def stop(self) -> None:
        """Leave the screen as it is, with a last line."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._total:
            self._console.print(self._line(), soft_wrap=True)

    def _note(self, record: TrialRecord) -> None:
        key = (record.trial.study.task, record.trial.study.space)
        self._counts.setdefault(key, Counter())[record.status] += 1
        counts = record.status == "completed" and record.trial.study.kind not in ("long", "transfer")
        if counts and record.select_error < self._best.get(key, math.inf):
            self._best[key] = self._better[key] = record.select_error

    def _ended(self) -> Counter[str]:
        return sum(self._counts.values(), Counter())

    def _left(self) -> str:
        left = self._total - self._ended().total()
        if not self._here or left <= 0:
            return ""
        seconds = (time.monotonic() - self._began) / self._here * left
        return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"

    def _line(self) -> str:
        """Counts, and where the best select error is lower than in the line before."""
        count = self._ended()
        best = ", ".join(f"{task} {space} {100 * e:.1f} %" for (task, space), e in self._better.items())
        self._better.clear()
        return (
            f"{count.total()}/{self._total} trials ended ({count['completed']} completed, "
            f"{count['stopped']} stopped, {count['failed']} failed), {len(self._running)} running"
            f"{self._left()}" + (f"; new best select error: {best}" if best else "")
        )

    def _table(self) -> Group:
        table = Table(box=None, padding=(0, 2))
        for column in ("task", "space", "completed", "stopped", "failed", "best select error"):
            table.add_column(column, justify="left" if column in ("task", "space") else "right")
        for (task, space), count in self._counts.items():
            best = self._best.get((task, space))
            table.add_row(
                task,
                space,
                *(str(count[status]) for status in ("completed", "stopped", "failed")),
                "-" if best is None else f"{100 * best:.1f} %",
            )
        ended = self._ended().total()
        done = f"{ended}/{self._total} trials ended, {len(self._running)} running{self._left()}"
        bar = ProgressBar(total=max(self._total, 1), completed=ended, width=60)
        return Group(table, bar, Text(done))
