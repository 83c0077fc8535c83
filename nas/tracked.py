"""What MLflow is to show of a trial, as names and numbers: follows from the trial and its record alone.

So what was logged while a run went on and what is rebuilt from its records are the same.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from nas.reading import Found
from nas.run_directory import RunInfo, RunTask
from search_spaces.architecture import Option
from search_spaces.complexity import initial_taps, parts
from search_spaces.parts import Convolution
from trials.record import EpochMetrics, Study, TestMetrics, Trial, TrialRecord

ALL_EPOCHS = 1000
"""Of a longer curve every second of the next thousand epochs is shown, every fourth of the next two, ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """What the parent run of a study shows once trials of it have ended.

    Attributes:
        trials, failed: that have ended, and how many of them failed.
        best: id of the trial with the smallest select error; empty if none has one.
        select_error: of that trial.
        finished: Unix time at which the last one ended.
        done: whether every planned trial has ended.
    """

    study: Study
    trials: int
    failed: int
    best: str
    select_error: float
    finished: float
    done: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """What is shown when a run ends, or is interrupted.

    Attributes:
        studies: that have records.
        chosen: trials whose designs became finalists.
        files: artifacts of the summary run, by path.
        began, finished: Unix times of the first trial's start and of the last one's end.
        done: whether every planned trial has ended.
    """

    studies: tuple[StudySummary, ...]
    chosen: frozenset[str]
    files: Mapping[str, bytes]
    began: float
    finished: float
    done: bool


def closing(found: Found, planned: Mapping[str, int], files: Mapping[str, bytes]) -> Closing:
    """Of a run as its directory has it.

    Args:
        found: its trials and records, at least one.
        planned: trials of each study by its name; of one that is not in it there are as many as records.
        files: of the report.
    """
    studies = summaries(found.records, planned)
    there = {each.study.name for each in studies}
    finalists = (r.trial for r in found.records if r.trial.study.kind == "finalist")
    return Closing(
        studies=tuple(studies),
        chosen=frozenset(trial.selected_from for trial in finalists if trial.selected_from),
        files=files,
        began=min(record.started for record in found.records),
        finished=max(record.finished for record in found.records),
        done=all(each.done for each in studies) and planned.keys() <= there,
    )


def summaries(records: Sequence[TrialRecord], planned: Mapping[str, int]) -> list[StudySummary]:
    """One for each study, by name.

    Args:
        records: of the run.
        planned: trials of each study by its name; of one that is not in it there are as many as records.
    """
    found: dict[Study, list[TrialRecord]] = {}
    for record in records:
        found.setdefault(record.trial.study, []).append(record)
    return [_summary(study, found[study], planned) for study in sorted(found, key=lambda each: each.name)]


def _summary(study: Study, records: list[TrialRecord], planned: Mapping[str, int]) -> StudySummary:
    best = min(records, key=lambda record: (record.select_error, record.trial.number))
    return StudySummary(
        study=study,
        trials=len(records),
        failed=sum(record.status == "failed" for record in records),
        best=best.trial.id if math.isfinite(best.select_error) else "",
        select_error=best.select_error,
        finished=max(record.finished for record in records),
        done=len(records) >= planned.get(study.name, len(records)),
    )


def summary_tags(found: StudySummary) -> dict[str, str]:
    """Of the parent run: tags, since they change while the study grows."""
    tags = {"nas.trials": str(found.trials), "nas.failed": str(found.failed)}
    if found.best:
        tags |= {"nas.best": found.best, "nas.best_select_error": f"{found.select_error:.6g}"}
    return tags


def study_tags(study: Study) -> dict[str, str]:
    """What all runs of a study share."""
    tags = {
        "nas.task": study.task,
        "nas.space": study.space,
        "nas.kind": study.kind,
        "nas.seed": str(study.seed),
        "nas.study": study.name,
    }
    return {**tags, "nas.source": study.source, "nas.by": study.by} if study.source else tags


def trial_tags(trial: Trial) -> dict[str, str]:
    """Of a trial, from its start on."""
    return {
        **study_tags(trial.study),
        "nas.level": "trial",
        "nas.finalist": str(trial.study.kind == "finalist").lower(),
        "nas.design": trial.architecture.id,
        "nas.architecture": trial.architecture.to_json(),
    }


def record_tags(record: TrialRecord) -> dict[str, str]:
    """Of a trial that has ended."""
    tags = {
        "nas.status": record.status,
        "nas.commit": record.commit,
        "nas.device": record.device,
        "nas.host": record.host,
        "nas.software": record.software,
    }
    return {name: text for name, text in tags.items() if text} | (
        {"nas.reason": record.reason} if record.reason else {}
    )


def parameters(trial: Trial, info: RunInfo | None) -> dict[str, Option]:
    """Flat parameters: the trial's place, its design as numbers, its choices, its recipe.

    ``depth`` is the number of convolutions wider than 1, ``width`` the channels of the widest one,
    ``kernel_1``, ``kernel_2``, ... their taps along the longest axis before training, ``learned_kernels`` how
    many of them learn their size, ``bits`` the logarithm to base 2 of the number of designs in the space.

    Args:
        trial: the trial.
        info: of the run; without it, and in a run that does not know the task, the design has no numbers.
    """
    study = trial.study
    values: dict[str, Option] = {"task": study.task, "space": study.space, "kind": study.kind}
    values |= {"number": trial.number, "seed": trial.seed, "family": trial.architecture.family}
    values |= _design(trial, info)
    values |= {f"choice_{_key(name)}": value for name, value in trial.values.items()}
    recipe = {each.name: getattr(trial.recipe, each.name) for each in fields(trial.recipe)}
    del recipe["per_space"]  # its numbers are put in
    values |= {"recipe": recipe.pop("name"), **recipe, "augmentation": _joined(trial.recipe.augmentation)}
    if trial.selected_from:
        values["selected_from"] = trial.selected_from
    return values


