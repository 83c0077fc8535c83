"""Stored predictions of a finalist: one Parquet file, from which every metric can be computed again.

Columns ``split`` ("report" or "test"), ``row`` (position in its split), ``label`` (int64) and
``probabilities`` (list of float32, one for each class). The schema's metadata hold ``trial``, ``digest`` (of
the task's rows) and ``class_names`` (a JSON list, label 0 first). Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trials.storage import Storage, kept

PREDICTIONS = "predictions.parquet"
Split = Literal["report", "test"]
COLUMNS = pa.schema(
    [
        ("split", pa.string()),
        ("row", pa.int64()),
        ("label", pa.int64()),
        ("probabilities", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Predicted:
    """What a network says of the rows of one split, in their order.

    Attributes:
        labels: int64 (rows,), what they are.
        probabilities: float32 (rows, classes).
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Predictions:
    """The content of a file.

    Attributes:
        trial: id of the trial.
        digest: of the task's rows.
        class_names: label 0 is the first.
    """

    trial: str
    digest: str
    class_names: tuple[str, ...]
    splits: dict[Split, Predicted]


def write(folder: Storage, predictions: Predictions) -> None:
    """Writes ``predictions.parquet``, whole or not at all; about 40 bytes a row and 10 classes.

    Raises:
        Unwritten: it cannot be.
    """
    found = predictions.splits.values()
    sizes = [len(each.labels) for each in found]
    classes = len(predictions.class_names)
    flat = np.concatenate([each.probabilities.astype(np.float32, copy=False).ravel() for each in found])
    columns = [
        np.repeat(list(predictions.splits), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
        np.concatenate([each.labels for each in found]),
        pa.ListArray.from_arrays(np.arange(0, len(flat) + 1, classes, dtype=np.int32), flat),
    ]
    metadata = {
        "trial": predictions.trial,
        "digest": predictions.digest,
        "class_names": json.dumps(predictions.class_names),
    }
    table = pa.table(columns, schema=COLUMNS.with_metadata(metadata))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["split"])
    with kept():
        folder.put(PREDICTIONS, sink.getvalue().to_pybytes())


def read(folder: Storage) -> Predictions:
    """What `write` wrote.

    Raises:
        ValueError: there is no such file, it is damaged, or it holds something else.
    """
    path = f"{folder.root}/{PREDICTIONS}"
    try:
        if (data := folder.get(PREDICTIONS)) is None:
            raise ValueError(f"{path} cannot be read: there is no such file")
        table = pq.read_table(pa.BufferReader(data))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    known = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if not table.schema.equals(COLUMNS) or not {"trial", "digest", "class_names"} <= set(known):
        raise ValueError(
            f"{path} must hold the predictions of a finalist: columns {', '.join(COLUMNS.names)}, metadata "
            f"trial, digest and class_names; got columns {', '.join(table.column_names)} and metadata "
            f"{', '.join(known) or 'none'}"
        )
    class_names = tuple(json.loads(known["class_names"]))
    flat = table["probabilities"].combine_chunks().flatten().to_numpy()
    if len(flat) != len(table) * len(class_names):
        raise ValueError(
            f"{path} must have {len(class_names)} probabilities a row, one a class, "
            f"got {len(flat)} in {len(table)} rows"
        )
    probabilities = flat.reshape(len(table), len(class_names))
    split, labels = (table[name].to_numpy() for name in ("split", "label"))
    return Predictions(
        trial=known["trial"],
        digest=known["digest"],
        class_names=class_names,
        splits={
            name: Predicted(labels=labels[split == name], probabilities=probabilities[split == name])
            for name in get_args(Split)
            if name in split
        },
    )
