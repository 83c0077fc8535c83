"""Numbers for a spreadsheet: CSV by RFC 4180, in which no cell of text can become a formula."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence

Cell = str | int | float | None
Row = tuple[Cell, ...]


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Comma-separated, a head line, lines end in CR LF, quotes doubled; None is an empty cell.

    Floats keep every digit. Text that a spreadsheet would calculate (it begins with = + - @, perhaps after
    blanks, and is no number) gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(_harmless, head))
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def data_uri(text: str) -> str:
    """A CSV as an address that holds it: nothing is fetched, and no character needs escaping."""
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def _harmless(cell: Cell) -> Cell:
    if not isinstance(cell, str) or re.fullmatch(r"[+-]?\d+(\.\d+)?", cell):
        return cell
    return f"'{cell}" if re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", cell) else cell
