"""Faults on real processes: a small real run is hurt at a moment that a seed gives, resumed until it is done,
and compared with one that nobody touched.

`python -m tests.nas.faults --count 30 --seed 0` is the soak; with `--write` its table goes to docs/faults.md.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from trials.record import TrialRecord
from trials.surroundings import commit

ROOT = Path(__file__).parent.parent.parent
FAULTY = Path(__file__).parent / "faulty"
DEFAULTS = {"trials.training.run_trial.checkpoint_seconds": 0.3, "nas.search.execute.silent_seconds": 8.0}
"""So that trials of seconds have something to go on from, and nobody waits a minute for a stalled one."""
MOST_STARTS = 8
SECONDS = 300
"""A driver that takes longer than this hangs."""
HOUR = 3600.0


def plan() -> SearchConfig:
    """12 trials of some seconds, of every kind that may be lost: `nas run tests/nas/faults.py:plan`."""
    return SearchConfig(
        name="faults",
        tasks=("digits",),
        epochs=10,
        defaults=(),
        population=4,
        repeats=0,
        seeds=2,
        search_trials=4,
        search_seeds=1,
        finalist_seeds=1,
        grace_epochs=2,
    )


# ---------------------------------------------------------------------- processes


@dataclass(slots=True)
class Site:
    """Where a run happens: its directory, its processes, and what was seen of its records.

    Attributes:
        address, dashboard: of a cluster that was started for it; None: the driver starts its own.
        faults, variables: of the environment of what is started next.
        sessions: Unix sessions of everything that was started; all processes in them are ours to kill.
        seen: records as they first appeared, by name.
        begun: epochs that a checkpoint held when the fault struck, with their seconds, by trial.
    """

    path: Path
    address: str | None = None
    dashboard: str | None = None
    token: str = "a token of this test"
    faults: dict[str, object] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    sessions: list[int] = field(default_factory=list)
    seen: dict[str, TrialRecord] = field(default_factory=dict)
    begun: dict[str, list[object]] = field(default_factory=dict)
    driver: subprocess.Popen[bytes] | None = None

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.path)

    @property
    def written(self) -> Path:
        """What the commands wrote; not on the disk of the run, which may be full."""
        return self.path.parent.with_name(f"{self.path.parent.name}.txt")

    @property
    def output(self) -> str:
        return self.written.read_text(errors="replace")

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, with the faults in its environment."""
        environment = os.environ | {
            "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}",
            "NAS_FAULT": json.dumps({"defaults": DEFAULTS} | self.faults),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        environment |= self.variables
        with open(self.written, "ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        self.sessions.append(process.pid)
        return process

    def start(self) -> None:
        """Start the driver."""
        where = ("--address", self.address) if self.address else ()
        command = (sys.executable, "-c", "from nas.cli import main; main()", "run", f"{__file__}:plan")
        self.driver = self.spawn(*command, "--run-dir", str(self.path), "--resume", *where)

    def processes(self) -> list[int]:
        """Everything of this site that is alive."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if os.getsid(int(entry.name)) in self.sessions and _title(int(entry.name)):
                    found.append(int(entry.name))
        return sorted(found)

    def workers(self) -> list[int]:
        """The processes of slots."""
        return [process for process in self.processes() if "ray::ImplicitFunc" in _title(process)]

    def kill_all(self) -> None:
        """SIGKILL to everything of this site."""
        for _ in range(3):  # a dying raylet may have been starting a worker
            for process in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.2)
        if self.driver is not None:
            self.driver.wait()

    def look(self) -> None:
        """Remember every record that is new."""
        for record in self.run.read_records()[0]:
            self.seen.setdefault(record.trial.id, record)

    def wait_for_records(self, count: int) -> None:
        """Until so many records are there, or the driver has ended."""
        until = time.monotonic() + SECONDS
        while len(self.seen) < count and self.driver is not None and self.driver.poll() is None:
            if time.monotonic() > until:
                raise AssertionError(f"no {count} records in {SECONDS} s\n{self.output[-3000:]}")
            time.sleep(0.1)
            self.look()

    def wait(self) -> int:
        """For the end of the driver: its exit code."""
        assert self.driver is not None
        until = time.monotonic() + SECONDS
        while self.driver.poll() is None:
            if time.monotonic() > until:
                raise AssertionError(f"the driver hangs\n{self.output[-3000:]}")
            time.sleep(0.2)
            self.look()
        self.look()
        return self.driver.returncode

    def remember_checkpoints(self) -> None:
        """What unfinished trials would go on from, so that it can be shown that they did."""
        import torch

        for path in self.path.glob("trials/*/checkpoint.pt"):
            with suppress(OSError, RuntimeError, EOFError, KeyError):  # replaced just now
                state = torch.load(path, weights_only=True)
                self.begun[path.parent.name] = state["ledger"]["curve"]


def _title(process: int) -> str:
    """The command of a process; empty of one that is gone or dead."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has at this moment."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@contextmanager
def site(path: Path, nodes: int = 0, dashboard: bool = False) -> Iterator[Site]:
    """A place for a run; with nodes, on a cluster of so many on this machine, one processor each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = Site(path)
    folder = tempfile.mkdtemp(prefix="nf-", dir="/tmp")  # sockets need short paths
    try:
        if nodes:
            port, client, board = free_ports(3)
            here.address = f"127.0.0.1:{port}"
            ports = ("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0")
            common = ("--num-cpus=1", "--node-ip-address=127.0.0.1", "--disable-usage-stats", *ports)
            head = ("--head", f"--port={port}", f"--ray-client-server-port={client}", f"--temp-dir={folder}")
            head += (f"--include-dashboard={str(dashboard).lower()}", f"--dashboard-port={board}")
            here.dashboard = f"http://127.0.0.1:{board}" if dashboard else None
            for more in (head, *[(f"--address={here.address}",)] * (nodes - 1)):
                started = here.spawn("ray", "start", *more, *common).wait(timeout=120)
                assert started == 0, here.output[-3000:]
        yield here
    finally:
        here.kill_all()
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------------- faults


def kill_worker(here: Site, rng: random.Random) -> None:
    """SIGKILL to the process of a slot."""
    os.kill(_some(here.workers, rng), signal.SIGKILL)


def stall_worker(here: Site, rng: random.Random) -> None:
    """SIGSTOP to the process of a slot; half of them go on some seconds later, if they are still there."""
    worker = _some(here.workers, rng)
    os.kill(worker, signal.SIGSTOP)
    if rng.random() < 0.5:
        time.sleep(rng.uniform(4, 12))
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


def kill_driver(here: Site, rng: random.Random) -> None:
    """SIGKILL to the driver alone."""
    assert here.driver is not None
    here.driver.kill()


def kill_cluster(here: Site, rng: random.Random) -> None:
    """SIGKILL to driver, gcs, raylets and workers at once."""
    here.kill_all()


def kill_node(here: Site, rng: random.Random) -> None:
    """SIGKILL to the raylet of the second node; its workers go with it."""
    raylets = [each for each in here.processes() if _title(each).split(" ")[0].endswith("raylet/raylet")]
    os.kill(raylets[-1], signal.SIGKILL)


def preempt(here: Site, rng: random.Random) -> None:
    """SIGTERM to the driver: it should save, and leave with 75."""
    assert here.driver is not None
    here.driver.terminate()


def nothing(here: Site, rng: random.Random) -> None:
    """The fault is in the environment already."""


def fill_disk(here: Site, rng: random.Random) -> None:
    """No room left on the file system of the run directory; where we may mount none, see `suffer`."""
    if here.faults:
        return
    used = shutil.disk_usage(here.path).used
    subprocess.run(["mount", "-o", f"remount,size={used}", here.path.parent], check=True)


STRIKE: dict[str, Callable[[Site, random.Random], None]] = {
    "worker killed": kill_worker,
    "worker stalled": stall_worker,
    "node killed": kill_node,
    "driver killed": kill_driver,
    "cluster killed": kill_cluster,
    "preempted": preempt,
    "disk full": fill_disk,
    "write errors": nothing,
    "clock jumps": nothing,
}
ON_NODES = ("node killed", "driver killed")
"""Those that need a cluster which is not the driver's own."""


def _some(found: Callable[[], list[int]], rng: random.Random) -> int:
    until = time.monotonic() + 60
    while not (processes := found()):
        assert time.monotonic() < until, "no slot is at work"
        time.sleep(0.1)
    return rng.choice(processes)


# ---------------------------------------------------------------------- a fault, from beginning to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a fault: exit codes of the drivers, in order; trials that went on from a checkpoint."""

    kind: str
    seed: int
    codes: list[int]
    continued: int
    seconds: float


def suffer(kind: str, seed: int, folder: Path, undisturbed: RunDirectory) -> Outcome:
    """Run the plan with a fault, go on until it is done, compare.

    Raises:
        AssertionError: something was lost, done twice, or done otherwise.
    """
    rng = random.Random(f"{kind} {seed}")
    began = time.monotonic()
    with ExitStack() as stack:
        small = stack.enter_context(_mounted(folder / "disk", kind == "disk full"))
        here = stack.enter_context(site(folder / "disk" / "run", 2 if kind in ON_NODES else 0))
        if kind == "disk full" and not small:
            here.faults = {"below": str(here.path), "every": rng.randint(10, 40), "errno": errno.ENOSPC}
        if kind == "write errors":
            number = rng.choice((errno.EIO, errno.ENXIO))  # the first may pass, the second does not
            here.faults = {"below": str(here.path), "every": rng.randint(5, 25), "errno": number}
        elif kind == "clock jumps":
            here.faults = {"after": rng.uniform(8, 20), "jump": rng.choice([-30, -1, 1, 30]) * HOUR}
        here.start()
        here.wait_for_records(rng.randint(1, 9))
        time.sleep(rng.uniform(0, 1.5))
        here.remember_checkpoints()
        STRIKE[kind](here, rng)
        codes = [here.wait()]
        here.faults = {}
        if small:
            subprocess.run(["mount", "-o", "remount,size=200m", folder / "disk"], check=True)
        while codes[-1] != 0 and len(codes) < MOST_STARTS:
            here.start()
            codes.append(here.wait())
        if codes[-1] != 0:
            raise AssertionError(f"not done after exit codes {codes}\n{here.output[-3000:]}")
        continued = check(here, undisturbed)
        seconds = time.monotonic() - began
    return Outcome(kind=kind, seed=seed, codes=codes, continued=continued, seconds=seconds)


@contextmanager
def _mounted(folder: Path, wanted: bool) -> Iterator[bool]:
    """A small file system of its own at a folder, where we may; whether there is one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder)]
    mounted = wanted and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def check(here: Site, undisturbed: RunDirectory) -> int:
    """Compare a run with the undisturbed one: how many trials went on from what a checkpoint held.

    Raises:
        AssertionError: with what is wrong.
    """
    (trials, damaged), (records, unreadable) = here.run.read_trials(), here.run.read_records()
    assert not damaged and not unreadable, (damaged, unreadable)
    ended = {record.trial.id: record for record in records}
    assert len(ended) == len(records), "two records of one trial"
    assert set(ended) == {trial.id for trial in trials}, "designs without a record, or records without one"
    for name, record in here.seen.items():
        assert ended[name] == record, f"the record of {name} changed"
    wanted = {record.trial.id: record for record in undisturbed.read_records()[0]}
    count = Counter(record.trial.study for record in wanted.values())
    assert Counter(trial.study for trial in trials) == count, "other numbers of trials"
    for study, many in count.items():
        assert sorted(trial.number for trial in trials if trial.study == study) == list(range(many)), study
    for name, record in wanted.items():
        if record.trial.study.kind == "population" or record.trial.study.space == plan().single:
            assert untimed(ended[name]) == untimed(record), f"{name} differs"
            if record.trial.study.kind == "finalist":
                ours, theirs = (_weights(run, name) for run in (here.run, undisturbed))
                assert ours == theirs, f"the weights of {name} differ"
    assert all(record.status != "failed" for record in records), [r.reason for r in records if r.reason]
    continued = 0
    for name, curve in here.begun.items():
        kept = _seconds(curve)
        again = [metrics.seconds_training for metrics in ended[name].curve[: len(kept)]]
        assert again == kept, f"{name} trained again what its checkpoint held"
        continued += 1
    return continued


def untimed(record: TrialRecord) -> object:
    """What must repeat bit for bit."""
    curve = [replace(m, seconds_data=0.0, seconds_training=0.0, seconds_evaluation=0.0) for m in record.curve]
    return record.trial, record.status, curve, record.test


def _seconds(curve: list[object]) -> list[float]:
    return [float(metrics["seconds_training"]) for metrics in curve]  # type: ignore[index]


def _weights(run: RunDirectory, name: str) -> bytes:
    return (run.path / "trials" / name / "weights.safetensors").read_bytes()


def run_undisturbed(folder: Path) -> RunDirectory:
    """The plan, untouched."""
    with site(folder / "run") as here:
        here.start()
        code = here.wait()
        assert code == 0, here.output[-3000:]
    return here.run


# ---------------------------------------------------------------------- the soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/faults.md")
    arguments = parser.parse_args()
    order = list(STRIKE) * (arguments.count // len(STRIKE) + 1)
    lines = [
        "| fault | seed | exit codes | went on from a checkpoint | s |",
        "| --- | --- | --- | --- | --- |",
    ]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="nas-faults-") as temporary:
        undisturbed = run_undisturbed(Path(temporary) / "undisturbed")
        for i, kind in enumerate(order[: arguments.count]):
            seed = arguments.seed + i
            try:
                done = suffer(kind, seed, Path(temporary) / str(i), undisturbed)
                codes = ", ".join(map(str, done.codes))
                lines.append(f"| {kind} | {seed} | {codes} | {done.continued} | {done.seconds:.0f} |")
            except AssertionError as error:
                wrong += 1
                lines.append(f"| {kind} | {seed} | WRONG: {str(error).splitlines()[0]} | | |")
                print(error, file=sys.stderr)
            print(lines[-1], flush=True)
    if arguments.write:
        _write(lines, arguments.count, wrong)
    sys.exit(1 if wrong else 0)


def _write(lines: list[str], count: int, wrong: int) -> None:
    page = ROOT / "docs" / "faults.md"
    head, _, _ = page.read_text().partition("## The soak")
    said = f"{count} faults, {wrong} wrong; {date.today()}, commit {commit()}."
    page.write_text(f"{head}## The soak\n\n{said}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
