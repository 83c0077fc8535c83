"""Small Parquet datasets of every kind, sound ones to be broken in one place."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from PIL import Image

from trials.dataset import Dataset, Decoded, Part
from trials.parquet import open_parquet
from trials.reference import Task

SERIES = pa.list_(pa.list_(pa.float32()))
VOLUME = pa.list_(pa.list_(pa.list_(pa.uint8())))
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = {"label": {"names": ["cat", "dog", "eel"], "_type": "ClassLabel"}}
ROWS = 30
Columns = dict[str, Any]


def picture(size: tuple[int, int] = (6, 4), mode: str = "L", level: int = 100, kind: str = "PNG") -> bytes:
    """An image of one colour, encoded."""
    buffer = io.BytesIO()
    colour = level if mode in ("L", "1", "P", "I;16") else (level, 0, 255, 255)[: len(mode)]
    Image.new(mode, size, colour).save(buffer, kind)
    return buffer.getvalue()


def sound(
    frames: int = 40, channels: int = 1, rate: int = 400, level: float = 0.1, kind: str = "WAV"
) -> bytes:
    """A constant, encoded."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full((frames, channels), 0.1), rate, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def encoded(value: bytes | None, path: str | None = None) -> dict[str, Any]:
    """A cell of an image or audio column."""
    return {"bytes": value, "path": path}


def _labels(count: int, labels: list[Any] | None) -> pa.Array:
    return pa.array([i % 3 for i in range(count)] if labels is None else labels)


def _changed(rows: list[Any], changed: dict[int, Any] | None) -> list[Any]:
    for row, value in (changed or {}).items():
        rows[row] = value
    return rows


def image_table(
    count: int = ROWS, changed: dict[int, Any] | None = None, labels: list[Any] | None = None, **fields: Any
) -> Columns:
    """Images that differ in their grey."""
    rows = _changed([encoded(picture(level=i, **fields)) for i in range(count)], changed)
    return {"image": pa.array(rows, FILE), "label": _labels(count, labels)}


def audio_table(count: int = ROWS, changed: dict[int, Any] | None = None) -> Columns:
    """Audio of different lengths."""
    rows = _changed([encoded(sound(40 + i)) for i in range(count)], changed)
    return {"audio": pa.array(rows, FILE), "label": _labels(count, None)}


def series_table(
    count: int = ROWS, changed: dict[int, Any] | None = None, labels: list[Any] | None = None
) -> Columns:
    """Series of 2 channels and 4 steps."""
    sound_rows: list[Any] = [[[float(i), 0.5, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]] for i in range(count)]
    return {"series": pa.array(_changed(sound_rows, changed), SERIES), "label": _labels(count, labels)}


def volume_table(count: int = ROWS, changed: dict[int, Any] | None = None) -> Columns:
    """Volumes of 2x3x4 voxels."""
    rows: list[Any] = [np.full((2, 3, 4), i).tolist() for i in range(count)]
    return {"volume": pa.array(_changed(rows, changed), VOLUME), "label": _labels(count, None)}


def write(path: Path, columns: Columns, features: object = NAMES, group: int = 7) -> Path:
    """Writes one file in row groups, features in its metadata (a text as it is, None: none); its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        text = features if isinstance(features, str) else json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": text})
    pq.write_table(table, path, row_group_size=group)
    return path.parent


def everything(part: Part) -> Decoded:
    return part.decoded(np.arange(part.size))


def read_all(source: object, **fields: Any) -> Dataset:
    """Opens a source and reads every label, group and row of every split."""
    dataset = open_parquet(Task(source=str(source), **fields))
    for part in (dataset.train, dataset.validation, dataset.test):
        if part is not None:
            part.labels(), part.groups(), everything(part)
    return dataset


@contextmanager
def as_nobody() -> Iterator[None]:
    """Whoever runs the tests may be allowed everything; nobody is not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
