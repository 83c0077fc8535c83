"""Which Parquet files a source has, and of which split; remote ones are fetched to this machine once."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import abspath, expanduser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trials import cache

if TYPE_CHECKING:
    from trials.finding import Progress

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""Words in names of files and folders, by the split they stand for."""
_WORDS = {word: split for split, words in SPLITS.items() for word in words}
_HINT = re.compile("train|test|eval|val|dev")
"""Parts of words that look like a split, where no whole word says one."""
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.parquet")
_BACKENDS = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub"}
"""Packages by protocol; the extras of this product are named like the protocols."""
_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"config_kwargs": {"retries": {"max_attempts": 0}}}}
"""botocore tries again within s3fs, and s3fs within what is done here: minutes for a server that is down."""
_VERSION = ("ETag", "etag", "md5Hash", "blob_id", "LastModified", "mtime", "created")
"""What backends know of a file's content, best first."""
_CHUNK = 2**25
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file.

    Attributes:
        url: what it is called in messages; a path if it is local.
        path: where it lies on this machine.
        split: what its name or its folder says; empty if nothing.
    """

    url: str
    path: Path
    split: str


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file where it is: `parts` are its name and the folders above it, from the source on."""

    url: str
    path: str
    parts: tuple[str, ...]
    info: dict[str, Any]


def find(source: str, progress: Progress | None = None) -> dict[str, list[File]]:
    """The files of a source by split: train, and validation and test where there are any.

    The split is a word of `SPLITS` in the file's name, else in that of its folder. Files of one split
    alone, or of none, are training rows; their `File.split` tells which. Remote files are fetched whole into
    the cache, once a node.

    Args:
        source: a directory, a glob or one file; a path or a URL that fsspec knows. Credentials come from the
            environment.
        progress: told bytes fetched of bytes to fetch.

    Raises:
        ValueError: nothing is there or it cannot be read, shards are missing, names are ambiguous.
    """
    if re.search(r"://[^/]*@", source):
        raise ValueError(
            f"a URL must not hold credentials, got {re.sub(r'://[^/]*@', '://...@', source)}; "
            "set them in the environment of each node"
        )
    system = _system(source)
    with _asking(source):
        found = _listed(system, source)
    if not found:
        raise ValueError(f"{source} must hold Parquet files, one or more *.parquet, but there are none")
    by_split = _by_split(source, found)
    if not _is_remote(source):
        return {
            split: [File(each.path, Path(each.path), _split(each.parts)[0]) for each in files]
            for split, files in by_split.items()
        }
    return _fetched(system, by_split, progress)


def _is_remote(source: str) -> bool:
    return "://" in source and not source.startswith(("file://", "local://"))


def _system(source: str) -> Any:
    import fsspec

    protocol = source.partition("://")[0] if "://" in source else "file"
    if protocol == "gs":
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # tracebacks of what we say in one line
    try:
        # an instance of our own: its listings are not older than this call
        system = fsspec.filesystem(protocol, skip_instance_cache=True, **_OPTIONS.get(protocol, {}))
    except ImportError as error:
        package = _BACKENDS.get(protocol)
        way_out = f"{package}: pip install 'nas-flexconv[{protocol}]'" if package else str(error)
        raise ValueError(f"{protocol}:// needs {way_out}") from error
    except ValueError as error:
        raise ValueError(f"{source}: {error}; known are a path, s3://, gs:// and hf://") from error
    if protocol == "s3":
        system.retries = 2
    return system


def _listed(system: Any, source: str) -> list[_Listed]:
    """Parquet files of a source, in the order of their paths."""
    root = system._strip_protocol(source if "://" in source else abspath(expanduser(source)))
    if "*" in root:
        pattern = re.sub(r"[\[?]", r"[\g<0>]", root)  # these are parts of names here
        infos = [info for info in system.glob(pattern, detail=True).values() if not _is_folder(system, info)]
        base = root.partition("*")[0].rpartition("/")[0]
    else:
        about = system.info(root)
        base = root if about["type"] == "directory" else root.rpartition("/")[0]
        infos = [about] if about["type"] == "file" else list(_below(system, root))
    found = []
    for info in sorted(infos, key=lambda info: str(info["name"])):
        parts = tuple(part for part in str(info["name"]).removeprefix(base).split("/") if part)
        if not isinstance(info["size"], int):
            raise OSError(f"the server does not say how large {info['name']} is")
        url = system.unstrip_protocol(info["name"]) if _is_remote(source) else info["name"]
        found.append(_Listed(url, info["name"], parts, info))
    return found


def _below(system: Any, folder: str, depth: int = 4) -> Iterator[dict[str, Any]]:
    for info in system.ls(folder, detail=True):
        name = str(info["name"]).rstrip("/")
        if name == folder.rstrip("/") or name.rpartition("/")[2].startswith("."):
            continue  # a marker of the folder itself; what tools hide there
        if _is_folder(system, info):
            if depth > 1:
                yield from _below(system, name, depth - 1)
        elif name.endswith(".parquet"):
            yield info


def _is_folder(system: Any, info: dict[str, Any]) -> bool:
    return info["type"] == "directory" or bool(info.get("islink") and system.isdir(info["name"]))


