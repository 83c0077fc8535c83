"""Records survive JSON unchanged, and what is not a record is refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.architecture import Architecture
from trials import plain, recipe, record, reference

TRIAL = record.Trial(
    study=record.Study(task="leaves@rows=200", space="twin", kind="search", seed=3),
    number=12,
    task=reference.Task(source="../data/leaves", rows=200, fraction=0.25, augment=("crop",)),
    architecture=Architecture.of(
        "flexnet", widths=(8, 16), norm="batch", share=0.5, causal=False, extra=None
    ),
    values={"kernel_1": 5, "share": 0.5, "norm": "batch", "causal": False, "extra": None},
    recipe=recipe.Recipe(per_space=(("twin", 0.01, 0.001),)),
    seed=7,
)
EPOCH = record.EpochMetrics(
    epoch=1,
    train_loss=0.3,
    select_error=0.1,
    select_loss=0.2,
    report_error=0.4,
    report_loss=0.5,
    seconds_training=1.5,
    seconds_evaluation=0.5,
    kernel_sizes=((3, 3), (5, 5)),
)
RECORD = record.TrialRecord(
    trial=TRIAL,
    status="completed",
    curve=(EPOCH,),
    test=record.TestMetrics(error=0.2, loss=1.0, rows=50),
    rows_select=10,
    rows_report=30,
    started=1.0,
    finished=2.0,
)


def test_round_trip_through_json() -> None:
    assert plain.from_plain(record.TrialRecord, json.loads(plain.dumps(RECORD))) == RECORD
    assert plain.dumps(RECORD).endswith("}\n")


@given(
    st.floats(0, 1, allow_nan=False),
    st.integers(1, 10**9),
    st.text(max_size=20),
    st.none() | st.integers(1, 9),
)
def test_any_values_round_trip(error: float, number: int, text: str, rows: int | None) -> None:
    changed = replace(RECORD, reason=text, curve=(replace(EPOCH, select_error=error),) * 2)
    changed = replace(
        changed, trial=replace(TRIAL, number=number, task=replace(TRIAL.task, rows=rows, source=text))
    )
    assert plain.from_plain(record.TrialRecord, json.loads(plain.dumps(changed))) == changed


def test_infinity_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        plain.dumps(replace(RECORD, seconds_setup=float("nan")))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("status",), "done", "TrialRecord.status must be one of completed, stopped, failed, got 'done'"),
        (("trial", "seed"), "7", "TrialRecord.trial.seed must be int"),
        (("trial", "seed"), True, "TrialRecord.trial.seed must be int"),
        (("trial", "study", "kind"), "x", "TrialRecord.trial.study.kind must be one of population"),
        (("trial", "recipe", "epochs"), 1.5, "TrialRecord.trial.recipe.epochs must be int"),
        (("trial", "task", "rows"), "all", "TrialRecord.trial.task.rows must be"),
        (("curve",), {}, "TrialRecord.curve must be"),
        (("curve", 0, "epoch"), None, r"TrialRecord.curve\[0\].epoch must be int"),
        (("curve", 0, "kernel_sizes", 0), [3, "x"], r"kernel_sizes\[0\]\[1\] must be int"),
        (("trial", "architecture"), {"family": 3}, "an architecture must be"),
        (("surprise",), 1, "TrialRecord has no field 'surprise'; it has schema"),
        (("trial", "recipe", "warmup"), 2.0, "warmup in"),
        (("test",), [], "TrialRecord.test must be an object"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[Any, ...], value: object, message: str) -> None:
    data = json.loads(plain.dumps(RECORD))
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        plain.from_plain(record.TrialRecord, data)


def test_a_missing_field_is_named() -> None:
    data = json.loads(plain.dumps(RECORD))
    del data["trial"]["seed"]
    with pytest.raises(ValueError, match=r"TrialRecord\.trial lacks the field 'seed'"):
        plain.from_plain(record.TrialRecord, data)


def test_an_int_is_a_float_where_one_is_expected() -> None:
    @dataclass(frozen=True)
    class Point:
        x: float

    assert plain.from_plain(Point, {"x": 3}) == Point(3.0)
