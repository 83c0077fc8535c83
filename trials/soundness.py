"""What a record says of itself must fit together: one that was cut or edited by hand is found by that."""

from __future__ import annotations

from collections.abc import Iterator

from trials.logs import CHARACTERS, LINES
from trials.record import AtRate, EpochMetrics, TestMetrics, TrialRecord

LARGEST = 10**21
"""A number of this size is a mistake: ten thousand accelerators need years for so many multiply-adds."""
_AMOUNTS = (
    "parameters",
    "multiply_adds",
    "training_multiply_adds",
    "training_executed",
    "seconds_setup",
    "seconds_data",
    "seconds_training",
    "seconds_evaluation",
    "seconds_waiting",
    "latency_seconds",
    "joules",
    "peak_memory_bytes",
    "peak_device_bytes",
    "rows_train",
    "rows_select",
    "rows_report",
    "classes",
    "started",
    "finished",
    "process",
    "co_residents",
    "attempts",
)
_NEEDED = (
    "parameters",
    "multiply_adds",
    "training_multiply_adds",
    "seconds_training",
    "rows_train",
    "rows_select",
    "rows_report",
    "classes",
)


def flaw(record: TrialRecord) -> str:
    """The first rule that a record breaks, with the value; empty where it breaks none.

    Amounts are not negative and below `LARGEST`; errors and shares lie in [0, 1]; an error is a whole number
    of the rows it is of; another rate is positive and has an error or a reason; epochs are 1, 2, ...; a
    completed trial has all of its recipe's, a stopped one not; a failed trial says why; only a completed one
    is tested and looked at.
    """
    return next(_flaws(record), "")


def _flaws(record: TrialRecord) -> Iterator[str]:
    amounts = [(name, getattr(record, name)) for name in _AMOUNTS]
    amounts += [("trial.number", record.trial.number), ("trial.seed", record.trial.seed)]
    amounts += [("trial.study.seed", record.trial.study.seed)]
    yield from _outside(amounts, LARGEST)
    yield from _outside([("majority_error", record.majority_error)], 1)
    if not 0 < record.device_share <= 1:
        yield f"device_share must be in (0, 1], got {record.device_share}"
    if record.attempts < 1:
        yield f"attempts must be at least 1, got {record.attempts}"
    if len(record.log) > LINES or any(len(line) > CHARACTERS for line in record.log):
        longest = max(map(len, record.log))
        yield (
            f"log holds at most {LINES} lines of at most {CHARACTERS} characters, "
            f"got {len(record.log)} of at most {longest}"
        )
    if not 0 < record.trial.weight < LARGEST:
        yield f"trial.weight must be positive, got {record.trial.weight}"
    if (record.status == "failed") != bool(record.reason):
        yield f"a failed trial says why and no other does, got {record.status}, reason {record.reason[:50]!r}"
    if record.trial.study.task != record.trial.task.name:
        yield f"a trial's task is {record.trial.task.name}, its study says {record.trial.study.task}"
    for name in _NEEDED if record.status != "failed" else ():
        if getattr(record, name) <= 0:
            yield f"{name} must be positive in a trial that ended, got {getattr(record, name)}"
    yield from _epochs(record)
    for i, metrics in enumerate(record.curve):
        yield from _metrics(record, metrics, f"curve[{i}]")
    for i, look in enumerate(record.at_rates):
        yield from _at_rate(record, look, f"at_rates[{i}]")
    if record.status != "completed" and (record.at_rates or record.latency_seconds is not None):
        yield f"only a completed trial is looked at (latency, at_rates), got those of a {record.status} one"
    if record.test is not None:
        if record.status != "completed":
            yield f"only a completed trial is tested, got a test error of a {record.status} one"
        yield from _test(record.test)


def _epochs(record: TrialRecord) -> Iterator[str]:
    numbers, planned = [metrics.epoch for metrics in record.curve], record.trial.recipe.epochs
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"epochs of the curve must be 1, 2, ..., got {str(numbers)[:60]}"
    if record.status == "completed" and len(numbers) != planned:
        yield f"a completed trial has the recipe's {planned} epochs, got {len(numbers)}"
    if record.status == "stopped" and len(numbers) >= planned:
        yield f"a stopped trial has fewer epochs than the recipe's {planned}, got {len(numbers)}"
    if len(numbers) > planned:
        yield f"a trial has at most the recipe's {planned} epochs, got {len(numbers)}"


def _metrics(record: TrialRecord, metrics: EpochMetrics, where: str) -> Iterator[str]:
    names = (
        "select_loss",
        "report_loss",
        "train_loss",
        "seconds_training",
        "seconds_evaluation",
        "seconds_data",
    )
    yield from _outside([(f"{where}.{name}", getattr(metrics, name)) for name in names], LARGEST)
    yield from _counted(f"{where}.select_error", metrics.select_error, record.rows_select)
    yield from _counted(f"{where}.report_error", metrics.report_error, record.rows_report)
    if any(not 0 < taps < LARGEST for layer in metrics.kernel_sizes for taps in layer):
        yield f"{where}.kernel_sizes must be positive, got {str(metrics.kernel_sizes)[:60]}"


def _at_rate(record: TrialRecord, look: AtRate, where: str) -> Iterator[str]:
    if not 0 < look.rate < LARGEST:
        yield f"{where}.rate must be positive, got {look.rate}"
    if (look.error is None) != bool(look.reason):
        yield f"{where} has an error or a reason, got {look.error} and {look.reason[:50]!r}"
    if look.error is not None:
        yield from _counted(f"{where}.error", look.error, record.rows_report)


def _test(test: TestMetrics) -> Iterator[str]:
    yield from _outside([("test.loss", test.loss), ("test.resamples", test.resamples)], LARGEST)
    yield from _outside([("test.balanced_accuracy", test.balanced_accuracy), ("test.auroc", test.auroc)], 1)
    if not 0 < test.rows < LARGEST:
        yield f"test.rows must be positive, got {test.rows}"
    yield from _counted("test.error", test.error, test.rows)
    for name in ("error", "loss", "balanced_accuracy", "auroc"):
        if (found := getattr(test, f"{name}_interval")) is not None:
            bounds = [(f"test.{name}_interval.{end}", getattr(found, end)) for end in ("low", "high")]
            yield from _outside(bounds, LARGEST if name == "loss" else 1)
            if found.low > found.high:
                yield f"test.{name}_interval must have low <= high, got {found.low} and {found.high}"


def _outside(values: list[tuple[str, float | None]], most: float) -> Iterator[str]:
    for name, value in values:
        if value is not None and not 0 <= value <= most:
            yield f"{name} must be in [0, {most:g}], got {str(value)[:30]}"


def _counted(name: str, error: float, rows: int) -> Iterator[str]:
    """An error is the share of `rows` that is wrong."""
    yield from _outside([(name, error)], 1)
    wrong = error * rows
    if abs(wrong - round(wrong)) > 1e-6 * max(rows, 1):
        yield f"{name} must be a share of {rows} rows, got {error:g}, which is {wrong:g} rows"
