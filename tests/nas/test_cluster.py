"""Real clusters of two nodes on this machine: code that travels, nodes that fail, come and go, tokens."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from nas.run_directory import RunDirectory
from tests.nas.clusters import ROOT, LocalCluster, let_in, local_cluster, started
from trials.record import TrialRecord

pytestmark = pytest.mark.slow

USER_CODE = """
import os
from pathlib import Path
import nas
from helper import SIZES
from search_spaces import SPACES
from trials.embedded import digits

def narrow(shape):
    assert len(SIZES) == 2
    return SPACES["twin"](shape)

def task():
    trouble = os.environ.get("TROUBLE")
    if trouble:
        raise ValueError(trouble)
    if "ELSEWHERE" in os.environ:
        for file in (__file__, nas.__file__):
            assert not file.startswith(({source!r}, {folder!r})), f"{{file}} did not travel"
        with open({elsewhere!r}, "a") as file:
            print(os.getpid(), file=file)
    return digits()
"""
DRIVE = "from nas.cli import main; main()"
SETTINGS = (
    "rows=200 epochs=2 population=4 repeats=0 seeds=1 search_trials=0 finalist_seeds=1 "
    "defaults= controls= transfer=0 long=0"
)


def drive(
    cluster: LocalCluster, tmp_path: Path, *settings: str, **extra: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """`nas run` on a cluster, with the user's own code beside it."""
    mine = tmp_path / "mine"
    mine.mkdir(exist_ok=True)
    (mine / "helper.py").write_text("SIZES = (3, 5)\n")
    elsewhere = str(tmp_path / "elsewhere.txt")
    code = USER_CODE.format(source=str(ROOT), folder=str(mine), elsewhere=elsewhere)
    (mine / "own.py").write_text(code)
    command = [sys.executable, "-c", DRIVE, "run", "smoke", "--run-dir", str(tmp_path / "run"), "--resume"]
    command += ["--address", cluster.address, "--tasks", "own.py:task", "--spaces", "flexconv,own.py:narrow"]
    for setting in [*SETTINGS.split(), *settings]:
        command += ["--set", setting]
    return started(command, cwd=mine, env=cluster.environment(PYTHONPATH=str(ROOT), **extra))


def wait_for(driver: subprocess.Popen[str], condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert driver.poll() is None, driver.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.2)


def records_in(tmp_path: Path) -> list[TrialRecord]:
    return RunDirectory(tmp_path / "run").read_records()[0]


def ran_elsewhere(tmp_path: Path) -> list[TrialRecord]:
    """Records of trials on the node that has no source tree."""
    there = tmp_path / "elsewhere.txt"
    processes = set(map(int, there.read_text().split())) if there.exists() else set()
    return [record for record in records_in(tmp_path) if record.process in processes]


def test_code_travels_to_a_node_that_joins_and_the_run_survives_its_death(tmp_path: Path) -> None:
    with local_cluster() as cluster, drive(cluster, tmp_path, "epochs=200", "population=16") as driver:
        wait_for(driver, lambda: records_in(tmp_path))
        (tmp_path / "bare").mkdir()
        node = cluster.join(tmp_path / "bare", ELSEWHERE="1")
        wait_for(driver, lambda: ran_elsewhere(tmp_path))
        cluster.kill(node)
        output, _ = driver.communicate(timeout=240)
        assert driver.returncode == 0, output
    records = records_in(tmp_path)
    assert len(records) == len({record.trial.id for record in records}) == 16 + 1 + 1
    assert {record.status for record in records} == {"completed"}
    assert 0 < len(ran_elsewhere(tmp_path)) < len(records)
    assert "left out" not in output


def test_a_node_that_cannot_open_the_task_is_left_out_by_name(tmp_path: Path) -> None:
    with local_cluster() as cluster:
        cluster.join(tmp_path, TROUBLE="the disk with the data is not mounted")
        with drive(
            cluster, tmp_path, "epochs=100", "population=16"
        ) as driver:  # not over before it is probed
            output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, output
    assert "is left out: " in output and "the disk with the data is not mounted" in output
    assert {record.status for record in records_in(tmp_path)} == {"completed"}


def test_who_has_another_token_is_refused_in_one_line(tmp_path: Path) -> None:
    with local_cluster() as cluster, drive(cluster, tmp_path, RAY_AUTH_TOKEN="0" * 64) as driver:
        output, _ = driver.communicate(timeout=120)
        assert driver.returncode == 2, output
        assert f"no Ray cluster lets us in at {cluster.address}" in output.splitlines()[-1]
        assert "Traceback" not in output
    assert not records_in(tmp_path)


def test_who_has_no_token_is_refused(tmp_path: Path) -> None:
    with local_cluster() as cluster:
        for mode in ("token", "disabled"):
            without = cluster.environment(HOME=str(tmp_path), RAY_AUTH_MODE=mode)
            del without["RAY_AUTH_TOKEN"]
            assert not let_in(cluster.address, without)
        assert let_in(cluster.address, cluster.environment())
