"""The command as a user types it: documented flags, quick help, one line and exit code 2 for mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.cli import app
from nas.open_space import serving
from search_spaces import SPACES, TaskShape

ROOT = Path(__file__).parent.parent.parent


def nas(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from nas.cli import main; main()", *arguments],
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=300,
    )


def documented() -> dict[str, set[str]]:
    """The flags and arguments that docs/cli.md says exist now, by command."""
    rows: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "cli.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `nas ") and cells[3] != "later":
            rows.setdefault(cells[0].strip("`").split()[1], set()).add(cells[1].strip("`"))
    return rows


def test_the_documented_flags_are_those_that_help_shows() -> None:
    assert set(documented()) == set(app.commands)
    for command, described in documented().items():
        text = nas(command, "--help").stdout
        flags = set(re.findall(r"^  (--[a-z-]+)", text, flags=re.MULTILINE)) - {"--help"}
        usage = text.splitlines()[0].removeprefix(f"Usage: nas {command} [OPTIONS]")
        assert described == flags | {word.strip("[]") for word in usage.split()}


@pytest.mark.parametrize("command", [(), *((name,) for name in app.commands)])
def test_help_answers_at_once(command: tuple[str, ...]) -> None:
    began = time.perf_counter()
    done = nas(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: nas")
    assert time.perf_counter() - began < 5  # under a second on a machine that is not shared


SPACES_OF_IMAGES = ", ".join(serving(TaskShape(extent=(8, 8), channels=3, classes=10)))
MINE = """
def fails():
    raise KeyError("gone")
from search_spaces import Architecture, Choice, Space
def raises(shape): return 1 / 0
def number(shape): return 3
def series(shape):
    if shape.dimensions > 1: raise ValueError("no time on images")
    return Space(name="series", choices=(), assemble=lambda values: Architecture.of("x"))
def twin(shape):
    return Space(name="twin", choices=(Choice(name="a", options=(1,)),), assemble=lambda values: None)
