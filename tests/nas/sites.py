"""Where a run is hurt: its directory, its processes in Unix sessions of their own, its disk, what it left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nas.run_directory import RunDirectory
from tests.nas.clusters import RAY, kill_sessions, of_sessions
from trials.record import TrialRecord

ROOT = Path(__file__).parent.parent.parent
FAULTY = Path(__file__).parent / "faulty"
DEFAULTS = {"trials.training.run_trial.checkpoint_seconds": 0.3, "nas.search.execute.silent_seconds": 8.0}
"""So that trials of seconds have something to go on from, and nobody waits a minute for a stalled one."""
SECONDS = 300
"""A driver that takes longer than this hangs."""


@dataclass(slots=True)
class Site:
    """Where a run happens: its directory, its processes, and what was seen of its records.

    Attributes:
        address, dashboard: of a cluster that was started for it; None: the driver starts its own.
        faults, variables: of the environment of what is started next.
        sessions: Unix sessions of everything that was started; all processes in them are ours to kill.
        disk: a process that holds a small file system of the run's own (`small_disk`); None without.
        seen: records as they first appeared, by name.
        begun: epochs that a checkpoint held when the fault struck, with their seconds, by trial.
        left: trials whose checkpoint the first driver left without a record.
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
    left: set[str] = field(default_factory=set)
    disk: int | None = None
    driver: subprocess.Popen[bytes] | None = None

    @property
    def seen_path(self) -> Path:
        """The run directory as this process sees it."""
        return Path(f"/proc/{self.disk}/root{self.path}") if self.disk else self.path

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.seen_path)

    @property
    def struck(self) -> int:
        """Times that a fault of the environment struck."""
        log = self.written.with_suffix(".struck")
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def written(self) -> Path:
        """What the commands wrote; not on the disk of the run, which may be full."""
        return self.path.parent.with_name(f"{self.path.parent.name}.txt")

    @property
    def output(self) -> str:
        return self.written.read_text(errors="replace")

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, with the faults in its environment."""
        faults = {"defaults": DEFAULTS, "struck": str(self.written.with_suffix(".struck"))} | self.faults
        environment = os.environ | {
            "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}",
            "NAS_FAULT": json.dumps(faults),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        environment |= self.variables
        with open(self.written, "ab") as output:
            process = subprocess.Popen(
                [*self.within(), *command],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.sessions.append(process.pid)
        return process

    def within(self) -> list[str]:
        """What a command begins with that is to see the run's own disk."""
        return (
            [*f"nsenter --preserve-credentials --user --mount --target {self.disk}".split()]
            if self.disk
            else []
        )

    def small_disk(self) -> None:
        """Give the run a file system of 200 MB of its own.

        Raises:
            AssertionError: this system lets nobody mount one.
        """
        mount = 'mount -t tmpfs -o size=200m none "$0" && echo there && exec sleep infinity'
        own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(self.path.parent)]
        keeper = subprocess.Popen(own, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.sessions.append(keeper.pid)
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "there\n", "nobody may mount a disk of their own here"
        self.disk = keeper.pid

    def resize_disk(self, size: str) -> None:
        """Of the run's own file system; in bytes, or with a unit."""
        remount = ["mount", "-o", f"remount,size={size}", str(self.path.parent)]
        subprocess.run([*self.within(), *remount], check=True)

    def start(self) -> None:
        """Start the driver."""
        where = ("--address", self.address) if self.address else ()
        command = (
            sys.executable,
            "-c",
            "from nas.cli import main; main()",
            "run",
            f"{ROOT}/tests/nas/faults.py:plan",
        )
        self.driver = self.spawn(*command, "--run-dir", str(self.path), "--resume", *where)

    def processes(self) -> list[int]:
        """Everything of this site that is alive, but for what holds its disk."""
        return [process for process in of_sessions(self.sessions) if process != self.disk]

    def workers(self) -> list[int]:
        """The processes of slots."""
        return [process for process in self.processes() if "ray::ImplicitFunc" in title(process)]

    def kill_all(self) -> None:
        """SIGKILL to everything of this site, but for what holds its disk."""
        kill_sessions([session for session in self.sessions if session != self.disk])
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

    def remember_checkpoints(self) -> bool:
        """What unfinished trials would go on from; whether there are any, and all can go on for epochs."""
        import torch

        states = {}
        for path in self.seen_path.glob("trials/*/checkpoint.pt"):
            with suppress(OSError, RuntimeError, EOFError, KeyError):  # replaced just now
                states[path.parent.name] = torch.load(path, weights_only=True)["ledger"]["curve"]
        self.begun |= states
        open_ones = {trial.id for trial in self.run.read_trials()[0]} - set(self.seen)
        return bool(open_ones) and all(len(states.get(each, 10 * [None])) <= 5 for each in open_ones)

    def wait_for_checkpoints(self) -> bool:
        """Until all running trials have one; False if half a minute has no such moment."""
        until = time.monotonic() + 30
        while time.monotonic() < until and self.driver is not None and self.driver.poll() is None:
            self.look()
            if self.remember_checkpoints():
                return True
            time.sleep(0.05)
        return False

    def note_left(self) -> None:
        """What the driver that has just ended left to go on from."""
        self.look()
        self.remember_checkpoints()
        self.left = {path.parent.name for path in self.seen_path.glob("trials/*/checkpoint.pt")} - set(
            self.seen
        )


def title(process: int) -> str:
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
                started = here.spawn(str(RAY), "start", *more, *common).wait(timeout=120)
                assert started == 0, here.output[-3000:]
        yield here
    finally:
        here.kill_all()
        kill_sessions(here.sessions)
        shutil.rmtree(folder, ignore_errors=True)
