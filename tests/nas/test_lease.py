"""One driver holds a run: races, silence, suspension, death, and clocks that jump; local and on S3."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import nas.lease
from nas.lease import Held, Hold, Lease, LeaseLost, holder, take
from tests.trials import buckets
from trials.plain import dumps, from_plain
from trials.storage import Storage

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = Hold(holder="a", host="elsewhere", place="other boot", pid=7, born="1", held=100.0)


def nothing(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with buckets.server() as port:
        yield port


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path / "run"))
    port, patch = request.getfixturevalue("port"), request.getfixturevalue("monkeypatch")
    buckets.lead(patch, port, tmp_path)
    return Storage(buckets.fresh())


def content(storage: Storage, number: int) -> Hold:
    data = storage.get(f"lease/{number:06d}.json")
    assert data is not None
    return from_plain(Hold, json.loads(data))


def test_of_many_that_create_an_object_one_succeeds(storage: Storage) -> None:
    for number in range(5):
        with ThreadPoolExecutor(12) as pool:
            contents = [str(i).encode() for i in range(12)]
            tries = list(pool.map(storage.create, [f"x/{number}"] * 12, contents))
        assert sum(tries) == 1
        assert storage.get(f"x/{number}") == str(tries.index(True)).encode()


def test_of_many_that_race_for_a_dead_lease_one_wins(storage: Storage) -> None:
    storage.create("lease/000001.json", dumps(ELSEWHERE).encode())
    together = threading.Barrier(8)

    def race(number: int) -> Lease | str:
        together.wait()
        try:
            return take(storage, nothing, patience=0.4)
        except Held as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(race, range(8)))
    (winner,) = [each for each in ends if isinstance(each, Lease)]
    assert winner.number == 2
    winner.require()
    assert all("holds" in each and "wait for it or stop it" in each for each in ends if isinstance(each, str))
    assert winner.held >= 100.0, "what was held before is part of it"


RACE = """
import sys
from nas.lease import Held, take
from trials.storage import Storage
sys.stdin.readline()
try:
    take(Storage(sys.argv[1]), print, patience=0.4)
    print("won")
except Held:
    print("held")
sys.stdout.flush()
sys.stdin.readline()
"""


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_of_two_processes_that_race_for_a_dead_lease_one_wins(tmp_path: Path) -> None:
    Storage(str(tmp_path)).create("lease/000001.json", dumps(ELSEWHERE).encode())
    racers = [child(RACE, str(tmp_path)) for _ in range(4)]
    for each in racers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    lines = []
    for each in racers:
        assert each.stdout is not None
        while (line := each.stdout.readline().strip()) not in ("won", "held"):
            assert "for a sign of it" in line or "has not renewed its hold" in line
        lines.append(line)
    for each in racers:
        each.communicate("\n")
    assert sorted(lines) == ["held", "held", "held", "won"]


def test_a_holder_that_renews_is_left_alone(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas.lease, "BEAT_SECONDS", 0.2)
    with take(storage, nothing) as lease:
        with pytest.raises(Held, match=f"process {os.getpid()} on .* holds .* and renewed that [01] s ago"):
            take(storage, nothing, patience=30)
        found = holder(storage)
        assert found is not None and found.pid == os.getpid()
        lease.require()
    assert holder(storage) is None
    second = take(storage, nothing, patience=1e9)  # at once, since it was released
    assert second.number == 2
    with pytest.raises(LeaseLost, match="it was released"):
        lease.require()


def test_a_silent_holder_is_taken_over_and_says_so(storage: Storage) -> None:
    storage.create("lease/000007.json", dumps(ELSEWHERE).encode())
    said: list[str] = []
    lease = take(storage, said.append, patience=0.3)
    assert lease.number == 8
    assert "process 7 on elsewhere had" in said[0] and "for a sign of it" in said[0]
    assert "process 7 on elsewhere has not renewed its hold" in said[1]


def test_one_taken_and_released_while_it_was_watched_is_followed(storage: Storage) -> None:
    storage.create("lease/000001.json", dumps(ELSEWHERE).encode())

    def meanwhile(line: str) -> None:
        taken = replace(ELSEWHERE, holder="b", released=True)
        assert storage.create("lease/000002.json", dumps(taken).encode())

    assert take(storage, meanwhile, patience=5.0).number == 3


def test_only_the_last_two_leases_are_kept(storage: Storage) -> None:
    for _ in range(4):
        take(storage, nothing).release()
    assert storage.names("lease/") == ["lease/000003.json", "lease/000004.json"]
    assert content(storage, 4).held > content(storage, 3).held > 0


def test_one_that_slept_through_two_takeovers_does_not_win(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(storage, nothing).release()
    create = Storage.create

    def slow(self: Storage, name: str, data: bytes) -> bool:
        monkeypatch.setattr(Storage, "create", create)
        for _ in range(3):
            take(storage, nothing).release()  # and number 2 is removed
        return create(self, name, data)

    monkeypatch.setattr(Storage, "create", slow)
    with pytest.raises(Held):
        take(storage, nothing)
    assert storage.names("lease/") == ["lease/000003.json", "lease/000004.json"]


DIES = "import os, sys; from nas.lease import take; from trials.storage import Storage\n"
DIES += "lease = take(Storage(sys.argv[1]), print); lease.keep(); os._exit(9)"


def test_a_dead_process_of_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    dead = child(DIES, str(tmp_path))
    dead.communicate()
    storage = Storage(str(tmp_path))
    assert content(storage, 1).pid == dead.pid
    assert take(storage, nothing, patience=1e9).number == 2


def test_a_new_process_with_the_same_number_is_told_apart(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    take(storage, nothing)
    mine = content(storage, 1)
    assert not mine.gone
    earlier = replace(mine, born=str(int(mine.born) - 1))
    assert earlier.gone
    assert not replace(earlier, place="another container").gone
    storage.put("lease/000001.json", dumps(earlier).encode())
    assert take(storage, nothing, patience=1e9).number == 2


WRITES = """
import sys
import nas.lease
from trials.storage import Storage
nas.lease.BEAT_SECONDS, nas.lease.TRUST_SECONDS = 0.1, 0.3
storage = Storage(sys.argv[1])
with nas.lease.take(storage, print) as lease:
    number = 0
    try:
        while True:
            lease.require()
            storage.put(f"written/{number}", b"")
            number += 1
    except nas.lease.LeaseLost as error:
        print(number, error)
