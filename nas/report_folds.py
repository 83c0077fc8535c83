"""Which tables and figures a report shows at once, and which it folds away, below a line that names them."""

from __future__ import annotations

from typing import NamedTuple

from nas.efficiency.results import Comparison, TaskComparison
from nas.figures_across import across_name
from nas.report_across import across_tables
from nas.report_budgets import budget_table
from nas.report_laws import equal_cost_table, importance_table, law_table, normalised_table
from nas.report_tables import Table, efficiency_table, kernel_table, search_table, test_table
from nas.report_use import use_tables

FOLDS = (
    ("Searches: each one, time to a target, winner's curse", ("searches", "times", "curse"), ()),
    ("Controls: what differs, error, cost", ("controls",), ()),
    ("Finalists on test: every training", ("tests",), ()),
    ("Budgets: B and 4B epochs, and at about equal cost", ("budgets", "budget-pairs"), ()),
    ("Cost of use and of one training", ("use", "training"), ()),
    ("Fronts of error against cost", ("fronts",), ()),
    ("Kernel sizes, layer by layer", ("kernels",), ("kernel_sizes",)),
    ("Other sampling rates, without retraining", ("rates",), ()),
    (
        "The populations in parts: both laws, normalised for complexity, equal cost, importance of choices",
        ("laws", "normalised", "equal-cost", "importance"),
        ("normalised",),
    ),
)
"""What a task folds away, in order: summary, names of tables, names of figures."""


class Fold(NamedTuple):
    """Tables by name, and the names of figures (the part behind the task's), behind one line."""

    summary: str
    tables: dict[str, Table]
    figures: tuple[str, ...] = ()


def main_table(task: TaskComparison) -> Table:
    """The one that is always in sight."""
    return efficiency_table(task)


def folds(task: TaskComparison) -> list[Fold]:
    """What a task folds away, where it has rows."""
    known = {
        "searches": search_table(task),
        "tests": test_table(task),
        "budgets": budget_table(task),
        "kernels": kernel_table(task),
        **use_tables(task),
        "laws": law_table(task),
        "normalised": normalised_table(task),
        "equal-cost": equal_cost_table(task),
        "importance": importance_table(task),
    }
    found = {name: table for name, table in known.items() if table is not None and table.rows}
    split = [
        Fold(summary, {name: found[name] for name in names if name in found}, figures)
        for summary, names, figures in FOLDS
    ]
    return [fold for fold in split if fold.tables]


def across_folds(comparison: Comparison) -> tuple[dict[str, Table], list[Fold]]:
    """The tables over tasks: in sight; folded, since a figure shows them or they are the small print."""
    tables = across_tables(comparison)
    shown = {name: tables.pop(name) for name in map(across_name, ("aggregate", "effects")) if name in tables}
    summary = "Transfer in numbers, defaults chosen on the other tasks, what errors are normalised by"
    return shown, [Fold(summary, tables)] if tables else []
