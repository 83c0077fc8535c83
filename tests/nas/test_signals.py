"""Signals before there is a trial: a run ends in order with the code that says so, and goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas.lease import Hold, holder
from trials.plain import dumps
from trials.storage import Storage

ROOT = Path(__file__).parent.parent.parent
SETTINGS = "population=2 repeats=0 seeds=1 search_trials=0 finalist_seeds=0 controls= defaults= transfer=0"


def start(run: Path) -> subprocess.Popen[str]:
    command = ["run", "smoke", "--tasks", "digits", "--run-dir", str(run), "--resume"]
    command += [word for setting in SETTINGS.split() for word in ("--set", setting)]
    return subprocess.Popen(
        [sys.executable, "-c", "from nas.cli import main; main()", *command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def read_until(driver: subprocess.Popen[str], text: str) -> None:
    assert driver.stdout is not None
    said = ""
    for line in driver.stdout:
        said += line
        if text in line:
            return
    raise AssertionError(said)


def elsewhere(run: Path) -> None:
    """A lease of another machine, which is dead."""
    hold = Hold(holder="0", host="far", place="", pid=1, born="")
    Storage(str(run)).put("lease/000001.json", dumps(hold).encode())


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_who_waits_for_a_lease_leaves(tmp_path: Path, number: signal.Signals, code: int) -> None:
    elsewhere(tmp_path)
    driver = start(tmp_path)
    read_until(driver, "process 1 on far had")
    began = time.monotonic()
    driver.send_signal(number)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == code and "Traceback" not in output, output
    assert time.monotonic() - began < 30, "it did not wait to the end"
    assert Storage(str(tmp_path)).names() == ["lease/000001.json"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
@pytest.mark.parametrize("after", [0.0, 1.5, 3.0])
def test_a_signal_while_the_cluster_starts(
    tmp_path: Path, after: float, number: signal.Signals, code: int
) -> None:
    driver = start(tmp_path / "run")
    while not (tmp_path / "run" / "config.json").exists():
        assert driver.poll() is None
        time.sleep(0.01)
    time.sleep(after)
    driver.send_signal(number)
    output, _ = driver.communicate(timeout=120)
    assert driver.returncode == code and "Traceback" not in output, output
    assert "where they can" in output and "report:" in output
    assert (tmp_path / "run" / "report.html").exists()
    assert holder(Storage(str(tmp_path / "run"))) is None
    again = start(tmp_path / "run")
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output


NOTEBOOK = """
import json, os, signal, sys, threading, time
from pathlib import Path
from nas.presets import smoke
from nas.config import override
from nas.running import run
import nas.search, ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=50)
def interrupt():
    while not list(Path(sys.argv[1]).glob("trials/*/record.json")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
result = run(override(smoke(), sys.argv[2:]), run_dir=sys.argv[1])
assert not result.finished and result.ended.how == "interrupted", result.ended
assert ray.get(ray.put("up")) == "up"
assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
ray.shutdown()
print("ok")
"""


@pytest.mark.slow
def test_an_interrupt_in_a_notebook_leaves_its_cluster_alone(tmp_path: Path) -> None:
    settings = [*SETTINGS.replace("population=2", "population=30").split(), "tasks=digits", "epochs=40"]
    command = [sys.executable, "-c", NOTEBOOK, str(tmp_path / "run"), *settings]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=200)
    assert done.stdout.splitlines()[-1:] == ["ok"], done.stdout + done.stderr
