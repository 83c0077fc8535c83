"""Records that were cut, edited or misplaced: named, left out and counted, or refused; never used unseen."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.efficiency import Comparison, compare_records
from nas.joining import join
from nas.run_directory import RunDirectory
from tests.nas.builders import PLAN
from tests.nas.written import small_run, write
from trials.record import SCHEMA

Data = dict[str, Any]
RECORDS = small_run()
HUGE = 10**400


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return write(tmp_path_factory.mktemp("good") / "run", RECORDS)


def compared(directory: RunDirectory) -> Comparison:
    joined = join([directory])
    return compare_records(joined.records, PLAN, {}, joined.unreadable)


def compared_or_refused(directory: RunDirectory) -> Comparison | str:
    try:
        return compared(directory)
    except ValueError as error:
        return str(error)


def left_out(directory: RunDirectory) -> dict[str, str]:
    return {left.trial: left.reason for left in compared(directory).left_out}


class Changed:
    """A record's file with another content, for as long as the context lasts."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def __enter__(self) -> None:
        self.before = self.path.read_text()
        self.path.write_text(self.text)

    def __exit__(self, *_: object) -> None:
        self.path.write_text(self.before)


def record_of(directory: RunDirectory, trial: str = "digits.twin.population.0.0003") -> Path:
    return directory.path / "trials" / trial / "record.json"


def test_a_whole_run_leaves_nothing_out(good: RunDirectory) -> None:
    comparison = compared(good)
    assert not comparison.left_out and comparison.records == len(RECORDS)
    assert comparison == compare_records(RECORDS, PLAN)


def edit(*path: str | int, to: object) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        inner: Any = data
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to

    return change


def drop(*path: str | int) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        inner: Any = data
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]

    return change


def reverse(data: Data) -> None:
    data["curve"].reverse()


def at_rate(**look: object) -> Callable[[Data], None]:
    return edit("at_rates", to=[{"rate": 2.0, "error": 0.1, "reason": ""} | look])


EDITS: dict[str, tuple[Callable[[Data], None], str]] = {
    "wrong type": (edit("curve", 0, "epoch", to="1"), "epoch must be int"),
    "nan": (edit("seconds_training", to=float("nan")), "NaN is no number"),
    "infinity": (edit("curve", 19, "select_error", to=float("inf")), "Infinity is no number"),
    "negative seconds": (
        edit("seconds_training", to=-1.0),
        "seconds_training must be in [0, 1e+21], got -1.0",
    ),
    "error above 1": (edit("curve", 19, "report_error", to=1.5), "report_error must be in [0, 1], got 1.5"),
    "part of a row": (edit("curve", 19, "select_error", to=0.1234), "must be a share of 400 rows"),
    "other rows": (edit("rows_select", to=7), "select_error must be a share of 7 rows"),
    "unknown field": (edit("accuracy", to=0.9), "has no field 'accuracy'"),
    "unknown inner field": (edit("curve", 0, "f1", to=0.9), "has no field 'f1'"),
    "missing field": (drop("status"), "lacks the field 'status'"),
    "missing cost": (drop("parameters"), "parameters must be positive"),
    "huge float": (edit("seconds_training", to=1e300), "seconds_training must be in"),
    "huge int": (edit("training_multiply_adds", to=HUGE), "training_multiply_adds must be in"),
    "huge int for a float": (edit("started", to=HUGE), "started must be float"),
    "epochs out of order": (reverse, "epochs of the curve must be 1, 2, ..."),
    "an epoch twice": (edit("curve", 4, "epoch", to=4), "epochs of the curve must be 1, 2, ..."),
    "an epoch cut": (drop("curve", 19), "a completed trial has the recipe's 20 epochs, got 19"),
    "stopped at the end": (edit("status", to="stopped"), "a stopped trial has fewer epochs"),
    "failed without a reason": (edit("status", to="failed"), "a failed trial says why"),
    "half a character": (edit("host", to="\ud800"), "cannot be read"),
    "share": (edit("device_share", to=0.0), "device_share must be in (0, 1]"),
    "taps": (edit("curve", 0, "kernel_sizes", to=[[0]]), "kernel_sizes must be positive"),
    "another recipe": (edit("trial", "recipe", "epochs", to=0), "epochs must be at least 1"),
    "another design": (edit("trial", "architecture", "settings", "number", to=77), "architecture is"),
    "settings named as the family": (
        edit("trial", "architecture", "settings", "family", to="x"),
        "not of the trial in design.json",
    ),
    "another seed": (edit("trial", "seed", to=9), "in design.json beside it: seed is 9 and 3 there"),
    "another trial": (edit("trial", "number", to=9), "holds the record of digits.twin.population.0.0009"),
    "another task": (edit("trial", "study", "task", to="mnist5k"), "holds the record of mnist5k.twin"),
    "weight": (edit("trial", "weight", to=-1.0), "trial.weight must be positive"),
    "latency": (edit("latency_seconds", to=-5.0), "latency_seconds must be in [0, 1e+21], got -5.0"),
    "endless latency": (edit("latency_seconds", to=1e300), "latency_seconds must be in"),
    "error at a rate": (at_rate(error=7.0), "at_rates[0].error must be in [0, 1], got 7.0"),
    "part of a row at a rate": (at_rate(error=0.1234), "at_rates[0].error must be a share of 400 rows"),
    "rate": (at_rate(rate=0.0), "at_rates[0].rate must be positive, got 0.0"),
    "neither error nor reason": (at_rate(error=None), "at_rates[0] has an error or a reason, got None"),
    "error and reason": (at_rate(reason="late"), "at_rates[0] has an error or a reason, got 0.1 and 'late'"),
    "looked at though it failed": (
        lambda data: data.update(status="failed", reason="broke", latency_seconds=0.1),
        "only a completed trial is looked at",
    ),
    "schema 1": (edit("schema", to=1), "has schema 1, this version reads"),
    "a later schema": (edit("schema", to=SCHEMA + 1), f"has schema {SCHEMA + 1}, this version reads"),
    "schema x": (edit("schema", to="x"), "has schema x, this version reads"),
    "no schema": (drop("schema"), "has schema None, this version reads"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_record_is_named_with_the_rule_and_left_out(good: RunDirectory, name: str) -> None:
    change, said = EDITS[name]
    path = record_of(good)
    data = json.loads(path.read_text())
    change(data)
    with Changed(path, json.dumps(data)):
        comparison = compared(good)
    (left,) = comparison.left_out
    assert left.trial == path.parent.name and said in left.reason
    assert str(good.path) not in left.reason
    assert "\n" not in left.reason and len(left.reason) < 700
    without = [record for record in RECORDS if record.trial.id != left.trial]
    assert comparison.tasks == compare_records(without, PLAN).tasks
    assert comparison.records == len(RECORDS)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, '{"schema": 1' + "0" * 5000 + "}"]
)
def test_a_file_that_is_no_record_is_named(good: RunDirectory, text: str) -> None:
    with Changed(record_of(good), text):
        assert list(left_out(good)) == [record_of(good).parent.name]


