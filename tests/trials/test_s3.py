"""Parquet files over S3: a real server on loopback, and a proxy before it that cuts connections."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest

from tests.trials import buckets
from tests.trials.buckets import Proxy
from tests.trials.tables import everything, read_all, write
from trials.dataset import Dataset

ROWS = 400


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 300 kB, noise, so that a connection can break in the middle."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, rows in (("train-00000-of-00001", ROWS), ("test-00000-of-00001", 30)):
        series = rng.normal(size=(rows, 1, 200)).astype(np.float32).tolist()
        write(folder / f"data/{name}.parquet", {"series": series, "label": np.arange(rows) % 3}, group=100)
    return folder


@pytest.fixture(scope="module")
def port(corpus: Path) -> Iterator[int]:
    with buckets.server() as port:
        client = boto3.client("s3", **buckets.client(port))
        for path in corpus.rglob("*.parquet"):
            client.upload_file(str(path), "bucket", f"sets/noise/{path.relative_to(corpus)}")
        yield port


@pytest.fixture(autouse=True)
def credentials(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in buckets.environment(port, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def through(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, float], Proxy]]:
    proxies = []

    def start(most: int, cuts: float) -> Proxy:
        proxies.append(Proxy(port, most, cuts))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxies[-1].port}")
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def same(one: Dataset, other: Dataset) -> bool:
    mine, theirs = everything(one.train), everything(other.train)
    labels = np.array_equal(one.train.labels(), other.train.labels())
    return labels and np.array_equal(mine.inputs, theirs.inputs) and one.class_names == other.class_names


def files(cache: Path) -> list[Path]:
    return [path for path in (cache / "files").glob("*") if path.suffix != ".lock"]


def test_a_directory_and_a_glob_open_as_they_do_locally(corpus: Path, credentials: Path) -> None:
    here, there = read_all(corpus), read_all("s3://bucket/sets/noise")
    assert same(here, there) and here.test is not None and there.test is not None
    assert np.array_equal(everything(here.test).inputs, everything(there.test).inputs)
    fetched = {path: path.stat().st_mtime_ns for path in files(credentials)}
    glob = read_all("s3://bucket/sets/*/data/train-*.parquet")
    assert same(here, glob) and glob.test is None
    assert len(fetched) == 2  # once, for both
    assert {path: path.stat().st_mtime_ns for path in files(credentials)} == fetched
    assert "s3://bucket/sets/noise" in there.origin


def test_rows_are_named_by_url(port: int, tmp_path: Path) -> None:
    broken = write(tmp_path / "train.parquet", {"series": [[[1.0]], [[float("nan")]]], "label": [0, 1]})
    client = boto3.client("s3")
    client.upload_file(str(broken / "train.parquet"), "bucket", "broken/train.parquet")
    with pytest.raises(ValueError, match=r"s3://bucket/broken/train\.parquet, row 1, column 'series'"):
        read_all("s3://bucket/broken")


def test_a_connection_that_breaks_is_taken_up(corpus: Path, through: Callable[[int, float], Proxy]) -> None:
    proxy = through(100_000, 1)
    assert same(read_all(corpus), read_all("s3://bucket/sets/noise"))
    assert proxy.broken == 1


def test_what_was_fetched_is_not_fetched_again(
    corpus: Path, through: Callable[[int, float], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.sources._CHUNK", 2**15)
    proxy = through(200_000, 8)  # more often than s3fs tries again
    assert same(read_all(corpus), read_all("s3://bucket/sets/noise"))
    assert proxy.broken == 8
    size = sum(path.stat().st_size for path in corpus.rglob("*.parquet"))
    assert size < proxy.passed < size + 100_000


def test_a_connection_that_always_breaks_is_an_error(
    credentials: Path, through: Callable[[int, float], Proxy]
) -> None:
    proxy = through(100_000, float("inf"))
    with pytest.raises(
        ValueError, match=r"s3://bucket/.*/train-00000-of-00001\.parquet cannot be read"
    ) as error:
        read_all("s3://bucket/sets/noise")
    assert proxy.broken > 1 and "\n" not in str(error.value)
    assert all(path.suffix == ".parquet" and "partial" not in path.name for path in files(credentials))
    assert not (credentials / "decoded").exists()


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(ValueError, match=r"s3://bucket/sets/noise cannot be read .*check the connection"):
        read_all("s3://bucket/sets/noise")


def test_a_wrong_bucket_and_a_wrong_path() -> None:
    for url in ("s3://no-such-bucket/sets", "s3://bucket/sets/nothing"):
        with pytest.raises(ValueError, match=f"{url}: there is no such file, directory or bucket"):
            read_all(url)


def test_missing_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        ValueError, match=r"may not be read.*set credentials .* in the environment of this node"
    ):
        read_all("s3://bucket/sets/noise")
