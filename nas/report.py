"""A comparison as Markdown and as a table in the terminal, and the parts that the page shares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import chain
from typing import TYPE_CHECKING

from nas.efficiency.results import Comparison, TaskComparison
from nas.efficiency.sentences import loses_to_default, verdict_text
from nas.efficiency.words import label, plural
from nas.report_folds import Fold, across_folds, folds, main_table
from nas.report_plan import caveats, count_table, plan_table
from nas.report_series import SERIES, series_tables
from nas.report_tables import Table, efficiency_table

if TYPE_CHECKING:
    from rich.console import RenderableType

BADGE = {"no search needed": "yes", "search": "no", "cannot say": "open", "descriptive": "plain"}
MADE = "Trials, splits, recipe, software, configuration, records left out"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportContext:
    """Where a comparison comes from: what the records alone do not say.

    Attributes:
        run: the run's name.
        directory: name of the run directory, never a path of the machine.
        created: ISO time of the run.
        version: of the product.
        software: name -> version.
        seed: of the run.
        config: the run's configuration as plain values.
        planned, ended: trials that the run planned, and how many of them have ended; None if unknown.
        grown: what the plan was given after the run began, a sentence each time.
        inputs: hash of plan and records (`nas.inputs`).
        command: that makes the report again, in the folder that holds the run directories.
    """

    run: str
    directory: str = ""
    created: str = ""
    version: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    config: Mapping[str, object] = field(default_factory=dict)
    planned: int | None = None
    ended: int | None = None
    grown: Sequence[str] = ()
    inputs: str = ""
    command: str = ""


def render_markdown(comparison: Comparison, context: ReportContext) -> str:
    """The report as Markdown: sentences and tables, for a pull request."""
    blocks = [f"# {_md(title(context))}", _md(meta(comparison, context))]
    blocks += [f"**{_md(unfinished(context))}**"] if unfinished(context) else []
    blocks += [f"**{_md(comparison.overall)}**", *map(_md, context.grown)]
    if comparison.across:
        blocks += ["## Across tasks", *map(_md, comparison.across)]
        shown, folded = across_folds(comparison)
        blocks += [*map(_md_table, shown.values()), *chain.from_iterable(map(_md_fold, folded))]
    for task in comparison.tasks:
        blocks.append(f"## {_md(task.task)}: {'; '.join(text for text, _ in marks(task))}")
        blocks += [_md(sentence) for sentence in task.sentences]
        blocks += [_md_table(main_table(task))] if main_table(task).rows else []
        blocks += chain.from_iterable(map(_md_fold, folds(task)))
        blocks += ["\n".join(f"- {_md(note)}" for note in notes(task))] if notes(task) else []
    if series := series_tables(comparison):
        blocks += [f"## {SERIES}", *(_md_table(table) for table in series.values())]
    blocks += [
        "## What this does and does not show",
        "\n".join(f"- {_md(line)}" for line in caveats(comparison)),
    ]
    blocks += ["## How it was made", _md_table(plan_table(comparison.plan, planned(context)))]
    blocks += _md_fold(Fold(MADE, made_tables(comparison, context)))
    blocks += [f"{_md(words)} <code>{_md(text)}</code>" for words, text in foot(context)]
    return "\n\n".join(blocks) + "\n"


def terminal_table(comparison: Comparison) -> RenderableType:
    """The overall sentence, a row per task and the verdict sentences, for a rich console."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title="Design efficiency", title_justify="left")
    for head in ("task", "verdict", "space", "report error", "designs to match", "factor", "test error"):
        table.add_column(head, overflow="fold")
    style = {"yes": "green", "no": "red", "open": "yellow", "plain": "dim"}
    for task in comparison.tasks:
        for i, row in enumerate(efficiency_table(task).rows):
            first = (
                (Text(task.task), Text(verdict_text(task), style[BADGE[verdict_text(task)]]))
                if i == 0
                else (Text(), Text())
            )
            table.add_row(*first, *(Text(row[column]) for column in (0, 1, 6, 9, 2)))
        table.add_section()
    sentences = [Text(f"{task.task}: {task.sentences[0]}") for task in comparison.tasks if task.sentences]
    overall = Text(comparison.overall, style="bold")
    return Group(table, *sentences, overall) if comparison.tasks else Group(overall)


def title(context: ReportContext) -> str:
    """The question and the run's name."""
    return f"Must I search for an architecture? {context.run}"