def record_parameters(record: TrialRecord) -> dict[str, Option]:
    """What is only known once a trial has ended."""
    return {"augmentation_applied": _joined(record.augmentation)}


def run_task(name: str, info: RunInfo | None) -> RunTask | None:
    """A task of the run, by its name in records."""
    return next((task for task in (info.tasks if info else ()) if task.name == name), None)


def _design(trial: Trial, info: RunInfo | None) -> dict[str, Option]:
    task = run_task(trial.study.task, info)
    if info is None or task is None:
        return {}
    try:
        every = parts(trial.architecture, task.shape)
    except ValueError:  # a broken design has failed, and says why
        return {}
    convolutions = [part for part in every if isinstance(part, Convolution)]
    values: dict[str, Option] = {"depth": len(convolutions)}
    values["learned_kernels"] = sum(part.function is not None for part in convolutions)
    values["width"] = max((part.outputs for part in convolutions), default=0)
    for number, part in enumerate(convolutions, start=1):
        values[f"kernel_{number}"] = max(initial_taps(part))
    here = (space for space in info.spaces if (space.task, space.name) == (task.name, trial.study.space))
    if (space := next(here, None)) is not None and space.designs > 0:
        values["bits"] = round(math.log2(space.designs), 2)
    return values


def shown(curve: Sequence[EpochMetrics], ended: bool) -> list[EpochMetrics]:
    """The epochs of a curve, or of a part of one, that MLflow gets.

    Args:
        curve: epochs in their order.
        ended: whether the curve is whole: then its last epoch and its best one are among them.
    """
    found = {each.epoch: each for each in curve if each.epoch % _every(each.epoch) == 0}
    if ended and curve:
        best = min(curve, key=lambda each: each.select_error)
        found |= {each.epoch: each for each in (best, curve[-1])}
    return [found[epoch] for epoch in sorted(found)]


def _every(epoch: int) -> int:
    return 1 << (epoch // ALL_EPOCHS).bit_length()


def point(metrics: EpochMetrics, started: float) -> tuple[int, dict[str, float]]:
    """Unix milliseconds of an epoch, and its metrics.

    The last one is ``epoch``: where it is, the others are too.
    """
    spent = metrics.seconds_data + metrics.seconds_training + metrics.seconds_evaluation
    values = {
        "train_loss": metrics.train_loss,
        "select_error": metrics.select_error,
        "select_loss": metrics.select_loss,
        "report_error": metrics.report_error,
        "report_loss": metrics.report_loss,
    }
    for number, size in enumerate(metrics.kernel_sizes, start=1):
        values[f"taps_{number}"] = float(max(size))
    values |= dict(_load(metrics))
    return round((metrics.at or started + spent) * 1000), {**values, "epoch": float(metrics.epoch)}


def _load(metrics: EpochMetrics) -> Iterator[tuple[str, float]]:
    """As MLflow names system metrics, which it shows apart from the others."""
    if (load := metrics.load) is None:
        return
    yield "system/processors", load.processors
    yield "system/memory_megabytes", load.memory_bytes / 2**20
    if load.host is not None:
        yield "system/host_load", load.host
    if load.device_bytes is not None:
        yield "system/device_memory_megabytes", load.device_bytes / 2**20
    if load.device_busy is not None:
        yield "system/device_utilization_percentage", 100 * load.device_busy


def final(record: TrialRecord) -> dict[str, float]:
    """Metrics of a trial that has ended, apart from its curve."""
    values = {
        "parameters": float(record.parameters),
        "multiply_adds": float(record.multiply_adds),
        "training_multiply_adds": float(record.training_multiply_adds),
        "training_executed": record.training_executed,
        "seconds": record.seconds,
        "seconds_setup": record.seconds_setup,
        "seconds_data": record.seconds_data,
        "seconds_training": record.seconds_training,
        "seconds_evaluation": record.seconds_evaluation,
        "seconds_waiting": record.seconds_waiting,
        "peak_memory_mb": record.peak_memory_bytes / 2**20,
        "device_share": record.device_share,
        "attempts": float(record.attempts),
    }
    if record.peak_device_bytes is not None:
        values["peak_device_bytes"] = float(record.peak_device_bytes)
    if record.status != "failed" and record.curve:
        values["error"] = record.error
    for name in ("joules", "latency_seconds"):
        if (value := getattr(record, name)) is not None:
            values[name] = value
    for look in record.at_rates:
        if look.error is not None:
            values[f"report_error_at_rate_{look.rate:g}"] = look.error
    if record.test is not None:
        values |= _test(record.test)
    return values


def _test(found: TestMetrics) -> dict[str, float]:
    """Every metric that is there, and the ends of its interval."""
    values: dict[str, float] = {}
    for name in ("error", "loss", "balanced_accuracy", "auroc"):
        if (value := getattr(found, name)) is not None:
            values[f"test_{name}"] = value
        if (interval := getattr(found, f"{name}_interval")) is not None:
            values |= {f"test_{name}_low": interval.low, f"test_{name}_high": interval.high}
    return values


def _key(name: str) -> str:
    """A name that MLflow takes for a parameter; another one for each."""
    clean = re.sub(r"[^\w.\- ]", "_", name)[:200]
    return clean if clean == name else f"{clean}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _joined(words: tuple[str, ...]) -> str:
    return "+".join(words) or "none"
