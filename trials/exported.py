"""Export folders, read: checked for damage, and their design as a value. Nothing is built or unpickled.

manifest.json       SHA-256 and size of every file; tells damage, not tampering
architecture.json   the design and what belongs to it, `Design`
model.safetensors   its weights
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search_spaces.architecture import Architecture, Setting
from search_spaces.carrying import carried
from search_spaces.complexity import complexity, initial_taps, parts
from search_spaces.parts import Convolution
from search_spaces.space import TaskShape
from trials.plain import dumps, from_plain

ARCHITECTURE, MANIFEST, TENSORS = "architecture.json", "manifest.json", "model.safetensors"
LARGEST_JSON = 2**18
"""Bytes of a JSON file in an export folder."""
MOST_PARAMETERS = 2**30
MOST_LAYERS = 1000
"""Sum of the settings that count layers: costs are sums over layers."""
COUNTS = ("blocks", "cells", "stages", "layers")
LARGEST_NUMBER, LARGEST_INPUT = 2**31, 2**28
"""Of a setting; values of one input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """The content of ``architecture.json``.

    Attributes:
        architecture: rebuilt by `search_spaces.build` with `shape`.
        shape: of the inputs that the weights are for.
        mean, std: per channel: a raw input is normalised by ``(input - mean) / std``.
        class_names: of the logits, in their order.
        task, space, trial: where it comes from, in words of the run.
        learning_rate, weight_decay: that it was trained with.
        commit: of the product's source, if known.
    """

    architecture: Architecture
    shape: TaskShape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    task: str
    space: str
    trial: str
    learning_rate: float
    weight_decay: float
    commit: str = ""


def write_design(folder: Path, design: Design) -> None:
    """Write ``architecture.json``."""
    (folder / ARCHITECTURE).write_text(dumps(design), encoding="utf-8")


def is_export(path: str) -> bool:
    """Whether a name of a design or a space is that of an export folder."""
    return "://" not in path and (Path(path).expanduser() / ARCHITECTURE).is_file()


def read_design(folder: Path) -> Design:
    """The design of an export folder, whose files are whole and whose network is of a possible size.

    Raises:
        ValueError: a file is damaged or missing, or the network would be absurdly large.
    """
    check(folder)
    path = folder / ARCHITECTURE
    try:
        design = from_plain(Design, _json(path), str(path))
    except RecursionError:
        raise ValueError(f"{path} cannot be read: it is nested too deeply") from None
    affordable(design.architecture, design.shape, str(path))
    return design


def on_task(design: Design, shape: TaskShape, where: str) -> Architecture:
    """The design for another task: kernels keep their taps, or their share of an input of other axes.

    Args:
        design: of an export folder.
        shape: of the task.
        where: the folder, for messages.

    Raises:
        ValueError: its kernels mean nothing there, or the network would be absurdly large.
    """
    found = design.architecture
    if isinstance(dict(found.settings).get("kernels"), tuple):
        by: Literal["taps", "fraction"] = (
            "taps" if shape.dimensions == design.shape.dimensions else "fraction"
        )
        found = carried(found, shape, by, design.shape)
    affordable(found, shape, where)
    return found


def affordable(architecture: Architecture, shape: TaskShape, where: str) -> None:
    """Refuse a network of absurd size before memory is taken for it.

    Raises:
        ValueError: more than `MOST_PARAMETERS` or `MOST_LAYERS`, or no family can read the settings.
    """
    counted = sum(
        value for name, setting in architecture.settings if name in COUNTS for value in _numbers(setting)
    )
    counted += max((len(each) for _, each in architecture.settings if isinstance(each, tuple)), default=0)
    if counted > MOST_LAYERS:
        raise ValueError(f"{where}: a network may have {MOST_LAYERS:,} blocks and layers, got {counted:.3g}")
    numbers = (abs(each) for _, setting in architecture.settings for each in _numbers(setting))
    if max(numbers, default=0) > LARGEST_NUMBER:
        raise ValueError(f"{where}: numbers of a design are at most {LARGEST_NUMBER:,}, one is larger")
    if shape.channels * math.prod(shape.extent) > LARGEST_INPUT:
        raise ValueError(f"{where}: an input may have {LARGEST_INPUT:,} values, this one has more")
    try:
        convolutions = (part for part in parts(architecture, shape) if isinstance(part, Convolution))
        taps = sum(part.kernels * math.prod(initial_taps(part)) for part in convolutions)
        parameters = max(taps, complexity(architecture, shape).parameters)
    except (TypeError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise ValueError(f"{where}: no network can be made of it: {error}") from error
    if parameters > MOST_PARAMETERS:
        raise ValueError(
            f"{where}: a network may have {MOST_PARAMETERS:,} parameters and taps, this one has "
            f"{parameters:.3g}"
        )


def write_manifest(folder: Path) -> None:
    """Write ``manifest.json`` over all other files in the folder itself."""
    paths = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name != MANIFEST)
    files = {path.name: _fingerprint(path) for path in paths}
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")


def check(folder: Path) -> None:
    """Compare every file with the manifest.

    Raises:
        ValueError: a file is missing or not what was written, or the manifest itself is damaged.
    """
    match _json(folder / MANIFEST):
        case {"files": dict(files)} if files:
            pass
        case _:
            raise ValueError(f"{folder / MANIFEST} lists no files; export the network again")
    if missing := sorted({ARCHITECTURE, TENSORS} - files.keys()):
        raise ValueError(f"{folder / MANIFEST} does not list {missing[0]}; export the network again")
    for name, known in files.items():
        if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) is None:
            raise ValueError(f"{folder / MANIFEST} must list plain file names, got {name!r}")
        path = folder / name
        if not os.path.lexists(path):
            raise ValueError(f"{path} is missing; export the network again")
        _plain(path)
        sized = isinstance(known, dict) and path.stat().st_size == known.get("bytes")
        if not sized or _fingerprint(path) != known:  # what grew is not read: it may be huge
            raise ValueError(
                f"{path} is damaged: it is not what the manifest lists; export the network again"
            )


def _plain(path: Path) -> None:
    """Refuse what leads elsewhere, or would be waited for without an end."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ValueError(f"{path} must be a plain file, not a link, folder or pipe; export the network again")


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _json(path: Path) -> Any:
    _plain(path)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_JSON + 1)
        if len(text) > LARGEST_JSON:
            raise ValueError(f"it may have {LARGEST_JSON:,} bytes, and has more")
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _numbers(setting: Setting) -> Iterator[int]:
    if isinstance(setting, tuple):
        for each in setting:
            yield from _numbers(each)
    elif isinstance(setting, int):
        yield setting
