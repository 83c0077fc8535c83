"""The check before an install says what is missing, in one line each, and how to mend it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "machine.py"


def check(tmp_path: Path, before: str) -> subprocess.CompletedProcess[str]:
    """Run the check after some statements that make the machine look different."""
    code = f"import runpy, shutil, sys, types\n{before}\nrunpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            "sys.version_info = (3, 9, 2, 'final', 0)",
            "Python 3.11 to 3.13 is needed, this is 3.9.2: make PYTHON=",
        ),
        ("sys.modules['ensurepip'] = None", "Python's venv module is missing: install it"),
        (
            "shutil.disk_usage = lambda p: types.SimpleNamespace(free=5e8)",
            "3 GB of free disk are needed, there are 0.5",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, before: str, said: str) -> None:
    done = check(tmp_path, before)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_sound_machine_passes(tmp_path: Path) -> None:
    done = check(tmp_path, "shutil.disk_usage = lambda p: types.SimpleNamespace(free=5e11)")
    assert (done.returncode, done.stderr) == (0, "")