"""


def test_a_holder_that_was_suspended_writes_nothing_more(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    writer = child(WRITES, str(tmp_path))
    while not storage.names("written/"):
        time.sleep(0.05)
    os.kill(writer.pid, signal.SIGSTOP)
    lease = take(storage, nothing, patience=1.0)
    there = len(storage.names("written/"))
    os.kill(writer.pid, signal.SIGCONT)
    output, _ = writer.communicate(timeout=60)
    number, _, reason = output.strip().partition(" ")
    assert "it writes nothing more" in reason and f"process {os.getpid()} on" in reason
    assert int(number) <= there + 1, "at most the write that it was suspended in"
    assert holder(storage) == content(storage, 2)
    lease.require()
    lease.release()
    assert content(storage, 2).released


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas.lease, "BEAT_SECONDS", 0.1)
    storage, jump, wall = Storage(str(tmp_path)), [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump[0])
    with take(storage, nothing) as lease:
        for jump[0] in (7 * 3600.0, -9 * 3600.0):
            with pytest.raises(Held):
                take(storage, nothing, patience=20)
            lease.require()
            assert 0 < lease.held < 1000
    assert content(storage, 1).held < 1000


def test_another_process_of_the_driver_renews_it_too_and_stops_when_the_driver_dies(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    code = "import sys, pickle; from nas.lease import take; from trials.storage import Storage\n"
    code += "lease = take(Storage(sys.argv[1]), print); print(pickle.dumps(lease).hex(), flush=True)\n"
    code += "sys.stdin.readline()"
    driver = child(code, str(tmp_path))
    assert driver.stdout is not None
    lease = pickle.loads(bytes.fromhex(driver.stdout.readline()))
    before = content(storage, 1)
    lease._confirmed -= 40  # as if it had not been confirmed for so long
    lease.require()
    after = content(storage, 1)
    assert (after.beat, after.pid, after.held > before.held) == (before.beat + 1, driver.pid, True)
    driver.kill()
    driver.communicate()
    with pytest.raises(LeaseLost, match=f"its driver .process {driver.pid}. has died"):
        lease.require()


def test_what_cannot_be_confirmed_is_not_trusted(tmp_path: Path) -> None:
    lease = take(Storage(str(tmp_path / "run")), nothing)
    lease.require()
    lease._confirmed -= 40
    (tmp_path / "run" / "lease" / "000001.json").unlink()
    with pytest.raises(LeaseLost, match="its lease was removed"):
        lease.require()


def test_a_lease_of_another_version_is_watched_all_the_same(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.put("lease/000001.json", b'{"later": true}')
    assert take(storage, nothing, patience=0.2).number == 2