def test_bytes_that_are_no_text_are_named(good: RunDirectory) -> None:
    path = record_of(good)
    text = path.read_text()
    path.write_bytes(b"\xff\xfe")
    assert "cannot be read" in left_out(good)[path.parent.name]
    path.write_text(text)


def test_a_record_of_schema_2_counts_as_it_did(good: RunDirectory) -> None:
    """It knew no weight, no source and no way of carrying a design; its design.json neither."""
    path = record_of(good)
    data = json.loads(path.read_text())
    data["schema"] = 2
    del data["trial"]["weight"], data["trial"]["study"]["source"], data["trial"]["study"]["by"]
    design = path.with_name("design.json")
    with Changed(path, json.dumps(data)), Changed(design, json.dumps(data["trial"])):
        comparison = compared(good)
    assert not comparison.left_out and comparison.tasks == compare_records(RECORDS, PLAN).tasks


def test_a_design_that_cannot_be_read_leaves_its_record_out(good: RunDirectory) -> None:
    design = record_of(good).with_name("design.json")
    for text in ("{", "{}"):
        with Changed(design, text):
            assert "design.json" in left_out(good)[design.parent.name]


def test_a_copy_of_a_trial_under_another_name_counts_once(good: RunDirectory) -> None:
    trial = record_of(good).parent
    for copied in (trial.with_name("copy"), trial.with_name(f"{trial.name}0")):
        shutil.copytree(trial, copied)
        comparison = compared(good)
        shutil.rmtree(copied)
        assert [left.trial for left in comparison.left_out] == [copied.name]
        assert comparison.tasks == compare_records(RECORDS, PLAN).tasks


def test_the_best_of_a_search_cut_takes_its_finalists_along(good: RunDirectory) -> None:
    """The next best was not what was selected, so the search has no finalist."""
    best = "digits.twin.search.0.0004"
    with Changed(record_of(good, best), "{"):
        reasons = left_out(good)
    finalists = [f"digits.twin.finalist.0.000{i}" for i in (0, 1)]
    assert sorted(reasons) == sorted([best, *finalists])
    assert all(reasons[each] == f"selected from {best}, which has no record here" for each in finalists)


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths to everything in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from leaves(inner, (*path, name))


JUNK = ("x", "", None, True, -1, -0.5, 1.5, 2, HUGE, 1e308, float("nan"), [], {}, [[]], {"a": 1}, "\ud800")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_one_value_is_changed_to_no_number_rests_on_it_unseen(good: RunDirectory, seed: int) -> None:
    """Named and left out, or the comparison refused in one line, or all results are as before.

    The exceptions are provenance (where, when, with what) and what may lawfully be another number: a cost, a
    loss, the taps, another rate. There a number in range cannot be told from the true one.
    """
    rng = random.Random(seed)
    lawful = ("seconds", "loss", "started", "finished", "kernel_sizes", "joules", "peak_", "parameters")
    lawful += ("training_", "multiply_adds", "process", "resamples", "auroc", "balanced_accuracy", "interval")
    usual = compare_records(RECORDS, PLAN).tasks
    for _ in range(60):
        path = rng.choice(sorted(good.path.glob("trials/*/record.json")))
        data = json.loads(path.read_text())
        where = rng.choice([each for each in leaves(data) if each])
        changed, junk = copy.deepcopy(data), rng.choice(JUNK)
        edit(*where, to=junk)(changed)
        with Changed(path, json.dumps(changed)):
            comparison = compared_or_refused(good)
        if isinstance(comparison, str):
            assert comparison and "\n" not in comparison
            continue
        named = [left.trial for left in comparison.left_out]
        if path.parent.name in named or comparison.tasks == usual:
            continue
        if where[0] == "at_rates" and where[-1] in ("at_rates", "rate"):
            continue
        assert any(word in str(step) for step in where for word in lawful), (path.parent.name, where, junk)


@pytest.mark.parametrize("seed", range(2))
def test_a_record_cut_anywhere_is_left_out(good: RunDirectory, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        path = rng.choice(sorted(good.path.glob("trials/*/record.json")))
        text = path.read_text()
        with Changed(path, text[: rng.randrange(len(text) - 2)]):
            assert path.parent.name in left_out(good)
