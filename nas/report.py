"""A comparison as a page, as Markdown and as a table in the terminal. It adds nothing to the results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from string import Template
from typing import TYPE_CHECKING

from nas import figures
from nas.drawing import COLOURS
from nas.efficiency.results import Comparison, TaskComparison
from nas.efficiency.sentences import UNCHANGED, loses_to_default, verdict_text
from nas.efficiency.words import label, plural
from nas.figures_across import across_figures
from nas.report_across import across_tables
from nas.report_budgets import budget_table
from nas.report_page import DARK, PAGE
from nas.report_plan import caveats, count_table, plan_table
from nas.report_tables import Table, efficiency_table, kernel_table, search_table, test_table

if TYPE_CHECKING:
    from rich.console import RenderableType

BADGE = {"no search needed": "yes", "search": "no", "cannot say": "open", "descriptive": "plain"}
CAPTIONS = {
    "edf": (
        "Distribution of validation error.",
        "Share of random designs at or below each error, with the 95 % DKW band (none where "
        "every design of the space was trained); steep and left is good. "
        "Vertical lines are fixed designs, means over seeds: where one crosses the curve is the share of "
        "designs observed at or below it, before noise is shrunk.",
    ),
    "best_of": (
        "What a search of n designs buys.",
        "Expected report error of the design with the best select error among n; jackknife 95 % band to n "
        "= N/5, faint to N/2, nothing beyond (where every design of the space was trained: to N, with the "
        "noise of seeds only). The dotted vertical line is the judged n. Horizontal lines "
        "are fixed designs: they cost one training.",
    ),
    "anytime": (
        "Searches over time.",
        "Best select error so far of every search, over completed trials only, since only they can be "
        "selected; stopped and failed ones cost. A diamond is a fixed "
        "design at the cost of one training.",
    ),
    "pareto": (
        "Error against cost of use.",
        "Each dot is a random design trained once; large marks are fixed designs, means over seeds. Lower "
        "left is better.",
    ),
    "kernel_sizes": (
        "Kernel sizes.",
        "Learned taps per layer, mean over seeds and axes, beside those of the best discrete design by "
        "select error.",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportContext:
    """Where a comparison comes from: what the records alone do not say.

    Attributes:
        run: the run's name.
        directory: name of the run directory, never a path of the machine.
        created: ISO time of the run.
        version: of the product.
        commits, hardware: everything the trials ran with; empty: as the records say.
        software: name -> version.
        seed: of the run.
        config: the run's configuration as plain values.
        unreadable: records that could not be read, and why.
        planned: trials of the whole run, None if unknown.
    """

    run: str
    directory: str = ""
    created: str = ""
    version: str = ""
    commits: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    config: Mapping[str, object] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    planned: int | None = None


def render_markdown(comparison: Comparison, context: ReportContext) -> str:
    """The report as Markdown: sentences and tables, for a pull request."""
    blocks = [f"# {_md(_title(context))}", _md(_meta(comparison, context)), f"**{_md(comparison.overall)}**"]
    if comparison.across:
        blocks += ["## Across tasks", *map(_md, comparison.across)]
        blocks += [_md_table(table) for table in across_tables(comparison)]
    for task in comparison.tasks:
        blocks.append(f"## {_md(task.task)}: {'; '.join(text for text, _ in _marks(task))}")
        blocks += [_md(sentence) for sentence in task.sentences]
        blocks += [_md_table(table) for table in _tables(task)]
        blocks += ["\n".join(f"- {_md(note)}" for note in _notes(task))] if _notes(task) else []
    blocks += [
        "## What this does and does not show",
        "\n".join(f"- {_md(line)}" for line in caveats(comparison)),
    ]
    blocks += ["## How it was made", *(_md_table(table) for table in _made(comparison, context))]
    return "\n\n".join(blocks) + "\n"


def render_html(comparison: Comparison, context: ReportContext) -> str:
    """The report as one self-contained page: verdicts first, then each task, then how it was made."""
    cards = "".join(_card(i, task) for i, task in enumerate(comparison.tasks, start=1))
    body = [f'<p class="overall">{escape(comparison.overall)}</p>']
    body += [f'<div class="verdicts">{cards}</div>'] if cards else []
    body += [_across(comparison)] if comparison.across else []
    body += [_section(i, task) for i, task in enumerate(comparison.tasks, start=1)]
    body += ["<h2>What this does and does not show</h2>", _list(caveats(comparison))]
    body += ["<h2>How it was made</h2>", *(_html_table(t, words=True) for t in _made(comparison, context))]
    return Template(PAGE).substitute(
        title=escape(_title(context)),
        meta=escape(_meta(comparison, context)),
        body="\n".join(body),
        light=_variables(COLOURS),
        dark=_variables(DARK),
    )


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
            table.add_row(*first, *(Text(row[column]) for column in (0, 1, 6, 8, 2)))
        table.add_section()
    sentences = [Text(f"{task.task}: {task.sentences[0]}") for task in comparison.tasks if task.sentences]
    overall = Text(comparison.overall, style="bold")
    return Group(table, *sentences, overall) if comparison.tasks else Group(overall)


def _title(context: ReportContext) -> str:
    return f"Must I search for an architecture? {context.run}"


def _meta(comparison: Comparison, context: ReportContext) -> str:
    trials = plural(comparison.records, "trial")
    if context.planned is not None:
        unfinished = comparison.records < context.planned
        trials += f" of {context.planned} planned" + (" (unfinished run)" if unfinished else "")
    hardware = ", ".join(context.hardware or comparison.devices)
    commits = ", ".join(context.commits or comparison.commits)
    return " · ".join(
        filter(None, (trials, hardware, f"commit {commits}" if commits else "", context.created))
    )


def _marks(task: TaskComparison) -> list[tuple[str, str]]:
    """What stands beside a task's name, each with its style: the verdict, a lost default, development."""
    verdict = verdict_text(task)
    marks = [("descriptive: N below 100" if verdict == "descriptive" else verdict, BADGE[verdict])]
    if loses_to_default(task):
        marks.append(("worse than its best default", "no"))
    if task.development:
        marks.append(("development task: shows the instrument, no evidence", "plain"))
    return marks


