"""Cells with a value of their own to sort by, and sentences of captions that not every table needs."""

from __future__ import annotations

from collections.abc import Iterable


class Cell(str):
    """A table's cell with a value of its own to sort by.

    Attributes:
        value: in one unit for all cells of a group.
        group: cells of another unit, or of which only a bound is known, stand apart, in the order of names.
    """

    __slots__ = ("group", "value")
    value: float
    group: str

    def __new__(cls, text: str, value: float, group: str = "") -> Cell:
        cell = super().__new__(cls, text)
        cell.value, cell.group = value, group
        return cell


def where(mark: str, rows: Iterable[Iterable[str]], sentence: str) -> str:
    """A sentence of a caption, after a blank, if a cell holds what it explains."""
    return f" {sentence}" if any(mark in cell for row in rows for cell in row) else ""
