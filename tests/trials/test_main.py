"""`python -m trials`, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search_spaces import SPACES, TaskShape
from tests.trials.examples import trial
from trials import __main__ as command
from trials import plain, record, task

BARE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def python(code: str, *blocked: str) -> subprocess.CompletedProcess[str]:
    text = BARE.format(blocked=set(blocked)) + code
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )


def test_runs_without_ray_optuna_and_mlflow(tmp_path: Path) -> None:
    design = tmp_path / "architecture.json"
    shape = TaskShape(extent=(8, 8), channels=1, classes=10)
    space = SPACES["twin_3x3"](shape)
    design.write_text(space.decode(next(space.enumerate())).to_json())
    arguments = ["trials", str(design), "--task", "digits", "--rows", "200", "--to", str(tmp_path / "run")]
    code = f"import runpy; sys.argv = {arguments!r}; runpy.run_module('trials', run_name='__main__')"
    done = python(code, "ray", "optuna", "mlflow", "matplotlib", "typer")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("epoch ")]) == 20
    (folder,) = (tmp_path / "run" / "trials").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["design.json", "record.json"]
    found = plain.from_plain(record.TrialRecord, json.loads((folder / "record.json").read_text()))
    assert found.trial == plain.from_plain(record.Trial, json.loads((folder / "design.json").read_text()))
    assert folder.name == found.trial.id == "digits@rows=200.external.population.0.0000"
    assert found.status == "completed" and found.error < 0.5


def test_records_are_read_without_torch() -> None:
    code = (
        "import trials, trials.record, trials.recipe, trials.plain, trials.task, trials.synthetic\n"
        "from trials import TASKS, RECIPES, Recipe, Task, Trial, TrialRecord, open_task\n"
        "print(open_task('digits').name)\n"
        "try:\n    trials.nothing\nexcept AttributeError as error:\n    print(error)"
    )
    done = python(code, "torch", "pyarrow", "ray")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["digits", "module 'trials' has no attribute 'nothing'"]


def test_a_design_of_a_run_is_trained_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = trial(task.open_task("digits@rows=200"), kind="finalist", epochs=1, seed=4)
    design = tmp_path / "design.json"
    design.write_text(plain.dumps(wanted))
    assert command.main([str(design), "--to", str(tmp_path)]) == 0
    folder = tmp_path / "trials" / wanted.id
    found = plain.from_plain(record.TrialRecord, json.loads((folder / "record.json").read_text()))
    assert found.trial == wanted and (folder / "weights.safetensors").is_file()
    assert command.main([str(design), "--seed", "9", "--rows", "300", "--to", str(tmp_path)]) == 0
    text = (tmp_path / "trials" / "digits@rows=300.twin_3x3.finalist.0.0009" / "record.json").read_text()
    assert json.loads(text)["trial"]["seed"] == 9
    assert "completed; written to" in capsys.readouterr().out


def test_a_failed_trial_is_recorded_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = trial(task.open_task("digits@rows=200"), learning_rate=1e30)
    design = tmp_path / "design.json"
    design.write_text(plain.dumps(wanted))
    assert command.main([str(design), "--to", str(tmp_path)]) == 1
    assert json.loads((tmp_path / "trials" / wanted.id / "record.json").read_text())["status"] == "failed"
    assert "failed: ArithmeticError: the training loss must be finite" in capsys.readouterr().out


def test_what_is_recorded_is_neither_trained_again_nor_taken_for_another_design(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = trial(task.open_task("digits@rows=200"), epochs=1)
    for name, content in (
        ("one", plain.dumps(wanted)),
        ("alone", plain.dumps(wanted.architecture)),
        ("other", '{"family": "flexnet", "settings": {"width": 2, "factors": [], "kernels": [3]}}'),
    ):
        (tmp_path / f"{name}.json").write_text(content)
    to = ["--to", str(tmp_path / "run")]
    assert command.main([str(tmp_path / "one.json"), *to]) == 0
    there = tmp_path / "run" / "trials" / wanted.id / "record.json"
    before = there.read_bytes()
    assert command.main([str(tmp_path / "one.json"), *to]) == 0
    assert there.read_bytes() == before and "is there, completed; remove" in capsys.readouterr().out
    on_digits = ["--task", "digits@rows=200", *to]
    assert command.main([str(tmp_path / "other.json"), *on_digits]) == 0
    assert command.main([str(tmp_path / "alone.json"), *on_digits]) == 2
    assert "holds the record of another design or seed; take another --to" in capsys.readouterr().err
    there.write_text("{")
    assert command.main([str(tmp_path / "one.json"), *to]) == 2
    assert "record.json cannot be read" in capsys.readouterr().err and there.read_text() == "{"
    assert command.main([str(tmp_path / "one.json"), "--weights", *to]) == 2
    assert "--weights takes those of an export folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, [], "No such file"),
        ("{", [], "must be JSON"),
        ("[]", [], "must be an object"),
        ('{"trial": 1}', [], "has no field 'trial'"),
        ('{"family": "flexnet", "settings": {}}', [], "give one with --task"),
        ('{"family": "flexnet", "settings": {}}', ["--task", "digit"], "did you mean 'digits'"),
        (
            '{"family": "flexnet", "settings": {}}',
            ["--task", "digits", "--rows", "3"],
            "rows must be at least",
        ),
        ('{"family": 3}', ["--task", "digits"], "an architecture must be"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, options: list[str], message: str
) -> None:
    design = tmp_path / "design.json"
    if content is not None:
        design.write_text(content)
    assert command.main([str(design), *options, "--to", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()
