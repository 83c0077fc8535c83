"""A bucket on loopback: moto's server, and a proxy before it that cuts or delays connections."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from trials import storage

_NUMBERS = itertools.count()


@contextmanager
def server() -> Iterator[int]:
    """A server with the bucket ``bucket``; its port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    _, port = running.get_host_and_port()
    boto3.client("s3", **client(port)).create_bucket(Bucket="bucket")
    try:
        yield port
    finally:
        running.stop()


def client(port: int) -> dict[str, Any]:
    """What a client is made with."""
    return {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "region_name": "us-east-1",
    }


def environment(port: int, folder: Path) -> dict[str, str]:
    """What leads a process to the server, and to nothing of this machine's user."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def lead(monkeypatch: pytest.MonkeyPatch, port: int, folder: Path) -> None:
    """Lead this process and its children to a server, or to a proxy before it."""
    for name, value in environment(port, folder).items():
        monkeypatch.setenv(name, value)
    storage._remote.cache_clear()


def fresh() -> str:
    """A URL below which nothing is."""
    return f"s3://bucket/runs/{next(_NUMBERS)}"


class Proxy:
    """Passes TCP connections on until it has answered `most` bytes; then it breaks the next `cuts`.

    Every request waits for `delay` seconds.
    """

    def __init__(self, port: int, most: int = 0, cuts: float = 0, delay: float = 0.0) -> None:
        self.target, self.most, self.left, self.delay = ("127.0.0.1", port), most, cuts, delay
        self.broken = self.passed = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self.target)
            threading.Thread(target=self._pass, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._answer, args=(upstream, client), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with sink:
            try:
                while data := source.recv(65536):
                    time.sleep(self.delay)
                    sink.sendall(data)
            except OSError:
                return

    def _answer(self, source: socket.socket, sink: socket.socket) -> None:
        with source, sink:
            try:
                while data := source.recv(1024):
                    self.passed += len(data)
                    if self.passed > self.most and self.left > 0:
                        self.left -= 1
                        self.broken += 1
                        sink.shutdown(socket.SHUT_RDWR)
                        source.shutdown(socket.SHUT_RDWR)
                        return
                    sink.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self.server.close()
