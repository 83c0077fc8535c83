"""Ray clusters of several nodes on this machine, for tests: real processes, stopped by their own numbers."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RAY = Path(sys.executable).parent / "ray"
CLIENT = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level=50); print('in')"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LocalCluster:
    """A head node in the source tree; other nodes join and leave."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._temp = tempfile.mkdtemp(prefix="rc-", dir="/tmp")  # short: names of sockets are limited
        stack.callback(shutil.rmtree, self._temp, ignore_errors=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.token = secrets.token_hex(32)
        port = self.address.rpartition(":")[2]
        head = ["--head", f"--port={port}", f"--temp-dir={self._temp}", "--include-dashboard=false"]
        self.start(head, ROOT, {"PYTHONPATH": str(ROOT)})

    def environment(self, **extra: str) -> dict[str, str]:
        """Of whoever is let in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, **extra}

    def join(self, folder: Path, **extra: str) -> subprocess.Popen[str]:
        """One more node with one processor, started in a folder without the source tree on its path."""
        return self.start([f"--address={self.address}"], folder, {"PYTHONPATH": "", **extra})

    def start(self, what: list[str], folder: Path, extra: dict[str, str]) -> subprocess.Popen[str]:
        command = [str(RAY), "start", "--block", "--num-cpus=1", "--dashboard-agent-listen-port=0"]
        command += ["--object-store-memory=100000000", "--node-ip-address=127.0.0.1", "--disable-usage-stats"]
        node = subprocess.Popen(
            [*command, *what],
            cwd=folder,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._stack.callback(self.kill, node)
        assert node.stdout is not None
        said = ""
        for line in node.stdout:
            said += line
            if "--block" in line:
                return node
        raise AssertionError(f"the node did not start: {said}")

    @staticmethod
    def kill(node: subprocess.Popen[str]) -> None:
        """Like a machine that loses its power: everything that it started is killed."""
        with suppress(ProcessLookupError):
            for pid in [*descendants(node.pid), node.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        node.wait()


def let_in(address: str, environment: dict[str, str]) -> bool:
    """Whether a cluster lets in a client that has no more than this."""
    command = [sys.executable, "-c", CLIENT, address]
    client = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=100)
    assert client.returncode == 0 or "RAY_AUTH" in client.stderr or "token" in client.stderr, client.stderr
    return client.returncode == 0 and client.stdout.split() == ["in"]


def descendants(pid: int) -> list[int]:
    """Processes started by one, and by those."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdecimal():
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found += [int(folder.name), *descendants(int(folder.name))]
    return found


def of_sessions(sessions: Sequence[int]) -> list[int]:
    """Processes of Unix sessions that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) in sessions and (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


def kill_sessions(sessions: Sequence[int]) -> None:
    """SIGKILL to all of them."""
    for _ in range(3):  # a dying raylet may have been starting a worker
        for process in of_sessions(sessions):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.2)


@contextmanager
def started(
    command: list[str], cwd: Path, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command in a Unix session of its own; whatever it started and left is killed at the end."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_sessions([process.pid])
        process.wait()


@contextmanager
def local_cluster() -> Iterator[LocalCluster]:
    with ExitStack() as stack:
        yield LocalCluster(stack)
