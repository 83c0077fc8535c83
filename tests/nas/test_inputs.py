"""The hash of what a report was made from: of the content, not of its order; anyone can compute it."""

from __future__ import annotations

import hashlib
import json
import random
import shlex
from dataclasses import replace
from pathlib import Path

from nas.comparison import compare
from nas.inputs import compare_command, inputs_hash
from nas.run_directory import RunDirectory, RunInfo, RunSpace
from tests.nas.builders import PLAN, population, seeds
from tests.nas.runs import begun
from trials.plain import dumps
from trials.recipe import STANDARD

RECORDS = seeds([0.1, 0.11, 0.12]) + population([0.1 + i / 100 for i in range(10)])
SIZES = {("digits", "twin"): 10, ("digits", "flexconv"): 1}


def test_the_order_does_not_matter_and_everything_else_does() -> None:
    found = inputs_hash(RECORDS, PLAN, SIZES)
    mixed = random.Random(0).sample(RECORDS, len(RECORDS))
    assert inputs_hash(mixed, PLAN, dict(reversed(SIZES.items()))) == found
    others = {
        inputs_hash(RECORDS[1:], PLAN, SIZES),
        inputs_hash([replace(RECORDS[0], seconds_training=10.1), *RECORDS[1:]], PLAN, SIZES),
        inputs_hash(RECORDS, replace(PLAN, margin_points=2.0), SIZES),
        inputs_hash(RECORDS, PLAN, {}),
    }
    assert len(others | {found}) == 5


def test_the_documented_recipe_gives_the_hash_of_the_report(tmp_path: Path) -> None:
    directory = begun(tmp_path / "small-1")
    spaces = tuple(
        RunSpace(task=task, reference=name, name=name, designs=size) for (task, name), size in SIZES.items()
    )
    info = RunInfo(
        id="0", created=0.0, version="0", tracking_uri=None, recipe=STANDARD, tasks=(), spaces=spaces
    )
    directory.put("run.json", dumps(info))
    for record in RECORDS:
        directory.put_record(record)
    compare(directory.path)
    report = json.loads((directory.path / "report.json").read_text())

    def line(value: object) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    run = json.loads((directory.path / "run.json").read_text())
    sizes = [[space["task"], space["name"], space["designs"]] for space in run["spaces"]]
    records = [json.loads(path.read_text()) for path in directory.path.glob("trials/*/record.json")]
    text = "\n".join([line(report["plan"]), *sorted(map(line, sizes)), *sorted(map(line, records))])
    assert hashlib.sha256(text.encode()).hexdigest() == report["run"]["inputs"]
    for name in ("report.md", "report.html"):
        assert report["run"]["inputs"] in (directory.path / name).read_text()
    assert report["run"]["command"] == "nas compare small-1" and report["schema"] == 1
    assert str(tmp_path) not in (directory.path / "report.html").read_text()


def test_the_command_names_directories_and_not_where_they_are(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b $(c) 'd'"]
    command = compare_command([RunDirectory(path).name for path in paths])
    assert shlex.split(command) == ["nas", "compare", "a", "b $(c) 'd'"]
