"""Trials and their curves as tables, for whoever wants them in a notebook or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas.report_csv import Cell, csv_text
from nas.run_directory import RunInfo
from nas.tracked import final, parameters, point, record_parameters
from trials.record import TrialRecord


def tables(records: Sequence[TrialRecord], info: RunInfo | None) -> dict[str, bytes]:
    """Files by path: a row a trial as Parquet and CSV, a row an epoch as Parquet.

    Columns have the names that parameters and metrics have in MLflow.
    """
    ordered = sorted(records, key=lambda record: record.trial.id)
    trials = [_trial(record, info) for record in ordered]
    epochs: list[dict[str, Cell]] = [
        {"trial": record.trial.id, "at": at / 1000, **values}
        for record in ordered
        for at, values in (point(metrics, record.started) for metrics in record.curve)
    ]
    head, rows = _filled(trials)
    return {
        "tables/trials.parquet": _parquet(head, rows),
        "tables/trials.csv": csv_text(head, rows).encode(),
        "tables/epochs.parquet": _parquet(*_filled(epochs)),
    }


def _trial(record: TrialRecord, info: RunInfo | None) -> dict[str, Cell]:
    last = record.curve[-1] if record.curve else None
    return {
        "trial": record.trial.id,
        "study": record.trial.study.name,
        "status": record.status,
        "reason": record.reason.partition("\n")[0],
        "design": record.trial.architecture.id,
        "architecture": record.trial.architecture.to_json(),
        **parameters(record.trial, info),
        **record_parameters(record),
        **(point(last, record.started)[1] if last else {}),
        **final(record),
        "started": record.started,
        "finished": record.finished,
        "device": record.device,
        "host": record.host,
        "software": record.software,
        "commit": record.commit,
    }


def _filled(found: Iterable[Mapping[str, Cell]]) -> tuple[list[str], list[list[Cell]]]:
    """All names, in the order in which they come up, and the cells of each row; None where it has none."""
    rows = list(found)
    head = list(dict.fromkeys(name for row in rows for name in row))
    return head, [[row.get(name) for name in head] for row in rows]


def _parquet(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """Columns of numbers where all cells are, else of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _column(list(cells)) for name, cells in zip(head, zip(*rows))}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _column(cells: list[Cell]) -> Any:
    import pyarrow as pa

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float} and float in kinds:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if kinds in ({int}, {bool}):
        return pa.array(cells)
    return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
