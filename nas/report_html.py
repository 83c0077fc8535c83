"""A comparison as one self-contained page. It adds nothing to the results."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from string import Template

from nas.drawing import COLOURS, Figure
from nas.efficiency.results import Comparison, TaskComparison
from nas.figures import all_figures, file_name
from nas.figures_across import ACROSS
from nas.report import (
    MADE,
    ReportContext,
    foot,
    made_tables,
    marks,
    meta,
    notes,
    planned,
    title,
    unfinished,
)
from nas.report_cells import Cell
from nas.report_csv import csv_text, data_uri
from nas.report_folds import Fold, across_folds, folds, main_table
from nas.report_page import DARK, PAGE, SCRIPT
from nas.report_plan import caveats, plan_table
from nas.report_series import SERIES, series_tables
from nas.report_tables import Table


def render_html(
    comparison: Comparison, context: ReportContext, figures: Mapping[str, Figure] | None = None
) -> str:
    """The report as one page: verdicts first, then each task, then how it was made.

    Args:
        comparison, context: what is shown.
        figures: those of `all_figures`, if they have been drawn.
    """
    figures = all_figures(comparison) if figures is None else figures
    cards = "".join(_card(i, task) for i, task in enumerate(comparison.tasks, start=1))
    body = [f'<p class="unfinished">{escape(unfinished(context))}</p>'] if unfinished(context) else []
    body += [f'<p class="overall">{escape(comparison.overall)}</p>']
    body += [f"<p>{escape(grown)}</p>" for grown in context.grown]
    body += [f'<div class="verdicts">{cards}</div>'] if cards else []
    body += [_across(comparison, figures)] if comparison.across else []
    body += [_section(i, task, figures) for i, task in enumerate(comparison.tasks, start=1)]
    body += [_series(comparison, figures)] if comparison.series else []
    body += [
        "<h2>What this does and does not show</h2>",
        _list(caveats(comparison)),
        "<h2>How it was made</h2>",
        table_html(plan_table(comparison.plan, planned(context)), "plan", words=True),
    ]
    made = (table_html(made, name, words=True) for name, made in made_tables(comparison, context).items())
    body.append(_fold(MADE, made))
    return Template(PAGE).substitute(
        title=escape(title(context)),
        meta=escape(meta(comparison, context)),
        body="\n".join(body),
        foot="".join(f"<p>{escape(words)} <code>{escape(text)}</code></p>" for words, text in foot(context)),
        light=_variables(COLOURS),
        dark=_variables(DARK),
        script=SCRIPT,
        allowed=base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode(),
    )


def _card(position: int, task: TaskComparison) -> str:
    name = f'<a href="#task-{position}">{escape(task.task)}</a>'
    return f'<div class="verdict">{name}{_badges(task)}<p>{escape(task.sentences[0])}</p></div>'


def _badges(task: TaskComparison) -> str:
    return "".join(f'<span class="badge {style}">{escape(text)}</span>' for text, style in marks(task))


def _section(position: int, task: TaskComparison, figures: Mapping[str, Figure]) -> str:
    parts = [f'<section id="task-{position}"><h2>{escape(task.task)}</h2><p>{_badges(task)}</p>']
    parts += [f"<p>{escape(sentence)}</p>" for sentence in task.sentences[1:]]  # the first is on the card
    main = main_table(task)
    if main.rows:
        parts.append(table_html(main, file_name(task, position, "spaces"), lead=task.single is not None))
    ours = file_name(task, position, "")
    drawn = {
        name[len(ours) :]: _figure(name, figure) for name, figure in figures.items() if name.startswith(ours)
    }
    folded = [_task_fold(task, position, fold, drawn) for fold in folds(task)]
    parts += [_grid(drawn.values()), *folded]
    parts += [_list(notes(task), "note")] if notes(task) else []
    return "\n".join(parts) + "</section>"


def _task_fold(task: TaskComparison, position: int, fold: Fold, drawn: dict[str, str]) -> str:
    """A part of a task behind one line; takes its figures out of `drawn`."""
    figures = [drawn.pop(name) for name in fold.figures if name in drawn]
    tables = (table_html(table, file_name(task, position, name)) for name, table in fold.tables.items())
    return _fold(fold.summary, [_grid(figures), *tables])


def _fold(summary: str, parts: Iterable[str]) -> str:
    return f"<details><summary>{escape(summary)}</summary>{''.join(parts)}</details>"


def _grid(figures: Collection[str]) -> str:
    return f'<div class="figures">{"".join(figures)}</div>' if figures else ""


def _series(comparison: Comparison, figures: Mapping[str, Figure]) -> str:
    drawn = [_figure(name, figure) for name, figure in figures.items() if name.startswith("series-")]
    shown = [table_html(table, f"table.{name}") for name, table in series_tables(comparison).items()]
    parts = [f"<section><h2>{SERIES}</h2>{_grid(drawn)}", *shown]
    return "\n".join(parts) + "</section>"


def _across(comparison: Comparison, figures: Mapping[str, Figure]) -> str:
    parts = ["<section><h2>Across tasks</h2>", *(f"<p>{escape(each)}</p>" for each in comparison.across)]
    drawn = [_figure(name, figure) for name, figure in figures.items() if name.startswith(ACROSS)]
    shown, folded = across_folds(comparison)
    parts += [_grid(drawn), *(table_html(table, name) for name, table in shown.items())]
    for fold in folded:
        parts.append(_fold(fold.summary, (table_html(table, name) for name, table in fold.tables.items())))
    return "\n".join(parts) + "</section>"


def _figure(name: str, figure: Figure) -> str:
    svg = figure.svg
    for role, colour in COLOURS.items():
        svg = svg.replace(f": {colour}", f": var(--{role}-mark)")
    spoken = escape(f"{figure.title} {figure.finding}. {figure.caption}")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{spoken}" ', 1)
    words = f"<b>{escape(figure.title)}</b> {escape(figure.caption)}"
    link = _download(name, figure.title, csv_text(figure.head, figure.rows))
    return f"<figure>{svg}<figcaption>{words} {link}</figcaption></figure>"


def _download(name: str, what: str, text: str) -> str:
    said = escape(f"Numbers as CSV: {what}")
    return f'<a class="csv" download="{escape(name)}.csv" href="{data_uri(text)}" aria-label="{said}">CSV</a>'


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{role}-mark: {colour};" for role, colour in colours.items())


def _list(lines: Sequence[str], css: str = "") -> str:
    return f'<ul class="{css}">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def table_html(table: Table, name: str, words: bool = False, lead: bool = False) -> str:
    """A table in a box of its own that scrolls; `lead`: its first row stands out wherever sorted to."""
    values = [[_value(cell) for cell in row] for row in table.rows]
    left = ["" if any(len(v) > len(_EMPTY) for v in column) else " class=text" for column in zip(*values)]
    head = "".join(f'<th scope="col"{css}>{escape(cell)}</th>' for cell, css in zip(table.head, left))
    rows = []
    for i, row in enumerate(table.rows):
        cells = (
            f"<td{css}{value}>{escape(cell) if words else _two_lines(cell)}</td>"
            for cell, value, css in zip(row, values[i], left)
        )
        rows.append(f"<tr{' class=lead' if lead and i == 0 else ''}>{''.join(cells)}</tr>")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    what = f"table of {name.rsplit('.', 1)[-1].replace('-', ' ')}"
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(what)}">'
    link = _download(name, what, csv_text(table.head, table.rows))
    return (
        f"{box}<table{' class=words' if words else ''}>{body}</table></div>"
        f'<p class="small">{escape(table.caption)} {link}</p>'
    )


_VALUE = re.compile(
    r"[≥≤<>]? ?([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)([kMGT]?)(?![\w.:-]|,\S)"
)
_EMPTY = ' data-value=""'
_SIZES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def _value(cell: str) -> str:
    """What a column is sorted by: a cell's own value, else the number at its start or its p; no words."""
    if isinstance(cell, Cell):
        group = f' data-group="{escape(cell.group)}"' if cell.group else ""
        return f' data-value="{cell.value:.12g}"{group}'
    if cell in ("", "–"):
        return _EMPTY
    _, p, chance = cell.partition(", p ")
    found = _VALUE.match(chance if p else cell)
    if found is None:
        return ""
    group = ' data-group="MA"' if cell.endswith(" MA") else ""
    return f' data-value="{float(found[1].replace(",", "")) * _SIZES[found[2]]:.12g}"{group}'


def _two_lines(cell: str) -> str:
    """A cell with its interval and n on a second, fainter line: the table stays narrow."""
    value, *below = re.split(r",? (?=[\[(]|p [\d≤])", escape(cell), maxsplit=1)
    return value + "".join(f'<span class="below">{text}</span>' for text in below)
