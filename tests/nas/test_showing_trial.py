"""One trial as `nas show` prints it: ended, failed, unfinished, unknown."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nas.run_directory import RunDirectory
from nas.showing_trial import one_trial
from tests.nas.runs import SMALL, drive, schedule_of
from tests.nas.test_cli import nas
from trials.plain import dumps
from trials.record import TrialRecord

LONG = replace(SMALL, epochs=50, population=2, repeats=0, search_trials=0, finalist_seeds=0, defaults=())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left when its third trial had been handed out; its second trial failed."""
    source, path = tmp_path_factory.mktemp("drawn") / "run", tmp_path_factory.mktemp("shown") / "run"
    drive(
        schedule_of(LONG, source), until=lambda trial: trial.number == 1 and trial.study.space == "flexconv"
    )
    first, *others = sorted(RunDirectory(source).read_records()[0], key=lambda record: record.trial.id)
    spoiled = replace(
        first,
        status="failed",
        reason="ValueError: no\nTraceback (most recent call last):\n  here",
        attempts=3,
        co_residents=1,
        log=tuple(f"line {i}" for i in range(200)),
    )
    directory = RunDirectory(path)
    directory.put("config.json", dumps(LONG))
    for trial in RunDirectory(source).read_trials()[0]:
        directory.put_trial(trial)
    for record in (spoiled, *others):
        directory.put_record(record)
    return path


def shown(path: Path, name: str) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(one_trial(path, name))
    return console.export_text()


def failed(path: Path) -> TrialRecord:
    (found,) = [record for record in RunDirectory(path).read_records()[0] if record.status == "failed"]
    return found


def test_a_failed_trial_says_why_where_and_what_it_wrote(run: Path) -> None:
    record = failed(run)
    text = shown(run, record.trial.id)
    assert record.trial.architecture.id in text and record.host in text and str(record.process) in text
    assert "failed, 50 of 50 epochs, 3 attempts" in text
    assert "at most 1 other trials beside it" in text
    assert "ValueError: no\nTraceback (most recent call last):" in text
    assert "the last 200 lines of its log" in text and "line 0\n" in text and "line 199\n" in text


def test_a_long_curve_is_thinned_to_its_ends(run: Path) -> None:
    text = shown(run, failed(run).trial.id)
    assert "curve (20 of 50 epochs)" in text
    table = text.partition("curve (20 of 50 epochs)")[2].partition("why it failed")[0]
    rows = [line.split()[0] for line in table.splitlines() if line.strip()[:1].isdigit()]
    assert len(rows) == 20 and (rows[0], rows[-1]) == ("1", "50")


def test_an_unfinished_trial_says_so(run: Path) -> None:
    directory = RunDirectory(run)
    ended = {record.trial.id for record in directory.read_records()[0]}
    (running,) = {trial.id for trial in directory.read_trials()[0]} - ended
    assert "no record yet: it runs, or waits to be run again; it has no checkpoint" in shown(run, running)


def test_the_end_of_a_name_will_do_and_others_are_refused(run: Path) -> None:
    record = failed(run)
    study = record.trial.study
    assert record.trial.id in shown(run, f"{study.space}.{study.kind}.{study.seed}.{record.trial.number:04d}")
    with pytest.raises(
        ValueError, match=f"no trial 'digits.twin.populaton.0.0000'; the nearest are .*{study.space}"
    ):
        one_trial(run, "digits.twin.populaton.0.0000")
    with pytest.raises(ValueError, match="more than one trial '0000'"):
        one_trial(run, "0000")


def test_the_command_shows_it_and_an_unknown_one_is_exit_code_2(run: Path) -> None:
    record = failed(run)
    done = nas("show", str(run), record.trial.id)
    assert done.returncode == 0 and "ValueError: no" in done.stdout
    done = nas("show", str(run), "nothing.like.it")
    assert done.returncode == 2 and done.stderr.startswith(f"nas: {run} has no trial 'nothing.like.it'; ")
    assert "Traceback" not in done.stderr
