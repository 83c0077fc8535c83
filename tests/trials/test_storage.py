"""One contract for a folder and a bucket; and what only one of them can meet."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trials import buckets
from tests.trials.buckets import Proxy
from trials.storage import Storage, _remote, is_full


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with buckets.server() as port:
        yield port


@pytest.fixture
def bucket(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    buckets.lead(monkeypatch, port, tmp_path)
    return Storage(buckets.fresh())


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "run")) if request.param == "folder" else request.getfixturevalue("bucket")


def test_what_was_put_last_is_read(storage: Storage) -> None:
    assert storage.get("a/b.json") is None and storage.names() == [] and storage.top() == set()
    storage.put("a/b.json", b"1")
    storage.put("a/b.json", b"")
    assert storage.get("a/b.json") == b""
    storage.put("a/b.json", b"\x00\xff" * 70_000)
    assert storage.get("a/b.json") == b"\x00\xff" * 70_000
    assert storage.get("a") is None and storage.get("a/b.json/c") is None


def test_names_are_those_of_whole_objects_below_a_prefix(storage: Storage) -> None:
    for name in ("b", "a/2/x", "a/1", "ab/1"):
        storage.put(name, b"x")
    assert storage.names() == ["a/1", "a/2/x", "ab/1", "b"]
    assert storage.names("a/") == ["a/1", "a/2/x"] and storage.names("c/") == []
    assert storage.top() == {"a", "ab", "b"}
    assert storage.get_all(["a/1", "none", "b"]) == {"a/1": b"x", "b": b"x"}
    assert storage.get_all([]) == {}
    assert storage.below("a").names() == ["1", "2/x"] and storage.below("a").get("2/x") == b"x"


def test_a_stamp_changes_with_the_content(storage: Storage) -> None:
    storage.put("a/1", b"x")
    storage.put("b", b"x")
    before = storage.stamps()
    assert sorted(before) == ["a/1", "b"] and storage.stamps() == before
    storage.put("b", b"y")
    after = storage.stamps()
    assert after["a/1"] == before["a/1"] and after["b"] != before["b"]
    assert list(storage.stamps("a/")) == ["a/1"]


def test_what_is_removed_is_gone_and_may_be_gone_before(storage: Storage) -> None:
    storage.put("a", b"x")
    storage.remove("a")
    storage.remove("a")
    assert storage.get("a") is None and storage.names() == []


def test_an_object_is_created_once(storage: Storage) -> None:
    assert storage.create("lease/1", b"mine")
    assert not storage.create("lease/1", b"yours")
    assert storage.create("lease/1", b"mine"), "our own, of which the answer was lost"
    assert storage.get("lease/1") == b"mine" and storage.names() == ["lease/1"]
    storage.remove("lease/1")
    assert storage.create("lease/1", b"yours")


def test_of_many_who_create_at_once_one_wins(storage: Storage) -> None:
    for attempt in range(5):
        name, together, won = f"lease/{attempt}", threading.Barrier(8), []

        def take(mine: bytes, name: str = name, together: threading.Barrier = together) -> None:
            together.wait()
            if storage.create(name, mine):
                won.append(mine)  # noqa: B023

        threads = [threading.Thread(target=take, args=(str(i).encode(),)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1 and storage.get(name) == won[0]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "",
        "a/",
        "..",
        "a\\b",
        "a b",
        "a\x00b",
        "C:/x",
        "~/x",
        "s3://x/y",
    ],
)
def test_no_name_leaves_the_root(storage: Storage, name: str) -> None:
    actions: list[Callable[[], object]] = [
        lambda: storage.put(name, b"x"),
        lambda: storage.create(name, b"x"),
        lambda: storage.get(name),
        lambda: storage.get_all([name]),
        lambda: storage.remove(name),
        lambda: storage.below(name),
    ]
    for action in actions:
        with pytest.raises(ValueError, match="names of objects are words joined by /"):
            action()
    assert storage.names() == []


def test_it_goes_to_other_processes(storage: Storage) -> None:
    storage.put("a", b"x")
    again = pickle.loads(pickle.dumps(storage))
    assert again == storage and again.get("a") == b"x"


def test_a_url_is_refused_by_its_credentials_and_its_protocol() -> None:
    hidden = (
        "s3://key:secret@bucket/run",
        "s3://key@bucket",
        "gs://token@bucket/a@b",
        "http://key:a@secret@b/c",
    )
    for url in (*hidden, "s3://key:a/secret@bucket", "s3://key:a@secret@bucket"):
        with pytest.raises(
            ValueError, match=r"AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS"
        ) as error:
            Storage(url)
        told = str(error.value).partition(url.partition("://")[0] + "://...; set")
        assert told[0] == "a URL must not hold credentials, got " and told[1]
    for url in ("http://host/run", "file:///tmp/run", "hf://datasets/x", "memory://x"):
        with pytest.raises(ValueError, match="a run is kept in a folder, s3:// or gs://, got"):
            Storage(url)
    assert Storage("s3://bucket/a@b").root == "s3://bucket/a@b"


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["s3fs"] = None  # what an import finds where it is not installed
from trials.storage import Storage
assert "fsspec" not in sys.modules
Storage(sys.argv[1]).put("a", b"x")  # a folder needs neither
assert "fsspec" not in sys.modules
try:
    Storage("s3://bucket/run").put("a", b"x")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == "s3:// needs s3fs: pip install 'nas-flexconv[s3]'", done.stderr


def test_an_answer_that_is_lost_is_asked_for_again(
    bucket: Storage, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(port, cuts=1)
    buckets.lead(monkeypatch, proxy.port, tmp_path)
    bucket.put("a", b"x")
    assert proxy.broken == 1 and bucket.get("a") == b"x"
    proxy.left = 1
    assert bucket.create("lease/1", b"mine"), "the first attempt arrived, though its answer did not"
    assert proxy.broken == 2 and not bucket.create("lease/1", b"yours")
    proxy.left = 2
    assert bucket.get_all(["a", "lease/1", "none"]) == {"a": b"x", "lease/1": b"mine"}
    proxy.left = 1
    assert bucket.names() == ["a", "lease/1"]
    proxy.close()


def test_a_server_that_stays_away_is_an_error_of_one_line(
    bucket: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    buckets.lead(monkeypatch, nobody, tmp_path)
    for action in (
        lambda: bucket.put("a", b"x"),
        lambda: bucket.create("a", b"x"),
        lambda: bucket.get("a"),
        bucket.names,
    ):
        with pytest.raises(OSError, match=r"s3://bucket/.*: Could not connect") as error:
            action()
        assert "\n" not in str(error.value) and not is_full(error.value)


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up_before_a_lease_is(
    bucket: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        buckets.lead(monkeypatch, silent.getsockname()[1], tmp_path)
        began = time.monotonic()
        with pytest.raises(OSError, match="s3://bucket/"):
            bucket.put("a", b"x")
        assert time.monotonic() - began < 32  # of 60


@pytest.mark.parametrize("number", ["EPERM", "ENOTSUP", "ENOSYS", "EMLINK"])
def test_without_links_an_object_is_created_once_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def no_link(*paths: object) -> None:
        raise OSError(getattr(errno, number), "this file system has no links")

    monkeypatch.setattr(os, "link", no_link)
    storage, won = Storage(str(tmp_path)), []
    threads = [
        threading.Thread(target=lambda i=i: won.append(i) if storage.create("a", b"%d" % i) else None)
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and storage.get("a") == b"%d" % won[0]
    assert os.listdir(tmp_path) == ["a"]


def test_a_bucket_that_is_not_there_and_credentials_that_are_missing(
    bucket: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="bucket does not exist"):
        Storage("s3://nobody/run").put("a", b"x")
    assert Storage("s3://nobody/run").top() == set()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    _remote.cache_clear()
    with pytest.raises(PermissionError, match="credentials"):
        Storage("s3://bucket/without").put("a", b"x")


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    storage, ending = Storage(str(tmp_path)), threading.Event()
    contents = [bytes([i]) * 200_000 for i in range(4)]
    storage.put("a", contents[0])

    def write() -> None:
        for i in range(10_000):
            if ending.is_set():
                return
            storage.put("a", contents[i % 4])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            assert storage.get("a") in contents
            assert storage.names() == ["a"]
    finally:
        ending.set()
        writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_what_was_there_and_no_litter(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError):
        storage.put("a", b"x")
    (tmp_path / "b").write_bytes(b"x")
    with pytest.raises(OSError):
        storage.put("b/c", b"y")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"] and storage.get("b") == b"x"
