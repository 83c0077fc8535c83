"""A small run as files: what reading and the command are tested on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from tests.nas.builders import design, population, record, seeds
from trials.plain import dumps
from trials.record import AtRate, TrialRecord

CONFIG = SearchConfig(name="written", tasks=("digits",), population=12, repeats=2, seeds=3)


def small_run(task: str = "digits") -> list[TrialRecord]:
    """Designs and repeats, a failure, seeds, a search, finalists. Errors are of whole rows."""
    errors = [(40 + 4 * i) / 400 for i in range(11)]
    found = population([*errors, math.inf], task=task)
    found += [
        record("twin", 12 + i, errors[i] + 2 / 400, task=task, architecture=design(i)) for i in range(2)
    ]
    for space, level in (("flexconv", 36), ("twin_3x3", 48), ("twin_7x7", 44)):
        found += seeds([(level + i) / 400 for i in range(3)], space, task=task)
    searched = [
        record(
            "twin",
            i,
            (60 - 3 * i) / 400,
            task=task,
            kind="search",
            status="stopped" if i == 2 else "completed",
            architecture=design(100 + i),
        )
        for i in range(5)
    ]
    best = searched[-1].trial
    found += searched
    found += [
        record(
            "twin",
            i,
            50 / 400,
            task=task,
            kind="finalist",
            seed=100 + i,
            architecture=best.architecture,
            selected_from=best.id,
            test_error=0.1 + i / 500,
        )
        for i in range(2)
    ]
    looks = (AtRate(rate=0.5, error=60 / 400), AtRate(rate=2.0, error=None, reason="out of memory"))
    return found + [
        replace(
            record(
                "flexconv",
                i,
                36 / 400,
                task=task,
                kind="finalist",
                seed=100 + i,
                architecture=design(0, "flexconv"),
                test_error=0.09 + i / 500,
            ),
            latency_seconds=0.002,
            at_rates=looks,
        )
        for i in range(2)
    ]


def write(path: Path, records: Iterable[TrialRecord], config: SearchConfig = CONFIG) -> RunDirectory:
    """A run directory that holds these records, and each trial's design."""
    directory = RunDirectory(path)
    directory.put("config.json", dumps(config))
    (path / "trials").mkdir(parents=True, exist_ok=True)
    for each in records:
        directory.put_trial(each.trial)
        directory.put_record(each)
    return directory
