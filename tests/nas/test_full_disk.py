"""A disk without room: nothing recorded is lost, a checkpoint may be, and it is said."""

from __future__ import annotations

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


@pytest.mark.skipif(sys.platform != "linux", reason="disks of one's own are Linux's")
@pytest.mark.parametrize("what", [RECORDS, CHECKPOINTS], ids=["records", "checkpoints"])
def test_on_a_disk_of_three_megabytes(tmp_path: Path, what: str) -> None:
    script, disk = tmp_path / "script.py", tmp_path / "disk"
    disk.mkdir()
    script.write_text(ON_A_SMALL_DISK + what)
    inside = 'mount -t tmpfs -o size=3m none "$1" && exec "$2" "$3" "$1"'
    own = ["unshare", "--user", "--map-root-user", "--mount"]  # a disk that only this command sees
    command = [*own, "sh", "-c", inside, "sh", str(disk), sys.executable, str(script)]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=None)
    assert done.stdout.strip() == "ok", done.stderr
