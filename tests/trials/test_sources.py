"""Which files a source has, and of which split: the layouts of the hub, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.trials.tables import as_nobody
from trials import sources


def layout(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(source: object) -> dict[str, list[str]]:
    return {split: [file.path.name for file in files] for split, files in sources.find(str(source)).items()}


THREE = {"train": 1, "validation": 1, "test": 1}
LAYOUTS: dict[str, tuple[list[str], dict[str, int]]] = {
    "flat": (["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"], {"train": 1, "test": 1}),
    "plain names": (["train.parquet", "validation.parquet", "test.parquet"], THREE),
    "a data folder": (
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        {"train": 2},
    ),
    "a configuration": (
        ["plain_text/train-00000-of-00001.parquet", "plain_text/test.parquet"],
        {"train": 1, "test": 1},
    ),
    "folders of splits": (
        ["default/train/0000.parquet", "default/test/0000.parquet"],
        {"train": 1, "test": 1},
    ),
    "splits alone": (["train/0.parquet", "train/1.parquet", "dev/0.parquet"], {"train": 2, "validation": 1}),
    "synonyms": (["training.parquet", "valid.parquet", "testing.parquet"], THREE),
    "short names": (["cifar_train.parquet", "cifar_val.parquet", "cifar_test.parquet"], THREE),
    "capitals": (["Train/a.parquet", "VAL/a.parquet", "Test/a.parquet"], THREE),
    "no split": (["0000.parquet", "0001.parquet"], {"train": 2}),
    "one split": (["test.parquet"], {"train": 1}),
    "parts of the hub": (
        ["default/partial-train/0000.parquet", "default/partial-test/0000.parquet"],
        {"train": 1, "test": 1},
    ),
    "words of folders": (["train-clean/0.parquet", "test-clean/0.parquet"], {"train": 1, "test": 1}),
    "parts of words that agree": (["trainset-0.parquet", "trainset-1.parquet"], {"train": 2}),
    "other files": (["train.parquet", "README.md", ".cache/x.parquet", ".hidden.parquet"], {"train": 1}),
}


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_layouts(tmp_path: Path, name: str) -> None:
    files, expected = LAYOUTS[name]
    splits = found(layout(tmp_path, *files))
    assert {split: len(names) for split, names in splits.items()} == expected
    assert all(names == sorted(names) for names in splits.values())


def test_a_glob_says_what_is_read(tmp_path: Path) -> None:
    layout(tmp_path, "en/train-00000-of-00002.parquet", "fr/train-00000-of-00001.parquet", "en/test.parquet")
    assert found(f"{tmp_path}/*/*.parquet") == {
        "test": ["test.parquet"],
        "train": ["train-00000-of-00002.parquet", "train-00000-of-00001.parquet"],
    }
    assert found(f"{tmp_path}/en/t*t.parquet") == {"train": ["test.parquet"]}
    assert found(tmp_path / "en/test.parquet") == {"train": ["test.parquet"]}


def test_a_glob_over_folders_finds_their_splits(tmp_path: Path) -> None:
    layout(tmp_path, "default/partial-train/0000.parquet", "default/partial-test/0000.parquet")
    assert {split: len(names) for split, names in found(f"{tmp_path}/default/*/*.parquet").items()} == {
        "train": 1,
        "test": 1,
    }
    layout(tmp_path, "other/trainset/0.parquet", "other/testset/0.parquet")
    with pytest.raises(
        ValueError, match=r"got testset/0\.parquet, trainset/0\.parquet; rename them, or give"
    ):
        found(f"{tmp_path}/other/*/*.parquet")
    assert found(f"{tmp_path}/other/trainset/*.parquet") == {"train": ["0.parquet"]}


def test_links_are_followed(tmp_path: Path) -> None:
    layout(tmp_path / "real", "data/train.parquet", "blob")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data").symlink_to(tmp_path / "real/data")
    (tmp_path / "set/data/test.parquet").symlink_to(tmp_path / "real/blob")
    assert found(tmp_path / "set") == {"train": ["train.parquet"], "test": ["test.parquet"]}
    (tmp_path / "real/data/loop").symlink_to(tmp_path / "set")
    with pytest.raises(ValueError, match="one configuration"):  # and no endless walk
        found(tmp_path / "set")


def test_links_are_followed_by_a_glob(tmp_path: Path) -> None:
    layout(tmp_path, "blobs/abc", "snapshots/rev/data/folder.parquet/x")  # as the hub keeps what it fetched
    (tmp_path / "snapshots/rev/data/train.parquet").symlink_to("../../../blobs/abc")
    assert found(f"{tmp_path}/snapshots/*/data/*.parquet") == {"train": ["train.parquet"]}
    (tmp_path / "snapshots/rev/data/test.parquet").symlink_to("../../../blobs/gone")
    assert found(f"{tmp_path}/snapshots/rev/data/*.parquet")["test"] == ["test.parquet"]  # reading says so


def test_only_stars_are_patterns(tmp_path: Path) -> None:
    for name in ("b[1]", "c?d", "e{f,g}"):
        layout(tmp_path, f"{name}/train.parquet", f"{name}/test.parquet")
        expected = {"train": ["train.parquet"], "test": ["test.parquet"]}
        assert found(f"{tmp_path}/{name}/*.parquet") == expected == found(f"{tmp_path}/**/{name}/*.parquet")


def test_a_file_without_a_version_is_fetched_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    layout(tmp_path, "web/train.parquet")
    with serving(tmp_path / "web") as url:
        contents, places = [], []
        for content in (b"one", b"two", b"two"):
            (tmp_path / "web/train.parquet").write_bytes(content)
            (file,) = sources.find(f"{url}/train.parquet")["train"]
            contents.append(file.path.read_bytes())
            places.append(file.path)
    assert contents == [b"one", b"two", b"two"] and len(set(places)) == 2
    assert places[0].read_bytes() == b"one"  # whoever reads it still can
    kept = {path for path in (tmp_path / "cache/files").iterdir() if path.suffix != ".lock"}
    assert kept == set(places)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server that says nothing of versions."""

    class Handler(SimpleHTTPRequestHandler):
        def send_header(self, keyword: str, value: str) -> None:
            if keyword != "Last-Modified":
                super().send_header(keyword, value)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing": (["README.md"], "must hold Parquet files.*there are none"),
    "configurations": (
        ["en/train.parquet", "fr/train.parquet"],
        r"one configuration, got en, fr; give the folder of one, as in .*/fr$",
    ),
    "configurations of folders": (
        ["en/train/0.parquet", "fr/train/0.parquet"],
        "one configuration, got en, fr",
    ),
    "configurations in words of folders": (
        ["train-small/0.parquet", "train-large/0.parquet", "test-large/0.parquet"],
        r"one configuration, got \*-large, \*-small; give the folder of one, as in .*/\*-small/\*\.parquet$",
    ),
    "two layouts": (["train.parquet", "data/train.parquet"], r"one configuration, got data, \."),
    "no training": (["test.parquet", "validation.parquet"], "train must be there, got test.parquet"),
    "another split": (["train.parquet", "test.parquet", "extra.parquet"], "got extra.parquet; rename"),
    "parts of words": (["trainset.parquet", "testset.parquet"], "a word of its own.*got testset.parquet"),
    "parts of words in capitals": (["mnistTrain.parquet", "mnistTest.parquet"], "got mnistTest.parquet"),
    "evaluation": (["eval.parquet", "a.parquet"], "got a.parquet, eval.parquet; rename"),
    "a part of one word": (["a.parquet", "b_testset.parquet"], "got a.parquet, b_testset.parquet; rename"),
    "a shard missing": (
        ["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"],
        "train-00001-of-00003.parquet is missing, 2 of 3 shards",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_ambiguous_is_refused(tmp_path: Path, name: str) -> None:
    files, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as error:
        found(layout(tmp_path, *files))
    assert str(tmp_path) in str(error.value) or "missing" in message


def test_sources_that_are_none(tmp_path: Path) -> None:
    for source, message in {
        f"{tmp_path}/nowhere": "nowhere: there is no such file, directory or bucket",
        f"{tmp_path}/*.parquet": "there are none",
        "gopher://host/set": "Protocol not known: gopher; known are a path, s3://",
        "s3://key:secret@bucket/set": r"must not hold credentials, got s3://\.\.\.@bucket/set",
    }.items():
        with pytest.raises(ValueError, match=message) as error:
            found(source)
        assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_folders_that_may_not_be_read() -> None:
    folder = Path(tempfile.mkdtemp())  # nobody may not enter tmp_path
    try:
        folder.chmod(0o755)
        layout(folder, "data/train.parquet")
        found(folder)  # imports what it needs
        (folder / "data").chmod(0)
        for source in (folder, folder / "data"):
            with as_nobody(), pytest.raises(ValueError, match=r"may not be read.*change its permissions"):
                found(source)
    finally:
        (folder / "data").chmod(0o700)
        shutil.rmtree(folder)


WITHOUT = """
import sys
sys.modules["s3fs"] = None  # what an import finds where it is not installed
from trials import sources
try:
    sources.find("s3://bucket/set")
except ValueError as error:
    print(error)
"""


def test_a_missing_backend_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "s3:// needs s3fs: pip install 'nas-flexconv[s3]'"
