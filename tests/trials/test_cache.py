"""The cache: written once, completely or not at all, shared by processes, made anew when it is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.trials.tables import everything, image_table, read_all, series_table, write
from trials import cache, parquet
from trials.reference import Task


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(cache_folder: Path) -> list[Path]:
    """What counts, and what must not be left."""
    return sorted(path for path in (cache_folder / "decoded").iterdir() if path.suffix != ".lock")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.root() == tmp_path / "cache"
    monkeypatch.delenv("NAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root() == tmp_path / "nas-flexconv"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == Path.home() / ".cache/nas-flexconv"
    for name in ("NAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "here/cache")
        with pytest.raises(ValueError, match=f"{name} must be an absolute path, .*got 'here/cache'; set it"):
            cache.root()
        monkeypatch.delenv(name)


def test_the_second_opening_maps_what_the_first_wrote(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path / "set/train.parquet", image_table())
    first = everything(read_all(tmp_path / "set").train)
    (entry,) = entries(own_cache)
    written = entry.stat().st_mtime_ns
    second = everything(read_all(tmp_path / "set").train)
    assert isinstance(second.inputs, np.memmap) and second.inputs.dtype == np.uint8
    assert np.array_equal(first.inputs, second.inputs) and np.array_equal(first.moments, second.moments)
    assert entries(own_cache) == [entry] and entry.stat().st_mtime_ns == written
    second.inputs[:] = 7  # a copy of this process alone
    assert np.array_equal(everything(read_all(tmp_path / "set").train).inputs, first.inputs)


def test_content_size_and_rows_are_the_key(tmp_path: Path, own_cache: Path) -> None:
    folder = write(tmp_path / "set/train.parquet", image_table())
    part = read_all(folder).train
    os.utime(folder / "train.parquet")
    read_all(folder)
    write(tmp_path / "copy/train-00000-of-00001.parquet", image_table())
    read_all(tmp_path / "copy")
    assert len(entries(own_cache)) == 1  # the same bytes elsewhere, or touched, are decoded already
    assert part.decoded(np.array([3, 9])).inputs[:, 0, 0, 0].tolist() == [3, 9]
    assert len(entries(own_cache)) == 2
    assert everything(read_all(folder, resolution=2).train).inputs.shape == (30, 1, 2, 2)
    assert len(entries(own_cache)) == 3
    write(
        folder / "train.parquet", image_table(changed={0: {"bytes": image_table(8)["image"][7][0].as_py()}})
    )
    assert everything(read_all(folder).train).inputs[0, 0, 0, 0] == 7
    assert len(entries(own_cache)) == 4
    assert everything(read_all(folder, max_pixels=24).train).inputs.shape == (30, 1, 4, 6)
    assert len(entries(own_cache)) == 4  # a limit decides what is decoded, not to what


@pytest.mark.parametrize("name", ["inputs", "fingerprints", "moments"])
@pytest.mark.parametrize("keep", [None, 0, 60, -1])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, own_cache: Path, name: str, keep: int | None) -> None:
    write(tmp_path / "set/train.parquet", image_table())
    first = everything(read_all(tmp_path / "set").train)
    expected = np.array(first.inputs)
    path = entries(own_cache)[0] / f"{name}.npy"
    content = path.read_bytes()
    path.unlink() if keep is None else path.write_bytes(content[:keep])
    assert np.array_equal(everything(read_all(tmp_path / "set").train).inputs, expected)
    assert path.read_bytes() == content


def test_a_longer_file_is_damaged(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path / "set/train.parquet", series_table())
    read_all(tmp_path / "set")
    path = entries(own_cache)[0] / "inputs.npy"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    read_all(tmp_path / "set")
    assert path.read_bytes() == content


def test_a_broken_row_leaves_nothing(tmp_path: Path, own_cache: Path) -> None:
    write(tmp_path / "set/train.parquet", image_table(changed={29: {"bytes": b"no image", "path": None}}))
    with pytest.raises(ValueError, match="row 29"):
        read_all(tmp_path / "set")
    assert entries(own_cache) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "set/train.parquet", image_table())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(ValueError, match="set NAS_CACHE to a folder that can be written"):
        read_all(tmp_path / "set")


WRITER = """
import sys, time
from pathlib import Path
from trials import cache

def make(partial):
    partial.mkdir()
    Path(sys.argv[1]).write_text("writing")
    time.sleep(float(sys.argv[3]))
    (partial / "value").write_text(sys.argv[2])

print(cache.kept("decoded/entry", make, lambda place: (place / "value").read_text()))
"""


def writer(mark: Path, value: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(mark), value, str(seconds)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE)


def wait_for(mark: Path) -> None:
    for _ in range(200):
        if mark.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"nobody wrote {mark}")


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    first = writer(tmp_path / "first", "by the first", 1.5)
    wait_for(tmp_path / "first")
    second = writer(tmp_path / "second", "by the second", 0)
    assert second.communicate()[0].strip() == first.communicate()[0].strip() == "by the first"
    assert not (tmp_path / "second").exists()


def test_what_a_killed_writer_left_does_not_count_and_is_swept(tmp_path: Path, own_cache: Path) -> None:
    killed = writer(tmp_path / "mark", "killed", 60)
    wait_for(tmp_path / "mark")
    killed.kill()
    killed.wait()
    assert [path.name for path in entries(own_cache)] == ["entry.partial"]
    living = writer(tmp_path / "other", "alive", 3)  # of the same entry: begins anew
    wait_for(tmp_path / "other")
    write(tmp_path / "set/train.parquet", image_table())
    read_all(tmp_path / "set")  # sweeps, but not what is being written
    assert (own_cache / "decoded/entry.partial").exists()
    assert living.communicate()[0].strip() == "alive"
    (own_cache / "decoded/dead.partial").mkdir()
    read_all(tmp_path / "set", resolution=3)
    assert not [path for path in entries(own_cache) if path.suffix == ".partial"]


def test_digests_are_remembered_and_follow_the_file(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = cache.digest(path)
    (remembered,) = (each for each in (own_cache / "digests").iterdir() if each.suffix != ".lock")
    remembered.write_text("0" * 64)
    assert cache.digest(path) == "0" * 64  # it is not read again
    remembered.write_text("damaged")
    assert cache.digest(path) == first
    path.write_bytes(b"two")
    second = cache.digest(path)
    assert second != first
    about = path.stat()
    path.write_bytes(b"six")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as rsync and tar do
    assert cache.digest(path) not in (first, second)


def test_all_cores_write_what_one_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [[rng.normal(size=rng.integers(1, 9)).tolist()] for _ in range(2100)]
    table = {"series": rows, "label": [i % 3 for i in range(2100)]}
    write(tmp_path / "set/train.parquet", table, group=1500)
    told: list[tuple[int, int]] = []
    part = parquet.open_parquet(Task(source=str(tmp_path / "set")), lambda *done: told.append(done)).train
    found = everything(part)
    assert told[-1] == (2100, 2100) and len(told) > 1 and told == sorted(told)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("trials.parallel.ALONE", 10_000)
    alone = everything(part)
    for name in ("inputs", "fingerprints", "moments"):
        assert np.array_equal(getattr(found, name), getattr(alone, name), equal_nan=name == "inputs")
    for row, values in zip(found.inputs, rows):
        assert np.array_equal(row[0, : len(values[0])], np.float32(values[0]))
        assert np.isnan(row[0, len(values[0]) :]).all()