def _by_split(source: str, found: list[_Listed]) -> dict[str, list[_Listed]]:
    glob = "*" in source
    by_split: dict[str, list[_Listed]] = {}
    configurations: dict[str, None] = {}
    for each in found:
        split, folders = _split(each.parts)
        by_split.setdefault(split, []).append(each)
        configurations["/".join(folders) or "."] = None
    if len(configurations) > 1 and not glob:
        last = [*configurations][-1]
        raise ValueError(
            f"{source} must hold one configuration, got {', '.join(list(configurations)[:10])}; give the "
            f"folder of one, as in {source.rstrip('/')}/{last}{'/*.parquet' if '*' in last else ''}"
        )
    if not glob and not source.endswith(".parquet"):
        _check_shards(source, found)
    hints = {frozenset(_HINT.findall("/".join(each.parts).lower())) for each in by_split.get("", ())}
    if len(by_split) == 1 and len(hints) <= 1:  # trainset-0 and trainset-1 are alike; trainset, testset not
        return {"train": found}
    if "" in by_split or "train" not in by_split:
        names = ", ".join("/".join(each.parts) for each in (by_split.get("") or found)[:5])
        raise ValueError(
            f"{source}: names of files or of their folders must say train, validation or test as a word of "
            f"its own, and train must be there, got {names}; rename them, or give a glob of those to read"
        )
    return by_split


def _split(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The split of a file, empty if it has none, and the folders that say its configuration.

    Of partial-train, it is partial-*.
    """
    *folders, name = parts
    if word := _word(name):
        split = _WORDS[word]
        return split, tuple(folder for folder in folders if _WORDS.get(folder.lower()) != split)
    for i in reversed(range(len(folders))):
        if word := _word(folders[i]):
            rest = re.sub(word, "*", folders[i].lower(), count=1)
            return _WORDS[word], (*folders[:i], *([rest] if rest != "*" else []), *folders[i + 1 :])
    return "", tuple(folders)


def _word(name: str) -> str:
    """The word of a name that says a split, such as train of partial-train; empty if none does."""
    return next((word for word in re.split("[^a-z]+", name.lower()) if word in _WORDS), "")


def _check_shards(source: str, found: list[_Listed]) -> None:
    """Refuses a directory where a part of a numbered series is missing: the rest is not the dataset."""
    shards: dict[tuple[str, int], set[int]] = {}
    for each in found:
        if match := _SHARD.fullmatch("/".join(each.parts)):
            shards.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    for (name, count), numbers in shards.items():
        missing = sorted(set(range(count)) - numbers)
        if missing:
            raise ValueError(
                f"{source}: {name}-{missing[0]:05}-of-{count:05}.parquet is missing, {len(numbers)} of "
                f"{count} shards are there; fetch it, or give a glob of those to read"
            )


def _fetched(
    system: Any, by_split: dict[str, list[_Listed]], progress: Progress | None
) -> dict[str, list[File]]:
    total = sum(each.info["size"] for files in by_split.values() for each in files)
    found: dict[str, list[File]] = {split: [] for split in by_split}
    done = 0
    for split, files in by_split.items():
        for each in files:
            before = done

            def told(part: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + part, total)

            found[split].append(File(each.url, _fetch(system, each, told), _split(each.parts)[0]))
            done += each.info["size"]
    return found


def _fetch(system: Any, each: _Listed, told: Callable[[int], None]) -> Path:
    """A remote file in the cache, named by its URL and by what the server says of its content.

    Where it says nothing, the file is fetched each time, and named by its content.
    """
    size = each.info["size"]
    version = next((f"{key} {each.info[key]}" for key in _VERSION if each.info.get(key)), "")
    fingerprint = hashlib.sha256(f"{each.url}\n{size}\n{version}".encode()).hexdigest()
    content = hashlib.sha256()
    fresh = bool(version)

    def make(partial: Path) -> None:
        nonlocal fresh
        with partial.open("wb") as file:
            for block in _blocks(system, each, size):
                file.write(block)
                content.update(block)
                told(file.tell())
        fresh = True

    def load(place: Path) -> Path:
        if not fresh or place.stat().st_size != size:
            raise ValueError(f"{place} is damaged, or may be of another time")
        return place if version else place.replace(place.with_name(f"{content.hexdigest()}.parquet"))

    return cache.kept(f"files/{fingerprint}.parquet", make, load)


def _blocks(system: Any, each: _Listed, size: int) -> Iterator[bytes]:
    """The bytes of a remote file; a broken connection is taken up where it broke."""
    done = failures = 0
    while done < size:
        try:
            with system.open(each.path, "rb", cache_type="none") as file:
                file.seek(done)
                block: bytes = file.read(min(_CHUNK, size - done))
            if not block:
                raise EOFError(f"the file ends after {done} of {size} bytes")
        except Exception as error:  # backends raise whatever they meet
            failures += 1
            if failures == _ATTEMPTS or isinstance(error, FileNotFoundError | PermissionError):
                raise _refused(each.url, error) from error
            time.sleep(0.05 * 4**failures)
            continue
        failures = 0
        done += len(block)
        yield block


@contextmanager
def _asking(source: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # backends raise whatever they meet
        raise _refused(source, error) from error


def _refused(url: str, error: Exception) -> ValueError:
    """What a backend said, in one line with the way out."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, FileNotFoundError):
        return ValueError(f"{url}: there is no such file, directory or bucket; check the name")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        remote = "set credentials that may read it in the environment of this node"
        way_out = remote if "://" in url else "change its permissions"
        return ValueError(f"{url} may not be read ({said}); {way_out}")
    return ValueError(
        f"{url} cannot be read ({type(error).__name__}: {said}); check the connection and try again"
    )
