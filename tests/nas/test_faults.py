"""One fault of each kind on real processes (`make soak` does more of them); a planted secret is nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.run_directory import RunDirectory
from tests.nas.faults import FROM_CHECKPOINTS, ROOT, STRIKE, run_undisturbed, suffer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return run_undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("kind", STRIKE)
def test_nothing_is_lost_or_done_twice(kind: str, undisturbed: RunDirectory, tmp_path: Path) -> None:
    for seed in range(3):  # a fault may come just when its trial had ended
        outcome = suffer(kind, seed, tmp_path / str(seed), undisturbed)
        if outcome.continued or kind not in FROM_CHECKPOINTS:
            break
    if kind in ("driver killed", "cluster killed"):
        assert outcome.codes[0] < 0, "it was over before the fault"
    if kind == "preempted":
        assert outcome.codes[0] == 75
    if kind in ("worker killed", "worker stalled", "node killed", "clock jumps"):
        assert outcome.codes == [0], "the run itself carries on"
    if kind in FROM_CHECKPOINTS:
        assert outcome.continued, "no trial went on from its checkpoint"
    if kind == "disk full":
        assert outcome.codes[0] == 2


SECRET = "7e45c3a1e7-planted"
MINE = """
import inspect
import os
import sys
import numpy as np
from nas.config import SearchConfig
from search_spaces import Choice, Space
from search_spaces.flexconv import flexconv
from trials.embedded import digits

KEY = os.environ["MY_API_KEY"]
RAISED = []

def leak(where):
    print("the key is", KEY, flush=True)
    print("and again", KEY, file=sys.stderr, flush=True)
    if where in {frame.function for frame in inspect.stack()} and where not in RAISED:
        RAISED.append(where)
        raise RuntimeError("cannot log in with " + KEY)

def leaky(shape):
    sound = flexconv(shape)
    def assemble(values):
        leak("propose")  # a design of a search
        return sound.decode(sound.sample(np.random.default_rng(0)))
    return Space(name="leaky", choices=(Choice(name="size", options=(3, 5)),), assemble=assemble)

def rows():
    leak("_carried_out")  # the first trial of each worker
    return digits()

def plan():
    return SearchConfig(
        name="secret", tasks=(__file__ + ":rows",), rows=200, epochs=2, population=1, repeats=0, seeds=2,
        spaces=("flexconv", __file__ + ":leaky"), defaults=(), search_trials=3, search_seeds=1,
        finalist_seeds=1,
    )
"""


def test_a_planted_secret_is_in_no_file_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = subprocess.run(
        [sys.executable, "-c", "from nas.cli import main; main()", "run", f"{tmp_path}/mine.py:plan"]
        + ["--run-dir", str(tmp_path / "run")],
        cwd=tmp_path,
        env=os.environ | {"MY_API_KEY": SECRET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    records = RunDirectory(tmp_path / "run").read_records()[0]
    failed = [record for record in records if "cannot log in with ***" in record.reason]
    assert failed and any("the key is ***" in line for record in records for line in record.log)
    assert any(record.trial.architecture.family == "undecodable" for record in records)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"report.html", "mlflow.db", "record.json"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