def meta(comparison: Comparison, context: ReportContext) -> str:
    """Trials, devices, commits and time on one line."""
    trials = plural(comparison.records, "trial")
    commits = ", ".join(comparison.commits)
    return " · ".join(
        filter(
            None,
            (trials, ", ".join(comparison.devices), f"commit {commits}" if commits else "", context.created),
        )
    )


def marks(task: TaskComparison) -> list[tuple[str, str]]:
    """What stands beside a task's name, each with its style: the verdict, a lost default, development."""
    verdict = verdict_text(task)
    marks = [("descriptive: N below 100" if verdict == "descriptive" else verdict, BADGE[verdict])]
    if loses_to_default(task):
        marks.append(("worse than a default", "no"))
    if task.development:
        marks.append(("development task: shows the instrument, no evidence", "plain"))
    return marks


def unfinished(context: ReportContext) -> str:
    """That trials are still missing, and how many; empty where none is, or where it is not known."""
    if context.planned is None or context.ended is None or context.ended >= context.planned:
        return ""
    return (
        f"Unfinished run: {context.ended} of {context.planned} planned trials have ended. The report is "
        "of those, and may change."
    )


def planned(context: ReportContext) -> str:
    """When the plan was made."""
    return "as the run has grown to" if context.grown else "written before the first trial"


def notes(task: TaskComparison) -> list[str]:
    """What a reader should know before trusting the numbers of a task."""
    return [*task.notes, *(f"{label(space.space)}: {note}" for space in task.spaces for note in space.notes)]


def foot(context: ReportContext) -> list[tuple[str, str]]:
    """What was read and how to make the report again: words, then what is to be copied."""
    lines = [
        ("SHA-256 of the inputs, plan and records:", context.inputs),
        ("Made again by:", context.command),
    ]
    return [(words, text) for words, text in lines if text]


def made_tables(comparison: Comparison, context: ReportContext) -> dict[str, Table]:
    """Below the plan: counts, splits, recipe, provenance, configuration, records left out."""
    splits = [
        (task.task, f"{task.rows_train} train, {task.rows_select} select, {task.rows_report} report")
        for task in comparison.tasks
    ]
    recipe = [(name, str(value)) for name, value in comparison.settings.items()]
    recipe += [
        (
            f"{rate.space} on {rate.task}",
            f"learning rate {rate.learning_rate:g}, weight decay {rate.weight_decay:g}",
        )
        for rate in comparison.per_space
        if not {"learning_rate", "weight_decay"} <= set(comparison.settings)
    ]
    made = [
        ("run", context.run),
        ("run directory", context.directory),
        ("run started", context.created),
        ("nas-flexconv", context.version),
        ("commit", ", ".join(comparison.commits)),
        ("device", ", ".join(comparison.devices)),
        ("software", "; ".join(f"{name} {version}".strip() for name, version in context.software.items())),
        ("seed of the run", str(context.seed)),
    ]
    config = [(name, _plain(value)) for name, value in context.config.items()]
    left = [(left.trial, left.reason) for left in comparison.left_out]
    same = "fields that are the same in all records, then what differs by space"
    known = {
        "trials": count_table(comparison),
        "splits": Table("", ("task", "rows of its split"), tuple(splits)),
        "recipe": Table("", ("recipe", same), tuple(recipe)),
        "made": Table("", ("made", "with what"), tuple((name, value) for name, value in made if value)),
        "configuration": Table("", ("configuration", planned(context)), tuple(config)),
        "left-out": Table("", ("left out", "why"), tuple(left)),
    }
    return {name: table for name, table in known.items() if table.rows}


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def _md_fold(fold: Fold) -> list[str]:
    opened = f"<details><summary>{escape(fold.summary, quote=False)}</summary>"
    return [opened, *map(_md_table, fold.tables.values()), "</details>"]


def _md_table(table: Table) -> str:
    rows = [tuple(map(_md, row)) for row in (table.head, *table.rows)]
    lines = [rows[0], tuple("---" for _ in table.head), *rows[1:]]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{text}\n\n{_md(table.caption)}" if table.caption else text


def _md(text: str) -> str:
    """Text that Markdown shows as it is: no tags, cells, code, links, mentions or lists from names."""
    text = escape(" ".join(text.split()), quote=False)
    return _SPECIAL.sub(lambda found: "".join(f"&#{ord(each)};" for each in found[0]), text)


_SPECIAL = re.compile(
    r"[|`*\\~$]|\](?=[(\[])|^\[(?=.*\]:)|(?<!\w)[@_]|(?<!&)(?<!\w)#|_(?!\w)|(?<=:)//|(?<=www)\."
    r"|^[-+](?=[\s-]|$)|^=|^\d+[.)](?=\s|$)"
)
