"""What docs/results publishes: plans that open, jobs that can be run as they are, reports that come again."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from scipy import stats

from docs.results import make
from docs.results.tables import efficiencies, longer, samplers, summary
from nas import compare
from nas.efficiency import compare_records
from nas.efficiency.words import percent, signed
from nas.presets import load
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces import complexity
from search_spaces.lookup import lookup
from search_spaces.space import TaskShape
from tests.nas.builders import PLAN, full_run
from tests.nas.test_cli import nas
from tests.nas.written import CONFIG, small_run, write
from tests.trials.tables import image_table
from tests.trials.tables import write as write_table
from trials.plain import dumps, from_plain
from trials.recipe import STANDARD
from trials.record import Trial, TrialRecord
from trials.reference import Task

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
PLANS = ("primary", "data_efficiency", "random_search", "tpe_search", "asha_search")


def of_file(file: str, name: str) -> Any:
    """What a script of docs/results defines."""
    return lookup("script", f"{RESULTS / file}:{name}", {})


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_can_be_asked_for_as_its_docstring_says(name: str) -> None:
    config = load(f"{RESULTS / 'plans.py'}:{name}")
    assert config.name == name and not any(task.name.startswith("digits") for task in config.the_tasks())


def test_job_files_are_what_their_script_writes(tmp_path: Path) -> None:
    sets = of_file("jobs.py", "SETS")
    write: Callable[[Path], None] = of_file("jobs.py", "write")
    write(tmp_path)
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.json")}
    there = {path.relative_to(RESULTS / "jobs"): path.read_text() for path in RESULTS.rglob("jobs/*/*.json")}
    assert written == there and len({path.parent for path in there}) == len(sets)
    designs = {path: text for path, text in there.items() if path.name != "plan.json"}
    for path, text in designs.items():
        trial = from_plain(Trial, json.loads(text), str(path))
        assert complexity(trial.architecture, sets[path.parent.name].shape).parameters < 1e8


def small(job: Path, to: Path) -> None:
    """The same trial, one epoch."""
    content = json.loads(job.read_text())
    content["recipe"]["epochs"] = 1
    to.write_text(json.dumps(content))


@pytest.mark.slow
def test_a_set_of_jobs_is_trained_once_and_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"{part}.parquet": image_table(200, size=(32, 32), mode="RGB") for part in ("train", "test")}
    for name, table in images.items():
        write_table(tmp_path / "data" / "cifar10_jpeg" / name, table)
    checkout = tmp_path / "checkout"
    jobs = checkout / "docs" / "results" / "jobs"
    (jobs / "cifar10").mkdir(parents=True)
    for package in ("trials", "search_spaces"):
        (checkout / package).symlink_to(ROOT / package)
    (jobs / "run.sh").write_bytes((RESULTS / "jobs" / "run.sh").read_bytes())
    (jobs / "cifar10" / "plan.json").write_bytes((RESULTS / "jobs" / "cifar10" / "plan.json").read_bytes())
    for name in ("flexnet_7_3x3", "twin.1"):
        small(RESULTS / "jobs" / "cifar10" / f"{name}.json", jobs / "cifar10" / f"{name}.json")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "NAS_DATA": str(tmp_path / "data"),
            "PYTHON": sys.executable,
        }
        command = ["sh", str(jobs / "run.sh"), *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)

    first = run("cifar10")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("completed") == 4  # three seeds and the twin
    again = run("cifar10")
    assert again.returncode == 0 and again.stdout.count("is there, completed; remove") == 4
    (task,) = compare(tmp_path / "runs" / "cifar10").tasks
    assert [space.designs for space in task.spaces] == [1]
    monkeypatch.setattr(make, "HERE", tmp_path / "results")
    monkeypatch.setattr(make, "RECORDS", tmp_path / "results" / "records")
    make.report(make.pack(tmp_path / "runs" / "cifar10"))
    assert "flexnet_7_3x3" in (tmp_path / "results" / "cifar10" / "report.md").read_text()
    assert run("mnist").returncode == 2


def test_the_summary_has_a_row_for_each_dataset() -> None:
    """Against the comparison: what a cell says is what the report says."""
    comparison = compare_records(full_run(), PLAN)
    text = summary({"primary": comparison, "random_search": comparison}, {"primary": "Half of it."})
    assert "`primary`" in text and text.count("Half of it.") == 1
    for task in comparison.tasks:
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {task.dataset} "))
        assert task.single is not None and f"{percent(task.single.report_error)} ± " in row
        assert row.rstrip(" |").endswith(task.verdict)
    assert "| symmetry | not yet measured |" in text and "| data | error along" in text
    assert text.count("random_search, ") == len(comparison.tasks)


def test_splits_of_a_dataset_are_one_row_and_its_default_is_chosen_by_select_error() -> None:
    """Two splits of digits, and two tasks of it that differ in their training rows."""
    records = full_run(("digits",))
    better = [r for r in records if r.trial.study.space == "twin_7x7"]  # by select error alone
    records = [
        replace(r, curve=tuple(replace(m, select_error=0.01, report_error=0.5) for m in r.curve))
        if r in better
        else r
        for r in records
    ]

    def also(**task: Any) -> list[TrialRecord]:
        moved = []
        for record in records:
            trial = record.trial
            other = replace(trial.task, **task)
            study = replace(trial.study, task=other.name)
            chosen = trial.selected_from and trial.selected_from.replace("digits", other.name, 1)
            moved.append(replace(record, trial=replace(trial, task=other, study=study, selected_from=chosen)))
        return moved

    text = summary({"primary": compare_records(records + also(split=1), PLAN)}, {})
    (row,) = (line for line in text.splitlines() if line.startswith("| digits, 2 splits "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    (one,) = compare_records(records, PLAN).tasks
    assert one.single is not None and one.single.report_error is not None and one.spaces[0].gain is not None
    each = percent(one.single.report_error)
    assert cells[2] == f"{each} [{each}, {each}] (n = 5 each)"
    assert "(n = 20 of 100)" in cells[3]
    assert cells[5] == signed(one.spaces[0].gain, "better", "worse")
    assert cells[6] == "50.0 % [50.0 %, 50.0 %] (n = 5 each), twin_7x7"
    assert cells[-1] == f"{one.verdict}: 2"
    recipe = replace(STANDARD, epochs=4 * STANDARD.epochs)
    long = [
        replace(r, trial=replace(r.trial, recipe=recipe, study=replace(r.trial.study, kind="long")))
        for r in records
        if r.trial.study.kind == "population" and r.trial.study.space == "flexconv"
    ]
    long = [
        replace(r, curve=(*r.curve[:-1], *(replace(r.curve[-1], epoch=i) for i in range(20, 81))))
        for r in long
    ]
    text = longer(compare_records(records + long, PLAN))
    assert f"| {each} → {each} |" in text and "at 20 → 80 epochs: means over 5 seeds" in text
    shares = compare_records(also(fraction=0.1) + also(fraction=0.5), PLAN)
    (row,) = (line for line in efficiencies(shares, shares).splitlines() if "FlexConv (seeds)" in line)
    assert row.count(each) == 2


def test_samplers_are_compared_with_chance_on_test() -> None:
    """Searches that are two points worse on test, whatever the scatter of theirs."""
    records = full_run(("digits",))
    worse = [replace(r, test=replace(r.test, error=r.test.error + 0.02)) if r.test else r for r in records]
    by_chance, tpe = compare_records(records, PLAN), compare_records(worse, PLAN)
    (row,) = (
        line
        for line in samplers({"random_search": by_chance, "tpe_search": tpe}).splitlines()
        if "tpe" in line
    )
    found = re.search(r"2\.0 points worse \[(.+), (.+)\]", row)
    (sd,) = (each.test_sd for each in tpe.tasks[0].finalists if each.space == "twin")
    assert found is not None and sd is not None
    half = stats.t.ppf(0.975, 4) * sd * math.sqrt(2 / 3)
    assert [float(each) for each in found.groups()] == pytest.approx(
        [2 - 100 * half, 2 + 100 * half], abs=0.06
    )


def test_reports_of_packed_records_come_again_and_name_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path / "results")
    monkeypatch.setattr(make, "RECORDS", tmp_path / "results" / "records")
    (tmp_path / "results").mkdir()
    run = tmp_path / "one"
    places = f"{ROOT}/nas/search.py", str(tmp_path / "data" / "leaves")
    records = [
        replace(r, host=f"node-{i % 2}", log=(places[0], "on node-1")) for i, r in enumerate(small_run())
    ]
    write(run, records)
    shape = TaskShape(extent=(8, 8), channels=1, classes=10)
    task = RunTask(task=Task(source=places[1]), shape=shape, mean=(0.0,), std=(1.0,), digest="")
    info = RunInfo(
        id="0",
        created=0.0,
        version="0",
        tracking_uri="http://user@mlflow:5000",
        recipe=CONFIG.the_recipe(),
        tasks=(task,),
        spaces=(),
    )
    (run / "run.json").write_text(dumps(info))
    (run / "planned.json").write_text("{}")
    packed = make.pack(run)
    content = {row["name"]: row["content"] for row in pq.read_table(packed).to_pylist()}
    private = ("node-", str(ROOT), "mlflow:5000", str(tmp_path))
    assert not [name for name, text in content.items() for word in private if word in text]
    hosts = {json.loads(text)["host"] for name, text in content.items() if name.endswith("record.json")}
    assert hosts == {"host-1", "host-2"} and len(content) == 3 + 2 * len(records)
    made = [tmp_path / "results" / "one" / name for name in make.KEPT]
    made.append(tmp_path / "results" / "summary.md")
    make.reports()
    first = {path.name: path.read_bytes() for path in made}
    make.reports()
    assert first == {path.name: path.read_bytes() for path in made}
    assert "- `one`: " in first["summary.md"].decode()
    compare(run)
    rows = [line for line in (run / "report.md").read_text().splitlines() if line.startswith("|")]
    assert rows == [line for line in first["report.md"].decode().splitlines() if line.startswith("|")]


def told(record: TrialRecord) -> object:
    """What is published of a record to the last digit."""
    errors = [(metrics.select_error, metrics.report_error) for metrics in record.curve]
    return record.trial, record.status, record.test, record.attempts, record.commit, errors


@pytest.mark.slow
def test_published_records_can_be_gone_on_with_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "RECORDS", tmp_path / "records")
    fields = {"rows": 200, "epochs": 1, "population": 4, "repeats": 0, "seeds": 2, "search_seeds": 0}
    fields |= {"finalist_seeds": 1, "max_trials": 3}
    common = ["run", "smoke", "--tasks", "digits", "--spaces", "flexconv,twin", "--resume"]

    def run(to: Path, **more: int) -> subprocess.CompletedProcess[str]:
        settings = [each for name, value in (fields | more).items() for each in ("--set", f"{name}={value}")]
        return nas(*common, *settings, "--set", "defaults=", "--run-dir", str(to))

    first, second = tmp_path / "one" / "half", tmp_path / "two" / "half"
    assert "the budget max_trials=3 is spent" in run(first).stdout
    begun = {record.trial.id: record for record in RunDirectory(first).read_records()[0]}
    assert len(begun) == 3
    make.unpack(make.pack(first), second)
    with pytest.raises(ValueError, match="is there"):
        make.unpack(make.RECORDS / "half.parquet", second)
    done = run(second, max_trials=100)
    assert done.returncode == 0, done.stderr
    ended = {record.trial.id: record for record in RunDirectory(second).read_records()[0]}
    assert len(ended) > 5
    assert list(map(told, map(ended.__getitem__, begun))) == list(map(told, begun.values()))


def test_published_reports_follow_from_published_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path)
    make.reports()
    for path in tmp_path.rglob("*.md"):  # in the pages, the last digits of a figure may differ by processor
        assert (RESULTS / path.relative_to(tmp_path)).read_bytes() == path.read_bytes(), path.name
