"""A disk without room: nothing recorded is lost, a checkpoint may be, and it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ON_A_SMALL_DISK = """
import os, sys, warnings
from pathlib import Path
disk = Path(sys.argv[1])

from nas.run_directory import RunDirectory
from tests.nas.builders import record
from trials import checkpoint
from trials.storage import is_full

def fill():
    for size in (2**16, 2**12):
        with open(disk / "others", "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert is_full(error), error
"""
RECORDS = """
directory = RunDirectory(disk / "run")
first, second = record(number=1), record(number=2)
directory.put_trial(first.trial)
directory.put_trial(second.trial)
assert directory.full  # nothing was reserved yet
directory.reserve()
assert not directory.full
fill()
try:
    directory.put_trial(record(number=3).trial)
except OSError as error:
    assert is_full(error)
else:
    raise AssertionError("there is no room")
assert not directory.full, "a design is no record"
directory.put_record(first)
assert directory.full
directory.put_record(second)  # of another slot, at the same time
records, unreadable = directory.read_records()
assert not unreadable and records == [first, second], unreadable
assert not list((disk / "run").rglob(".*.json.*")), "litter"
fill()
for attempt in (directory.reserve, lambda: directory.put_record(record(number=2, error=0.5))):
    try:
        attempt()
    except OSError as error:
        assert is_full(error)
    else:
        raise AssertionError("there is no room, and no reserve any more")
assert directory.read_records() == ([first, second], [])
os.remove(disk / "others")
directory.reserve()
assert not directory.full
print("ok")
"""
CHECKPOINTS = """
import torch
folder, trial = RunDirectory(disk / "run").folder("one"), record().trial
small, large = {"weights": torch.zeros(10)}, {"weights": torch.zeros(400_000)}
assert checkpoint.save(folder, trial, small)
fill()
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    assert not checkpoint.save(folder, trial, large)
assert [str(each.message) for each in told] == [
    f"no checkpoint of trial {trial.id} was written: No space left on device"
], told
kept = checkpoint.load(folder, trial)
assert kept is not None and kept["weights"].shape == (10,), "the last one is still there"
assert [path.name for path in (disk / "run/trials/one").iterdir()] == ["checkpoint.pt"]
print("ok")
"""
LEASE = """
import pytest
from tests.nas.test_board import HERE, board_in, order_of, trained
with board_in(disk / "run") as board:
    first = order_of(board, 0)
    record = trained(first)
    fill()
    board._lease._confirmed -= 40  # as if it could not be renewed for so long
    board.finish(0, record)
    assert [each.trial for each in RunDirectory(disk / "run").read_records()[0]] == [first.trial]
    assert board.next(0, HERE) is None
    with pytest.raises(ValueError, match=r"\\(No space left on device\\); make room and go on"):
        raise board.news(1).error or AssertionError
os.remove(disk / "others")
with board_in(disk / "other") as board:
    fill()
    board._lease._confirmed -= 40
    assert board.next(0, HERE) == "probe"
    from nas.probe import facts
    board.probed(0, HERE, facts())
    assert board.next(0, HERE) is None
    assert isinstance(board.news(1).error, ValueError), board.news(1).error
    os.remove(disk / "others")
    RunDirectory(disk / "other").put("lease/000002.json", "{}")
    fill()
    board._lease._confirmed -= 40
    with pytest.raises(RuntimeError, match="cannot confirm|no longer holds"):
        board._lease.require()
print("ok")
"""
TRAINING = """
from tests.trials.examples import trial
from trials.storage import Unwritten
from trials.task import open_task
from trials.training import run_trial

task = open_task("digits@rows=200")
folder, wanted = RunDirectory(disk / "run").folder("one"), trial(task, kind="finalist", epochs=2)
assert run_trial(wanted, task, folder=folder, checkpoint_seconds=0, report=lambda epoch: "pause") is None
fill()
try:
    run_trial(wanted, task, folder=folder, checkpoint_seconds=0)
except Unwritten as error:
    assert is_full(error)
else:
    raise AssertionError("there is no room for the weights")
os.remove(disk / "others")
told = []
record = run_trial(wanted, task, folder=folder, report=lambda epoch: told.append(epoch.epoch) or "continue")
assert record is not None and record.status == "completed", record
assert told == [1, 2] and len(record.curve) == 2
print("ok")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="disks of one's own are Linux's")
@pytest.mark.parametrize(
    "what",
    [RECORDS, CHECKPOINTS, LEASE, TRAINING],
    ids=["records", "checkpoints", "lease", "training"],
)
def test_on_a_disk_of_three_megabytes(tmp_path: Path, what: str) -> None:
    script, disk = tmp_path / "script.py", tmp_path / "disk"
    disk.mkdir()
    script.write_text(ON_A_SMALL_DISK + what)
    inside = 'mount -t tmpfs -o size=3m none "$1" && exec "$2" "$3" "$1"'
    own = ["unshare", "--user", "--map-root-user", "--mount"]  # a disk that only this command sees
    command = [*own, "sh", "-c", inside, "sh", str(disk), sys.executable, str(script)]
    root = Path(__file__).parent.parent.parent
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "ok", done.stderr