def half(shape):
    def assemble(values): raise KeyError("width")
    return Space(name="half", choices=(Choice(name="a", options=(1, 2)),), assemble=assemble)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["run", "smok"],
            "unknown preset 'smok'; did you mean 'smoke'?; there are: smoke, mnist5k, ",
        ),
        (
            ["run", "smoke", "--tasks", "digit"],
            "there are: digits, digits_sequence, mnist5k, mnist5k_sequence",
        ),
        (["run", "smoke", "--spaces", "resnext"], f"there are: {', '.join(SPACES)}"),
        (["run", "smoke", "--set", "recipe=long"], "unknown recipe 'long'; there are: standard"),
        (
            ["run", "smoke", "--epochs", "3"],
            "unknown flag --epochs; nas run has --run-dir, --resume, --tasks",
        ),
        (["run", "smoke", "--set", "population=none"], "--set population: expected int, got 'none'"),
        (["run", "smoke", "--gpus-per-trial", "0.5", "--tasks", "digits"], "the cluster has none"),
        (["run", "smoke", "--gpus-per-trial", "-1"], "0<=x<=1"),
        (
            ["run", "smoke", "--tasks", "digits", "--address", "127.0.0.1:9"],
            "no Ray cluster answers at 127.0.0.1:9",
        ),
        (
            ["run", "smoke", "--spaces", "ccnn,twin", "--set", "single=ccnn"],
            "the control twin_learned cannot be made on inputs of 1x8x8: twin_learned takes its sizes from a "
            "flexnet design, got one of ccnn; leave it out of --set controls=",
        ),
        (["run", "smoke", "--spaces", "twin"], "spaces must hold the single design flexconv, got twin"),
        (["run", "smoke", "--set", "name=../elsewhere"], "name must be letters, digits"),
        (["run", "smoke", "--set", "margin_points=inf"], "margin_points must be finite"),
        (["run", "smoke", "--run-dir", "a_file"], "a_file is a file"),
        (["run", "smoke", "--tasks", "digits", "--run-dir", "a_file/run"], "a_file/run cannot be written"),
        (["run", "smoke", "--tasks", "digits", "--run-dir", "/proc/run"], "/proc/run cannot be written"),
        (["run", "mine.py:fails"], "KeyError: 'gone'"),
        (
            ["run", "smoke", "--spaces", "flexconv,mine.py:raises"],
            "mine.py:raises cannot be made for inputs of",
        ),
        (["run", "smoke", "--spaces", "flexconv,twin,mine.py:twin"], "two spaces have the same name"),
        (["run", "smoke", "--spaces", "flexconv,mine.py:half"], "cannot assemble {'a': "),
        (["spaces", "mine.py:number"], "mine.py:number must be a function from a TaskShape"),
        (
            ["spaces", "mine.py:series", "--shape", "3x8x8"],
            "cannot be made for inputs of 3x8x8: ValueError: no",
        ),
        (["spaces", "mine.py:series", "--shape", "3x8x8"], f"spaces that can: {SPACES_OF_IMAGES}"),
        (["spaces", "twin", "--shape", "32"], "--shape is channels, then 1 to 3 axes"),
        (["spaces", "twin", "--shape", "3x0"], "such as 3x32x32 or 1x784, got '3x0'"),
        (
            ["run", "smoke", "--set", "constraints=parameters < 5"],
            "a constraint is parameters or multiply_adds, then <= or >=, then a number, got 'parameters < 5'",
        ),
        (
            ["run", "smoke", "--tasks", "digits", "--set", "constraints=parameters <= 20000"],
            "no design of flexconv was found within parameters <= 20000 on inputs of 1x8x8",
        ),
        (["spaces", "wrong.py:x"], "wrong.py fails when it is imported: SyntaxError"),
        (["run", "smoke", "--tracking-uri", "http://me:secret@host:5000"], "MLFLOW_TRACKING_USERNAME"),
        (["run", "no_such_module:f"], "no_such_module cannot be imported"),
        (["trian"], "No such command 'trian'. There are: run, stop, compare, show, export, tasks, spaces"),
        (["compare", "nowhere"], "nowhere holds no run"),
        (["stop", "nowhere"], "nowhere holds no run"),
        (["show", "nowhere"], "nowhere holds no run"),
        (["export", "nowhere", "--task", "a", "--space", "b", "--to", "c"], "nowhere holds no run"),
        (["spaces", "twinn"], "did you mean 'twin'?"),
        (["tasks", "--baseline"], "--baseline needs a task"),
        (["tasks", "digits@row=5"], "a task has no 'row'; it has rows, resolution"),
        (["tasks", "digits@rows=5"], "rows must be at least"),
        (["run", "smoke", "--tasks", "digits@rows=200,size=4,mnist5k"], "a task has no 'size'"),
        (["run", "smoke", "--set", "long=101"], "long must be at most the population, got 101"),
        (["tasks", "digitz"], "did you mean 'digits'?"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "wrong.py").write_text("def x(:")
    done = nas(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_does_not_hide_a_registered_name(tmp_path: Path) -> None:
    for name in ("digits", "twin"):
        (tmp_path / name).mkdir()
    assert "1x8x8" in nas("tasks", "digits", cwd=tmp_path).stdout
    assert "kernel_5" in nas("spaces", "twin", cwd=tmp_path).stdout


def test_tasks_and_spaces_are_listed_and_described() -> None:
    assert "digits_sequence" in nas("tasks").stdout
    assert "1x8x8" in nas("tasks", "digits").stdout
    assert "only 300 rows to train" in nas("tasks", "digits@rows=300").stdout
    baseline = nas("tasks", "digits@rows=300", "--baseline").stdout
    assert "most frequent class" in baseline and "extra trees" in baseline
    assert "twin_3x3" in nas("spaces").stdout
    described = nas("spaces", "twin").stdout
    assert "kernel_5" in described
    assert "multiply-adds" in described


def test_spaces_are_shown_for_the_shape_that_is_asked_for() -> None:
    listed = nas("spaces", "--shape", "3x32x32").stdout
    assert all(name in listed for name in SPACES)
    assert "9,978 to 1,167,738" in listed  # the twin's parameters
    assert "kernel_1  3, 5, 9, 17, 33" in nas("spaces", "twin", "--shape", "3x32x32").stdout
