"""CSV that every reader reads alike and no spreadsheet calculates."""

from __future__ import annotations

import base64
import csv
import io

import pytest

from nas.report_csv import csv_text, data_uri


def test_cells_come_back_as_they_were() -> None:
    rows = [
        ("a,b", 'say "x"', "two\nlines", "ü – 1"),
        (0.1 + 0.2, -1e-300, 7, None),
        ("-3.5", "+2", "1 - 1", ""),
    ]
    text = csv_text(("one", "two", "three", "four"), rows)
    assert text.startswith("one,two,three,four\r\n") and text.endswith("\r\n")
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert read == [["" if cell is None else str(cell) for cell in row] for row in rows]
    assert float(read[1][0]) == 0.1 + 0.2


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "  =1", "\t=1", "\r=1", "\n=1", "＝1+1", "-2+3+cmd|' /C calc'!A0"],
)
def test_text_is_never_a_formula(cell: str) -> None:
    text = csv_text(("head", cell), [(cell, 1)])
    for row in csv.reader(io.StringIO(text, newline="")):
        assert f"'{cell}" in row


def test_an_address_holds_the_whole_text() -> None:
    text = csv_text(("ü",), [("<&\"'#%>",)])
    kind, _, body = data_uri(text).partition(",")
    assert kind == "data:text/csv;charset=utf-8;base64"
    assert base64.b64decode(body, validate=True).decode() == text
