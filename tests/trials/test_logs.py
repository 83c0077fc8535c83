"""What a trial's process writes is kept, capped and without secrets, and still goes where it went."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trials.examples import trial
from trials import plain, record, soundness, task, training
from trials.ledger import spent
from trials.logs import CHARACTERS, LINES, captured, masked
from trials.storage import Storage

SECRET = "hunter2/+x y'z"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", SECRET)
    monkeypatch.setenv("DB_PASSWORD", "first line of it\nsecond line")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("HARMLESS", "nothing to hide")


def test_the_last_lines_are_kept_and_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    with captured() as log:
        for i in range(300):
            print(i)
        print("x" * 600, file=sys.stderr)
    print("later")
    assert len(log.lines()) == LINES == 200
    assert log.lines() == (*map(str, range(101, 300)), "x" * CHARACTERS)
    out, err = capsys.readouterr()
    assert out == "".join(f"{i}\n" for i in range(300)) + "later\n" and err == "x" * 600 + "\n"


def test_secrets_are_masked_however_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert masked(f"a {SECRET} b") == "a *** b"
    assert masked(f"{SECRET!r}") in ("'***'", '"***"')
    assert masked("hunter2%2F%2Bx%20y%27z") == "***"
    assert masked("abc, nothing to hide") == "abc, nothing to hide"
    assert masked("see s3://user:p@ss@host/x and https://tok@git.org/a/b@c, //plain/x@y") == (
        "see s3://***@host/x and https://***@git.org/a/b@c, //plain/x@y"
    )
    with captured() as log:
        print("a" * (CHARACTERS - 3) + SECRET)  # cut amid it, it would not be found
        print("in " + SECRET[:5], end="")
        print(SECRET[5:] + " pieces")
        print("with colours \x1b[1m" + SECRET[:3] + "\x1b[0m" + SECRET[3:])
        print("second line")
    assert log.lines() == ("a" * (CHARACTERS - 3) + "***", "in *** pieces", "with colours ***", "***")
    assert SECRET in capsys.readouterr().out


def test_logging_is_kept_once_whoever_handles_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's
    alone = logging.getLogger("alone")
    alone.propagate = False
    file = io.StringIO()
    alone.addHandler(logging.StreamHandler(file))
    factory = logging.getLogRecordFactory()
    with captured() as log:
        logging.getLogger("user").warning("%d rows", 3)  # handled by nobody: Python's last resort prints it
        logging.getLogger("user").info("nobody wants to know")
        alone.error("to a file")
        logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
        logging.getLogger("user").info("configured")
        try:
            raise KeyError("gone")
        except KeyError:
            logging.getLogger("user").exception("caught")
    lines = log.lines()
    assert lines[:4] == (
        "WARNING user: 3 rows",
        "ERROR alone: to a file",
        "INFO user: configured",
        "ERROR user: caught",
    )
    assert lines[4].startswith("Traceback") and lines[-1] == "KeyError: 'gone'"
    assert len([line for line in lines if "gone" in line and "raise" not in line]) == 1
    assert file.getvalue() == "to a file\n"
    shown = capsys.readouterr().err
    assert shown.startswith("3 rows\nconfigured\ncaught\nTraceback")
    assert logging.getLogRecordFactory() is factory
    logging.getLogger("user").info("after")  # by a handler that holds our stream
    assert capsys.readouterr().err == "after\n" and log.lines() == lines


def test_a_progress_bar_is_one_line() -> None:
    with captured() as log:
        for i in range(50):
            print(f"\r{i} %", end="")
        print()
        for i in range(50):
            print(f"{i} of 50\r", end="")
        assert log.lines() == ("49 %", "49 of 50")
        print("\nwindows\r\nbegun", end="")
    assert log.lines() == ("49 %", "49 of 50", "windows", "begun")


def test_threads_do_not_tear_each_others_lines_nor_logs() -> None:
    together = threading.Barrier(4)

    def talk(name: str) -> tuple[str, ...]:
        with captured() as log:
            together.wait()
            for i in range(40):
                print(name, end=" ")
                print(i, end="\n")
            together.wait()
            return log.lines()

    before = sys.stdout, sys.stderr
    with ThreadPoolExecutor(4) as pool:
        logs = list(pool.map(talk, "abcd"))
    assert (sys.stdout, sys.stderr) == before
    assert all(sorted(log) == sorted(f"{name} {i}" for name in "abcd" for i in range(40)) for log in logs)
    with captured() as fresh:
        print("anew")
    assert fresh.lines() == ("anew",)


def test_what_cannot_be_written_to_a_file_is_replaced() -> None:
    with captured() as log:
        log.write("stdout", "a\udce9b\x00c\x1b[31md\n")
    assert json.loads(plain.dumps(list(log.lines())).encode()) == ["a?bcd"]


def test_a_planted_secret_is_in_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    of = task.open_task("digits@rows=200")

    def leak(metrics: record.EpochMetrics) -> record.Verdict:
        print("print", SECRET)
        logging.getLogger("leak").warning("logging %s", SECRET)
        sys.stderr.write(f"warning {SECRET}\n")
        if metrics.epoch == 2:
            raise OSError(f"exception {SECRET} at https://me:{'p'}w@host/")
        return "continue"

    found = training.run_trial(trial(of, epochs=3), of, report=leak)
    assert found is not None and found.status == "failed" and soundness.flaw(found) == ""
    assert found.reason.splitlines()[0] == "OSError: exception *** at https://***@host/"
    assert found.reason.splitlines()[-1] == found.reason.splitlines()[0]
    assert found.log == 2 * ("print ***", "WARNING leak: logging ***", "warning ***")
    written = plain.dumps(found)
    assert "hunter2" not in written and plain.from_plain(record.TrialRecord, json.loads(written)) == found


SCRIPT = """
import logging, os, sys, warnings
os.environ["SOME_SECRET"] = "planted-by-test"
from trials.__main__ import main
from search_spaces import SPACES
import trials.augmentation as user