def _notes(task: TaskComparison) -> list[str]:
    return [*task.notes, *(f"{label(space.space)}: {note}" for space in task.spaces for note in space.notes)]


def _tables(task: TaskComparison) -> list[Table]:
    tables = (
        efficiency_table(task),
        search_table(task),
        test_table(task),
        budget_table(task),
        kernel_table(task),
    )
    return [table for table in tables if table is not None and table.rows]


def _made(comparison: Comparison, context: ReportContext) -> list[Table]:
    """Plan, counts, splits, recipe, provenance, configuration, records left out."""
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
        ("commit", ", ".join(context.commits or comparison.commits)),
        ("device", ", ".join(context.hardware or comparison.devices)),
        ("software", "; ".join(f"{name} {version}".strip() for name, version in context.software.items())),
        ("seed of the run", str(context.seed)),
    ]
    config = [(name, _plain(value)) for name, value in context.config.items()]
    left = [(left.trial, left.reason) for left in comparison.left_out]
    left += [("unreadable", reason) for reason in context.unreadable]
    tables = (
        plan_table(comparison.plan),
        count_table(comparison),
        Table("", ("task", "rows of its split"), tuple(splits)),
        Table(
            "",
            ("recipe", "fields that are the same in all records, then what differs by space"),
            tuple(recipe),
        ),
        Table("", ("made", "with what"), tuple((name, value) for name, value in made if value)),
        Table("", ("configuration", "written before the first trial"), tuple(config)),
        Table("", ("left out", "why"), tuple(left)),
    )
    return [table for table in tables if table.rows]


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def _card(position: int, task: TaskComparison) -> str:
    name = f'<a href="#task-{position}">{escape(task.task)}</a>'
    return f'<div class="verdict">{name}{_badges(task)}<p>{escape(task.sentences[0])}</p></div>'


