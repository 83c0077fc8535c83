"""What is written down: a trial before it starts, its record when it ends.

Neither needs torch to be read: comparing, showing and tracking work from these alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from search_spaces.architecture import Architecture
from trials.recipe import Recipe
from trials.reference import Task

SCHEMA = 5
READABLE = (2, 3, 4, 5)
"""Schemas that `current` brings up to date. 3 added the kind ``transfer``, `Study.source`, `Study.by` and
`Trial.weight`; 4 `TrialRecord.log`, `co_residents` and `attempts`; 5 `EpochMetrics.at` and `load`; all with
defaults."""
Kind = Literal["population", "search", "finalist", "long", "transfer"]
Status = Literal["completed", "stopped", "failed"]
Verdict = Literal["continue", "stop", "pause", "cancel"]
"""What the receiver of an epoch's metrics wants: go on, end as ``stopped``, be resumed another time, or end
as ``failed`` because someone asked for it."""

CANCELLED = "cancelled: asked for by a user"
"""The reason of a trial that was cancelled."""
_NO_MEMORY = re.compile(
    r"MemoryError|out of memory|can(no|')t allocate memory|bad_alloc|_ALLOC_FAILED", re.IGNORECASE
)


@cache
def _file_safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_@=,-]+", "-", text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Trials that belong together: one task, one space, one purpose, one seed.

    Attributes:
        task: the task's name in records, e.g. ``"digits"`` or ``"fashion_mnist@rows=2000"``.
        space: the space's name.
        kind: ``population`` (drawn at random, whole recipe), ``search`` (proposed by a sampler, may be
            stopped), ``finalist`` (the selected design, retrained with fresh seeds, tested once), ``long`` (a
            design of the population once more, with `recipe.LONG` times the epochs) or ``transfer`` (the best
            design of the space on another task, or on this one, with fresh seeds; never tested).
        seed: seed of the sampler.
        source: of ``transfer``, the name of the task on which the design was chosen.
        by: of ``transfer``, how the design was carried from there (`search_spaces.carrying`); to the task it
            comes from by ``taps``.
    """

    task: str
    space: str
    kind: Kind
    seed: int = 0
    source: str = ""
    by: Literal["", "taps", "fraction"] = ""

    @property
    def name(self) -> str:
        """A file-safe name, unique in a run."""
        carried = (part for part in (self.source, self.by) if part)
        parts = (self.task, self.space, self.kind, str(self.seed), *carried)
        return ".".join(map(_file_safe, parts))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One design to be trained once with one recipe and one seed: the content of ``design.json``.

    Attributes:
        study: what the trial belongs to.
        number: position in its study, from 0.
        task: what to open.
        architecture: the design.
        values: the choices of its space that gave it.
        recipe: with the learning rate and weight decay of the space put in.
        seed: of weights, shuffling and whatever else is random.
        selected_from: the id of the trial whose design this is: of finalists, if one was searched, and of
            transfer; of a control made from what one training learned, that training.
        weight: of a population's trial, the probability of its design under the uniform law over designs over
            that under the population's law (`Space.weight`, so without the run's limits: under limits it is
            right up to a factor). 1 of all other trials, and of those written under schema 2.
    """

    study: Study
    number: int
    task: Task
    architecture: Architecture
    values: dict[str, str | int | float | bool | None]
    recipe: Recipe
    seed: int
    selected_from: str | None = None
    weight: float = 1.0

    @property
    def id(self) -> str:
        """File-safe name, unique in a run: the study's name and a number."""
        return f"{self.study.name}.{self.number:04d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a trial's process and its machine were busy with over one epoch.

    Attributes:
        processors: that the process kept busy, its processor seconds per wall second.
        memory_bytes: resident memory of the process at the epoch's end.
        host: processes of the machine that ran or were ready to, mean of a minute; None where it is not told.
        device_bytes: allocated on the accelerator at the epoch's end; None without one.
        device_busy: share of the time that anything ran on it, in [0, 1], by NVML; None if unknown.
    """

    processors: float
    memory_bytes: int
    host: float | None = None
    device_bytes: int | None = None
    device_busy: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochMetrics:
    """What a trial reports after each epoch. Errors are shares in [0, 1], losses in nats.

    `select` and `report` are the two halves of the validation set: designs are chosen and trials stopped
    by the first only, results are shown from the second.

    Attributes:
        epoch: from 1.
        train_loss: mean over the epoch's batches.
        seconds_training, seconds_evaluation, seconds_data: since the trial began, sums over its attempts.
        kernel_sizes: taps along each axis for every convolution wider than 1, as they stand.
        at: Unix time at the epoch's end, 0 in records from before it was kept.
        load: of process and machine; None if it was not measured. Neither makes two epochs different.
    """

    epoch: int
    train_loss: float
    select_error: float
    select_loss: float
    report_error: float
    report_loss: float
    seconds_training: float
    seconds_evaluation: float
    seconds_data: float = 0.0
    kernel_sizes: tuple[tuple[int, ...], ...] = ()
    at: float = field(default=0.0, compare=False)
    load: Load | None = field(default=None, compare=False)


def current(data: dict[str, Any]) -> dict[str, Any]:
    """The content of a record of any schema of `READABLE`, as of `SCHEMA`."""
    return {**data, "schema": SCHEMA}


def keep_going(metrics: EpochMetrics) -> Verdict:
    """The verdict of someone who only lets a trial run."""
    return "continue"


def unasked() -> Verdict:
    """The answer of someone who never interrupts a trial."""
    return "continue"


def ignored(epoch: int) -> None:
    """What is done about a kept epoch where nobody wants to know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval over the rows; `low` <= `high`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TestMetrics:
    """A finalist's only look at the test split. `loss` in nats, all else in [0, 1].

    How each is defined, and its interval made: `trials.metrics`, all but the error's from `resamples` of the
    rows. None: not defined for these rows, or of a record that is older than the measure.
    """

    error: float
    loss: float
    rows: int
    resamples: int | None = None
    balanced_accuracy: float | None = None
    auroc: float | None = None
    error_interval: Interval | None = None
    loss_interval: Interval | None = None
    balanced_accuracy_interval: Interval | None = None
    auroc_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AtRate:
    """A finalist at another sampling rate, not trained there: `trials.other_rates`.

    Attributes:
        rate: over the rate of training.
        error: on the report rows, resampled, in [0, 1]; None where the rate does not fit, with the `reason`.
    """

    rate: float
    error: float | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """How a trial ended: the content of ``record.json``.

    Attributes:
        trial: what was asked for.
        status: ``completed`` (whole recipe), ``stopped`` (by the search) or ``failed``.
        reason: why it failed (last line first, traceback after), else empty.
        curve: one entry per finished epoch.
        augmentation: what was applied to training rows: of the recipe's, those that the task allows.
        parameters: trainable parameters.
        multiply_adds: of one forward pass on one row, spatial convolution, at the final kernel sizes.
        training_multiply_adds: the same convention summed over all training (a step is 3 forwards) and
            validation the trial did, statistics of norms included, at the kernel sizes of each epoch, kernel
            generation included.
        training_executed: multiply-adds that really ran in training and validation, FFT where it was taken:
            in training at the recipe's batch, in validation at batches of 256 rows.
        seconds_setup: building the network, moving rows to an accelerator, reading a checkpoint. Opening the
            task is not charged: a slot does it once for all its trials; nor is writing checkpoints.
        seconds_data: gathering, copying and augmenting training batches; with an accelerator what the host
            spends on it, while the device may be busy with the step before.
        seconds_training: forward and backward passes and steps.
        seconds_evaluation: statistics of norms and validation, its batches included.
        seconds_waiting: for the answers of whoever is told of epochs.
            All five are wall seconds, sums over the trial's attempts. Of an attempt that was killed no cost
            holds what it did after its last checkpoint. A finalist's test is neither timed nor in the joules.
        joules: of the trial's attempts, from beginning to end; None where the hardware does not count them.
        joules_of: what they cover, see `trials.energy`.
        peak_memory_bytes: largest resident memory of the process during the trial, of all attempts.
        peak_device_bytes: largest memory allocated on the accelerator, of all attempts; None without one.
        rows_train, rows_select, rows_report: sizes of the splits used.
        classes, majority_error: of the task: number of classes, error of always answering the most
            frequent training class on the validation rows.
        digest: of the task's rows; records of different rows are not compared.
        test: finalists only.
        latency_seconds: wall seconds of one forward pass on one row, of finalists and of searches for
            latency: `evaluation.latency`.
        at_rates: finalists only, where the run asks for other rates.
        started, finished: Unix times.
        device: model of the processor or accelerator that trained it.
        device_share: share of the accelerator the trial had, in (0, 1]; 1 on processors, where a trial's
            threads are its own.
        co_residents: the largest number of other trials at once on its device, or on its host without one.
        attempts: times the trial was handed out by the driver that it ended under: 1, and one more for each
            time that its worker died or was lost, or its device had no memory left; what earlier drivers of a
            resumed run did is not counted.
        log: the last lines that the trial's process wrote, capped, secrets masked (`trials.logs`).
        host, process, software, commit: where and with what; `commit` of the product's source, if known.
    """

    schema: int = SCHEMA
    trial: Trial
    status: Status
    reason: str = ""
    curve: tuple[EpochMetrics, ...] = ()
    augmentation: tuple[str, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    training_multiply_adds: int = 0
    training_executed: float = 0.0
    seconds_setup: float = 0.0
    seconds_data: float = 0.0
    seconds_training: float = 0.0
    seconds_evaluation: float = 0.0
    seconds_waiting: float = 0.0
    joules: float | None = None
    joules_of: str = ""
    peak_memory_bytes: int = 0
    peak_device_bytes: int | None = None
    rows_train: int = 0
    rows_select: int = 0
    rows_report: int = 0
    classes: int = 0
    majority_error: float = 1.0
    digest: str = ""
    test: TestMetrics | None = None
    latency_seconds: float | None = None
    at_rates: tuple[AtRate, ...] = ()
    started: float
    finished: float
    device: str = ""
    device_share: float = 1.0
    co_residents: int = 0
    attempts: int = 1
    log: tuple[str, ...] = ()
    host: str = ""
    process: int = 0
    software: str = ""
    commit: str = ""

    @property
    def kernel_sizes(self) -> tuple[tuple[int, ...], ...]:
        """Taps of each convolution at the end; what FlexConv learned."""
        return self.curve[-1].kernel_sizes if self.curve else ()

    @property
    def select_error(self) -> float:
        """Error of the last epoch on the half that picks designs; infinite for a failed trial."""
        return self.curve[-1].select_error if self.status != "failed" and self.curve else math.inf

    @property
    def report_error(self) -> float:
        """Error of the last epoch on the half that is shown; infinite for a failed trial."""
        return self.curve[-1].report_error if self.status != "failed" and self.curve else math.inf

    @property
    def error(self) -> float:
        """Validation error (both halves) of the last epoch; infinite for a failed trial."""
        if self.status == "failed" or not self.curve:
            return math.inf
        wrong = self.select_error * self.rows_select + self.report_error * self.rows_report
        return wrong / (self.rows_select + self.rows_report)

    @property
    def out_of_memory(self) -> bool:
        """Whether it failed because its device, or the processor, had no memory left."""
        return self.status == "failed" and bool(_NO_MEMORY.search(self.reason.partition("\n")[0]))

    @property
    def seconds(self) -> float:
        """Device-seconds: `wall` times the trial's share of the device."""
        return self.wall * self.device_share

    @property
    def wall(self) -> float:
        """Wall seconds of the trial itself: all but waiting."""
        return self.seconds_setup + self.seconds_data + self.seconds_training + self.seconds_evaluation
