"""`nas compare` on a run that is still going: works, says how far it is, leaves the run alone."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from nas.cli import app
from nas.comparison import compare
from nas.run_directory import RunDirectory
from tests.nas.builders import population, record, seeds
from tests.nas.runs import SMALL, TRIALS, begun, drive, schedule_of

RECORDS = seeds([0.1 + i / 400 for i in range(5)]) + population([0.1 + i / 400 for i in range(55)])
PLANNED = {"digits.flexconv.population.0": 5, "digits.twin.population.0": 55}


def test_it_can_be_compared_while_trials_end(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    counts: list[int] = []
    directory.put_planned(PLANNED)

    def go() -> None:
        for each in RECORDS:
            directory.put_trial(each.trial)
            directory.put_record(each)
            time.sleep(0.02)

    compare(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["run"]["ended"], report["run"]["planned"]) == (0, 60)
    run = threading.Thread(target=go)
    run.start()
    while run.is_alive():
        assert compare(tmp_path).records <= 60
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["left_out"] == []
        counts.append(report["run"]["ended"])
        page = (tmp_path / "report.html").read_text()
        assert (f"Unfinished run: {counts[-1]} of 60 planned trials" in page) == (counts[-1] < 60)
    run.join()
    assert counts == sorted(counts) and len(counts) > 1
    written = {path.parent.name: path.read_bytes() for path in tmp_path.glob("trials/*/record.json")}
    compare(tmp_path)
    assert len(written) == 60 and not list(tmp_path.glob("**/.*.json*"))
    assert written == {path.parent.name: path.read_bytes() for path in tmp_path.glob("trials/*/record.json")}
    assert "Unfinished" not in (tmp_path / "report.html").read_text()


def test_the_command_says_how_far_the_run_is(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.put_planned(PLANNED)
    directory.put_record(record())
    done = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "Unfinished run: 1 of 60 planned trials have ended" in done.output


def test_trials_added_by_hand_do_not_count_as_planned(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.put_planned({"digits.flexconv.population.0": 2, "digits.twin.population.0": 1})
    for each in (*seeds([0.1, 0.1, 0.1]), record(number=0), record(number=7)):
        directory.put_record(each)
    compare(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["run"]["ended"], report["run"]["planned"], report["records"]) == (3, 3, 5)


def test_a_run_writes_what_it_plans_before_its_first_trial_and_when_the_plan_shrinks(tmp_path: Path) -> None:
    schedule = schedule_of(SMALL, tmp_path)
    assert sum(RunDirectory(tmp_path).planned().values()) == TRIALS == schedule.total
    drive(schedule, until=lambda trial: trial.study.kind == "search")
    compare(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert f"Unfinished run: {schedule.ended} of {TRIALS} planned trials have ended" in page
    searched = replace(schedule.config, search_trials=1)
    failing = schedule_of(searched, tmp_path / "failing")
    reasons = (f"no {letter}" for letter in itertools.cycle("ab"))
    while (trial := failing.next(0)) is not None and trial != "wait":
        failing.finish(0, replace(record(), trial=trial, status="failed", curve=(), reason=next(reasons)))
    assert sum(failing.directory.planned().values()) == failing.total == failing.ended
    assert 0 not in failing.directory.planned().values()  # finalists that no search is there for


def test_a_run_that_cannot_say_what_it_planned_is_compared_all_the_same(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.put_record(record())
    for text in (None, "[1, 2]", '{"a": 1', '{"a": "b"}'):
        if text is not None:
            (tmp_path / "planned.json").write_text(text)
        compare(tmp_path)
        assert "Unfinished" not in (tmp_path / "report.md").read_text()