def _badges(task: TaskComparison) -> str:
    return "".join(f'<span class="badge {style}">{text}</span>' for text, style in _marks(task))


def _section(position: int, task: TaskComparison) -> str:
    parts = [f'<section id="task-{position}"><h2>{escape(task.task)}</h2><p>{_badges(task)}</p>']
    parts += [f"<p>{escape(sentence)}</p>" for sentence in task.sentences]
    tables = _tables(task)
    parts += [_html_table(table) for table in tables[:1]]
    drawn = figures.figures_of(task)
    if drawn:
        cards = (_figure(name, draw(task), task) for name, draw in drawn.items())
        parts.append(f'<div class="figures">{"".join(cards)}</div>')
    parts += [_html_table(table) for table in tables[1:]]
    parts += [_list(_notes(task), "note")] if _notes(task) else []
    return "\n".join(parts) + "</section>"


def _across(comparison: Comparison) -> str:
    parts = ["<section><h2>Across tasks</h2>", *(f"<p>{escape(each)}</p>" for each in comparison.across)]
    drawn = "".join(_drawing(*figure) for figure in across_figures(comparison).values())
    parts += [f'<div class="figures">{drawn}</div>'] if drawn else []
    parts += [_html_table(table) for table in across_tables(comparison)]
    return "\n".join(parts) + "</section>"


def _figure(name: str, svg: str, task: TaskComparison) -> str:
    title, text = CAPTIONS[name]
    sizes = [plural(len(task.searches), "search")] if name == "anytime" else []
    sizes += [f"N = {space.designs} {label(space.space)}" for space in task.spaces if name != "anytime"]
    sizes += [f"{plural(task.single.seeds, 'seed')} of {label(task.single.space)}"] if task.single else []
    text += f" {UNCHANGED}" if name == "kernel_sizes" and any(k.unchanged for k in task.kernel_sizes) else ""
    return _drawing(title, f"{text} ({', '.join(sizes)})", svg)


def _drawing(title: str, caption: str, svg: str) -> str:
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{role}-mark)")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(f"{title} {caption}")}" ', 1)
    return f"<figure>{svg}<figcaption><b>{title}</b> {escape(caption)}</figcaption></figure>"


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{role}-mark: {colour};" for role, colour in colours.items())


def _list(lines: Sequence[str], css: str = "") -> str:
    return f'<ul class="{css}">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _html_table(table: Table, words: bool = False) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    cell = escape if words else _two_lines
    rows = "".join("<tr>" + "".join(f"<td>{cell(text)}</td>" for text in row) + "</tr>" for row in table.rows)
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    caption = f'<p class="small">{escape(table.caption)}</p>' if table.caption else ""
    return f'<div class="scroll"><table{" class=words" if words else ""}>{body}</table></div>{caption}'


def _two_lines(cell: str) -> str:
    """A cell with its interval and n on a second, fainter line: the table stays narrow."""
    value, *below = re.split(r",? (?=[\[(]|p [\d≤])", escape(cell), maxsplit=1)
    return value + "".join(f'<span class="below">{text}</span>' for text in below)


def _md_table(table: Table) -> str:
    lines = [table.head, tuple("---" for _ in table.head), *(tuple(map(_md, row)) for row in table.rows)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{text}\n\n{_md(table.caption)}" if table.caption else text


def _md(text: str) -> str:
    """Text that Markdown shows as it is: no tags, table borders, code or links from names."""
    text = escape(" ".join(text.split()), quote=False)
    for character in "|`*":
        text = text.replace(character, "\\" + character)
    return text.replace("](", "]\\(")
