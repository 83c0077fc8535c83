"""Trials that report to a writer while the server behind it fails in one way or another."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

from nas.tracking import Store
from nas.writer import Writer
from tests.nas.builders import record
from tests.nas.mlflow_views import View, views_of
from trials.recipe import STANDARD
from trials.record import Kind, TrialRecord

EPOCHS = 8


def trials(count: int = 6, epochs: int = EPOCHS) -> list[TrialRecord]:
    """Records with times of day, of populations and a search."""
    recipe, found = replace(STANDARD, epochs=epochs), []
    for number in range(count):
        kind: Kind = "search" if number % 3 == 2 else "population"
        one = record(number=number, error=0.1 + 0.01 * number, kind=kind, recipe=recipe)
        curve = [replace(each, at=1_700_000_000 + number + 2.0 * each.epoch) for each in one.curve]
        found.append(replace(one, curve=tuple(curve), started=1_700_000_000.0 + number))
    return found


def play(
    writer: Writer,
    records: Sequence[TrialRecord],
    pace: float,
    before: Callable[[int], None] = lambda epoch: None,
) -> float:
    """All trials at once, an epoch every `pace` seconds; the longest time that a call of the writer took.

    Args:
        before: called before each epoch of all trials.
    """
    longest = 0.0

    def timed(call: Callable[[], None]) -> None:
        nonlocal longest
        began = time.perf_counter()
        call()
        longest = max(longest, time.perf_counter() - began)

    for each in records:
        timed(partial(writer.epoch, each.trial, None))
    for epoch in range(1, max(len(each.curve) for each in records) + 1):
        before(epoch)
        time.sleep(pace)
        for each in records:
            if epoch <= len(each.curve):
                timed(partial(writer.epoch, each.trial, each.curve[epoch - 1]))
                writer.kept(each.trial, epoch)
    for each in records:
        timed(partial(writer.ended, each))
    return longest


def wanted(records: Sequence[TrialRecord], folder: Path) -> dict[str, View]:
    """What a store that never fails holds of these records."""
    uri = f"sqlite:///{folder / 'wanted.db'}"
    store = Store(uri, "wanted", folder / "wanted")
    for each in records:
        store.end(each)
    return views_of(uri, "wanted")


def mlflow_frames(but: str = "mlflow-writer") -> list[str]:
    """Threads of this process, all but the writer's, that are within MLflow right now."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for ident, frame in sys._current_frames().items():
        if names.get(ident) == but:
            continue
        at: FrameType | None = frame
        while at is not None:
            if "/mlflow/" in at.f_code.co_filename:
                found.append(f"{names.get(ident)}: {at.f_code.co_filename}")
            at = at.f_back
    return found


@contextmanager
def failing(uri: str, every: int = 3) -> Iterator[str]:
    """The address of a proxy before a server: it answers every third request with 500, of those every second
    one after the server has done what was asked."""
    host, lock, count = uri.removeprefix("http://"), threading.Lock(), [0]

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with lock:
                count[0] += 1
                number = count[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fails = number % every == 0
            if not fails or number % (2 * every) == 0:
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                status, content, kind = answer.status, answer.read(), answer.headers.get_content_type()
                connection.close()
            if fails:
                status, content, kind = 500, b"made to fail", "text/plain"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
