"""The table of the two budgets."""

from __future__ import annotations

from nas.efficiency.budgets import Budget
from nas.efficiency.results import TaskComparison
from nas.efficiency.sentences import correlation
from nas.efficiency.words import label, percent, points
from nas.report_cells import where
from nas.report_tables import Table


def budget_table(task: TaskComparison) -> Table | None:
    """What designs reach at B and at 4B epochs, and how their ranks agree."""
    if not task.budgets:
        return None
    fixed = {level.space for level in (task.single, *task.defaults) if level}
    rows = []
    for found in task.budgets:
        several = found.space not in fixed
        of = f" (n = {found.designs})" if several else ""
        rows.append(
            (
                f"{label(found.space)}{of}",
                *(_mean(budget) for budget in (found.short, found.long)),
                *(percent(each.best) if several else "–" for each in (found.short, found.long)),
                correlation(found),
            )
        )
    short, long = task.budgets[0].short.epochs, task.budgets[0].long.epochs
    caption = (
        f"Budgets: B is {short} epochs, 4B is {long}; nothing else differs. Report errors: mean ± sd over "
        "random designs, those whose trainings at both ended, and that of the best of them by select "
        "error; of a fixed design over seeds. Rank correlation: Spearman's, of the designs' errors on all "
        "validation rows, with its 95 % interval; the noise of seeds lowers it."
    )
    caption += where(" failed", rows, "Failed: of all designs trained at both, at this budget.")
    return Table(caption, ("space", "B", "4B", "best at B", "best at 4B", "rank correlation"), tuple(rows))


def _mean(budget: Budget) -> str:
    spread = "" if budget.sd is None else f" ± {points(budget.sd)}"
    failed = f", {budget.failed} failed" if budget.failed else ""
    return f"{percent(budget.mean)}{spread} (n = {budget.trainings}{failed})"
