"""Runs that lack something: the command gives a report all the same, which says what cannot be concluded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nas.comparison import compare
from tests.nas.builders import record
from tests.nas.test_cli import nas
from tests.nas.written import CONFIG, small_run, write
from trials.record import TrialRecord

RUN = small_run()


def failed(records: list[TrialRecord]) -> list[TrialRecord]:
    """Without the finalists of a search, which has nothing to select."""
    kept = [each for each in records if each.trial.selected_from is None]
    never = {"curve": (), "test": None, "latency_seconds": None, "at_rates": ()}
    return [replace(each, status="failed", reason="broke", **never) for each in kept]


def of(keep: Callable[[TrialRecord], bool]) -> list[TrialRecord]:
    return [each for each in RUN if keep(each)]


POOR: dict[str, tuple[list[TrialRecord], tuple[str, ...]]] = {
    "empty": ([], ("No record yet: nothing can be concluded (0 trials).", "No search was run.")),
    "one design": (
        of(lambda r: r.trial.study.space != "twin") + [RUN[0]],
        ("of twin only one design was trained (N = 1): cannot say whether to search",),
    ),
    "one seed": (
        of(lambda r: r.trial.study.space == "twin" or r.trial.number == 0),
        ("with one seed of FlexConv there is no interval: cannot say whether to search",),
    ),
    "only failures": (
        failed(RUN),
        (
            "FlexConv failed in every training (3 seeds): nothing can be concluded about digits yet. "
            "Trained so far: 12 twin designs (12 failed).",
            "1 search, without an error of the single design to reach",
        ),
    ),
    "no FlexConv": (
        of(lambda r: r.trial.study.space != "flexconv"),
        ("No training of FlexConv has ended (0 seeds): nothing can be concluded about digits yet.",),
    ),
    "no finalists": (of(lambda r: r.trial.study.kind != "finalist"), ("cannot say whether to search",)),
    "only finalists": (
        of(lambda r: r.trial.study.kind == "finalist"),
        ("nothing can be concluded about digits yet", "which has no record here"),
    ),
    "only a search": (
        of(lambda r: r.trial.study.kind == "search"),
        ("nothing can be concluded about digits yet", "1 search, without an error of the single design"),
    ),
}


@pytest.mark.parametrize("name", POOR)
def test_what_cannot_be_concluded_is_said(name: str, tmp_path: Path) -> None:
    records, said = POOR[name]
    comparison = compare(write(tmp_path / "run", records).path)
    text = (tmp_path / "run" / "report.md").read_text()
    assert all(each in text for each in said), text[:3000]
    assert comparison.overall in text
    assert all(task.verdict == "cannot say" for task in comparison.tasks)
    claims = ("no search needed (", "no search needed on", ": search,", "loses", "search on 1")
    assert not any(claim in text for claim in claims)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "None" not in text and "nan" not in text.split() and ">nan<" not in page and ">None<" not in page


def test_a_run_without_a_searched_space_compares_with_defaults_only(tmp_path: Path) -> None:
    records = of(lambda r: r.trial.study.space != "twin")
    compare(write(tmp_path / "run", records, replace(CONFIG, spaces=("flexconv",))).path)
    text = (tmp_path / "run" / "report.md").read_text()
    assert "no space to search was planned. The twin_7x7 default" in text


def test_the_command_names_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    directory = write(tmp_path / "run", RUN)
    damaged = [directory.path / f"trials/digits.twin.population.0.000{i}/record.json" for i in (2, 5)]
    for path in damaged:
        path.write_text(path.read_text()[:-20])
    done = nas("compare", str(directory.path))
    assert done.returncode == 0, done.stderr
    text = (directory.path / "report.md").read_text()
    assert "2 left out, on which nothing rests" in text
    assert all(path.parent.name in text for path in damaged) and str(tmp_path) not in text


def test_a_choice_by_test_error_ends_the_command_in_one_line(tmp_path: Path) -> None:
    tested = record("twin", 40, 0.1, test_error=0.1)
    done = nas("compare", str(write(tmp_path / "run", [*RUN, tested]).path))
    assert done.returncode == 2
    assert "test rows are for finalists only" in done.stderr and len(done.stderr.strip().splitlines()) == 1


# ---------------------------------------------------------------------- several directories


def test_a_second_directory_adds_records_and_its_own_tasks(tmp_path: Path) -> None:
    one = write(tmp_path / "one", RUN)
    two = write(tmp_path / "two", [*RUN[:3], *small_run("osuleaf")], replace(CONFIG, tasks=("osuleaf",)))
    comparison = compare(one.path, two.path)
    assert [task.task for task in comparison.tasks] == ["digits", "osuleaf"]
    assert comparison.records == 2 * len(RUN)
    assert (one.path / "report.html").exists() and not (two.path / "report.html").exists()


def test_spaces_that_the_first_plan_does_not_name_are_left_out_by_name(tmp_path: Path) -> None:
    one = write(tmp_path / "one", RUN)
    other = record("resnet", 0, 0.1)
    two = write(tmp_path / "two", [other], replace(CONFIG, spaces=("flexconv", "resnet")))
    (left,) = compare(one.path, two.path).left_out
    assert (left.trial, left.reason) == (other.trial.id, "space resnet is not in the plan")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("constraints", ("parameters <= 1e5",)),
        ("search_trials", 7),
        ("sampler", "random"),
        ("cpus_per_trial", 2),
    ],
)
def test_directories_of_other_budgets_are_refused_by_field(field: str, value: object, tmp_path: Path) -> None:
    one = write(tmp_path / "one", RUN)
    two = write(tmp_path / "two", [], replace(CONFIG, **{field: value}))
    with pytest.raises(ValueError, match=f"^{field} must be the same in all directories"):
        compare(one.path, two.path)


def test_one_trial_with_two_records_is_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one", RUN)
    two = write(tmp_path / "two", [replace(RUN[0], seconds_training=3.0)])
    with pytest.raises(ValueError, match=f"{RUN[0].trial.id} has different records in these directories"):
        compare(one.path, two.path)


# ---------------------------------------------------------------------- quick to start


@pytest.mark.parametrize("command", [["--help"], ["compare", "run"], ["show", "run"]])
def test_reading_commands_import_no_framework(command: list[str], tmp_path: Path) -> None:
    write(tmp_path / "run", RUN)
    code = (
        "import sys\nfrom nas.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
