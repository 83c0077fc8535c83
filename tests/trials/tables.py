"""Small Parquet files for tests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trials.dataset import Dataset, Decoded, Part
from trials.parquet import open_parquet
from trials.reference import Task

SERIES = pa.list_(pa.list_(pa.float32()))
VOLUME = pa.list_(pa.list_(pa.list_(pa.uint8())))
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = {"label": {"names": ["cat", "dog", "eel"], "_type": "ClassLabel"}}


def picture(size: tuple[int, int] = (6, 4), mode: str = "L", level: int = 100, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, level if mode in ("L", "1", "P") else (level, 0, 255, 255)[: len(mode)]).save(
        buffer, kind
    )
    return buffer.getvalue()


def image_table(
    count: int = 30, changed: dict[int, Any] | None = None, **picture_fields: Any
) -> dict[str, Any]:
    encoded: list[Any] = [{"bytes": picture(level=i, **picture_fields), "path": None} for i in range(count)]
    for row, value in (changed or {}).items():
        encoded[row] = value
    return {"image": pa.array(encoded, FILE), "label": pa.array([i % 3 for i in range(count)])}


def series_table(
    count: int = 30, changed: dict[int, Any] | None = None, labels: list[Any] | None = None
) -> dict[str, Any]:
    rows: list[Any] = [[[float(i), 0.5, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]] for i in range(count)]
    for row, value in (changed or {}).items():
        rows[row] = value
    return {
        "series": pa.array(rows, SERIES),
        "label": pa.array([i % 3 for i in range(count)] if labels is None else labels),
    }


def write(path: Path, columns: dict[str, Any], features: object = NAMES, group: int = 7) -> Path:
    """A file in row groups, with features as the Hugging Face hub writes them; returns its folder."""
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
