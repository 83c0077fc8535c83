"""A trial under way in one process: who may interrupt it, and when its state is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from trials import checkpoint
from trials.learner import Learner
from trials.ledger import Ledger
from trials.load import Watch
from trials.loading import Batch
from trials.record import Trial, Verdict, ignored, unasked
from trials.storage import Storage


class Paused(Exception):
    """The trial is to be resumed another time."""


class Cancelled(Exception):
    """The trial is to end."""


@dataclass(kw_only=True, slots=True)
class Attempt:
    """Arguments of `run_trial`, and the time of the last checkpoint."""

    trial: Trial
    ledger: Ledger
    folder: Storage | None = None
    asked: Callable[[], Verdict] = unasked
    checkpoint_seconds: float = 10.0
    checkpoint_bytes: int | None = None
    inside_seconds: float = 300.0
    on_kept: Callable[[int], None] = ignored
    watch: Watch = field(default_factory=Watch)
    saved: float = field(default_factory=time.perf_counter)

    def ask(self, question: Callable[[], Verdict]) -> bool:
        """Whether the answer is to stop; raises if it is to pause or to cancel."""
        verdict = self.ledger.ask(question)
        if verdict == "cancel":
            raise Cancelled
        if verdict == "pause":
            raise Paused
        return verdict == "stop"

    def between_steps(self, learner: Learner) -> None:
        """To be called after each step."""
        self.ask(self.asked)
        self.keep(learner, self.inside_seconds)

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches of a validation."""
        for batch in batches:
            self.ask(self.asked)
            yield batch

    def keep(self, learner: Learner, seconds: float = 0.0) -> None:
        """Save the state if the last one is so old."""
        if self.folder is None or time.perf_counter() - self.saved < seconds:
            return
        state = learner.state()  # waits for the device, so that the clock is right
        self.ledger.enter("")
        whole = {"learner": state, "ledger": self.ledger.state()}
        if checkpoint.save(self.folder, self.trial, whole, self.checkpoint_bytes):
            self.on_kept(len(self.ledger.curve))
        self.saved = time.perf_counter()
