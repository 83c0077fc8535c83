"""The arrows point one way, each framework has one file, and what must stay light stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("search_spaces", "trials", "nas")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HOME = {"ray": "nas/search.py", "optuna": "nas/sampler.py", "mlflow": "nas/mlflow_client.py"}


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    assert not imported(path) & set(above)


@pytest.mark.parametrize(("framework", "home"), HOME.items())
def test_each_framework_has_one_file(framework: str, home: str) -> None:
    assert [str(p.relative_to(ROOT)) for p in SOURCES if framework in imported(p)] == [home]


def test_no_space_is_special_outside_search_spaces() -> None:
    for path in SOURCES:
        if not path.is_relative_to(ROOT / "search_spaces"):
            assert not re.search(r"\bif\b[^\n]*flex", path.read_text().lower()), path


def test_only_finalists_open_test_data() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.alias | ast.Attribute)
        and "open_test" in (getattr(node, "id", ""), getattr(node, "name", ""), getattr(node, "attr", ""))
    }
    assert users - {"trials/task.py"} == {"nas/finalists.py"}


def test_files_do_one_thing() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in SOURCES}
    assert {str(path): n for path, n in lengths.items() if n > 350} == {}


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that ran `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return {line.split(".")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import nas.cli", {"torch", "ray", "optuna", "mlflow", "numpy", "rich"}),
        ("import nas.comparison, nas.showing", {"torch", "ray", "optuna", "mlflow"}),
        ("from nas import SearchConfig", {"torch", "ray", "optuna", "mlflow"}),
        ("from search_spaces import SPACES, complexity", {"torch"}),
        ("from search_spaces import build; import trials.training", {"ray", "optuna", "mlflow"}),
    ],
)
def test_light_parts_stay_light(code: str, without: set[str]) -> None:
    assert not modules_after(code) & without


def test_constraints_hold_public_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    for line in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
