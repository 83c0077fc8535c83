"""One Parquet file of a split: its row groups, its columns, and what is said when it cannot be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trials.dataset import Ints
from trials.sources import File

_BUFFER, _BATCH = 2**20, 2**24
"""Bytes: read at once, and of values handed on at once."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A Parquet file; `groups` are the rows of each of its row groups."""

    file: File
    schema: pa.Schema
    groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.groups)

    def read(self, column: str) -> pa.ChunkedArray:
        """All values of a column.

        Raises:
            ValueError: the file is damaged.
        """
        with _reading(self.file), pq.ParquetFile(self.file.path) as file:
            return file.read(columns=[column]).column(0)

    def batches(self, column: str, group: int, rows: int) -> Iterator[pa.Array]:
        """The values of a column in a row group, at most so many at a time, fewer if they are large.

        In memory are these, and the pages of the file that hold them.

        Raises:
            ValueError: the file is damaged, or a list of fixed size is missing.
        """
        row = sum(self.groups[:group])
        # as it is by default, pyarrow takes all bytes of the row group first
        with (
            _reading(self.file),
            pq.ParquetFile(self.file.path, buffer_size=_BUFFER, pre_buffer=False) as file,
        ):
            about = file.metadata.row_group(group)
            leaves = [about.column(i) for i in range(about.num_columns)]
            ours = (leaf for leaf in leaves if f"{leaf.path_in_schema}.".startswith(f"{column}."))
            size = sum(leaf.total_uncompressed_size for leaf in ours)
            rows = max(1, min(rows, _BATCH * about.num_rows // max(1, size)))
            try:
                for batch in file.iter_batches(rows, row_groups=[group], columns=[column], use_threads=False):
                    yield batch.column(0)
                    row += len(batch)
            except pa.ArrowInvalid as error:
                if "lists to be of size" not in str(error):
                    raise
                if rows > 1:  # pyarrow does not say which of these
                    deque(self.batches(column, group, 1), maxlen=0)
                raise ValueError(
                    f"{self.place(row, column)}: a list of fixed size is missing (null); fill it in or drop "
                    "the row"
                ) from error

    def read_whole(self, column: str) -> pa.ChunkedArray:
        """The values of a column that may have none missing; of dictionaries, what they stand for.

        Raises:
            ValueError: a value is missing, or the file is damaged.
        """
        values = self.read(column)
        if values.null_count:
            row = int(np.argmax(values.is_null().to_numpy()))
            raise ValueError(
                f"{self.place(row, column)}: the value is missing (null); fill it in or drop the row"
            )
        return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values

    def place(self, row: int, column: str) -> str:
        """Names a value in messages."""
        return f"{self.file.url}, row {row}, column {column!r}"


def open_shard(file: File) -> Shard:
    """Reads the end of a file, where its schema and sizes are.

    Raises:
        ValueError: it is no Parquet file, or is cut off.
    """
    with _reading(file), pq.ParquetFile(file.path) as opened:
        metadata = opened.metadata
        groups = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return Shard(file, opened.schema_arrow, groups)


def integers(values: Ints) -> pa.Array:
    """The same numbers for pyarrow. Its own way there imports pandas: 0.3 s and 40 MB of each process."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


@contextmanager
def _reading(file: File) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ValueError(f"{file.url} may not be read; change its permissions") from error
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{file.url} cannot be read as Parquet ({(str(error).splitlines() or ['it is empty'])[0]}); "
            "it may be cut off: fetch it again"
        ) from error