def leaking(x, generator):
    print("print planted-by-test")
    logging.getLogger("user").error("logging planted-by-test")
    warnings.warn("warning planted-by-test")
    raise RuntimeError("exception planted-by-test")

user.BY_NAME["noise"] = leaking
raise SystemExit(main(sys.argv[1:]))
"""


def test_nor_in_the_files_of_a_trial_that_runs_by_itself(tmp_path: Path) -> None:
    of = task.open_task("digits@rows=200,augment=noise")
    wanted = replace(trial(of, augmentation=("noise",), epochs=1))
    (tmp_path / "design.json").write_text(plain.dumps(wanted))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "design.json"), "--to", str(tmp_path / "to")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    (path,) = (tmp_path / "to").rglob("record.json")
    written = path.read_text()
    assert "planted" not in written and "planted" not in done.stdout.splitlines()[-1]
    found = plain.from_plain(record.TrialRecord, json.loads(written))
    assert (
        found.log[:2] == ("print ***", "ERROR user: logging ***")
        and "UserWarning: warning ***" in found.log[2]
    )
    assert found.reason.startswith("RuntimeError: exception ***\n")


def test_the_log_of_a_paused_trial_goes_on(tmp_path: Path) -> None:
    of = task.open_task("digits@rows=200")
    wanted, folder = trial(of, epochs=2), Storage(str(tmp_path))
    epochs: list[int] = []

    def talk(metrics: record.EpochMetrics) -> record.Verdict:
        epochs.append(metrics.epoch)
        print(f"epoch {metrics.epoch} {SECRET}, {len(epochs)}")
        return "pause" if len(epochs) == 1 else "continue"

    assert training.run_trial(wanted, of, report=talk, folder=folder) is None
    assert spent(folder, wanted)["log"] == ["epoch 1 ***, 1"]  # what is left if its process dies now
    found = training.run_trial(wanted, of, report=talk, folder=folder)
    assert found is not None and found.log == tuple(
        f"epoch {n} ***, {i}" for n, i in ((1, 1), (1, 2), (2, 3))
    )


def test_soundness_knows_the_cap() -> None:
    of = task.open_task("digits@rows=200")
    found = training.run_trial(trial(of, epochs=1), of)
    assert found is not None and soundness.flaw(found) == "" == soundness.flaw(
        replace(found, log=("x" * 500,) * 200)
    )
    assert "log holds" in soundness.flaw(replace(found, log=("x",) * 201))
    assert "log holds" in soundness.flaw(replace(found, log=("x" * 501,)))
    assert "attempts must be at least 1" in soundness.flaw(replace(found, attempts=0))
    assert "co_residents must be in [0" in soundness.flaw(replace(found, co_residents=-1))
