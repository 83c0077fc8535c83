"""What a run leaves behind holds no secret of its environment, whatever a user's code prints and raises."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nas.run_directory import RunDirectory
from tests.nas.test_cli import nas

SECRET = "planted-by-a-test"
LEAKING = """
import logging, os
import trials.augmentation
from trials.embedded import digits

left = 1

def leaking(x, generator):
    global left
    secret = os.environ["DATA_TOKEN"]
    print("print", secret)
    logging.getLogger("user").error("logging %s", secret)
    left -= 1
    if left == 0:
        raise RuntimeError(f"exception {secret}")
    return x

trials.augmentation.BY_NAME["noise"] = leaking

def task():
    return digits()
"""
SETTINGS = (
    "rows=200 epochs=1 population=3 repeats=0 seeds=1 search_trials=2 finalist_seeds=1 "
    "defaults= long=0 transfer=0"
)


@pytest.mark.slow
def test_a_planted_secret_is_in_no_file_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_TOKEN", SECRET)
    (tmp_path / "leaking.py").write_text(LEAKING)
    settings = [word for setting in SETTINGS.split() for word in ("--set", setting)]
    command = ["run", "smoke", "--tasks", "leaking.py:task@augment=noise", "--run-dir", "run", *settings]
    done = nas(*command, "--set", "recipe=augmented", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr

    records = RunDirectory(tmp_path / "run").read_records()[0]
    reasons = [each.reason.splitlines()[0] for each in records if each.status == "failed"]
    assert set(reasons) == {"RuntimeError: exception ***"}
    assert all("print ***" in each.log and "ERROR user: logging ***" in each.log for each in records)

    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    holding = [path for path in files if SECRET.encode() in path.read_bytes()]
    tables = [path for path in files if path.suffix == ".parquet"]
    holding += [path for path in tables if SECRET in str(pq.read_table(path).to_pydict())]
    assert not holding
    assert b"exception ***" in (tmp_path / "run" / "mlflow.db").read_bytes()
    assert (tmp_path / "run" / "report.html") in files and len(tables) > 1
