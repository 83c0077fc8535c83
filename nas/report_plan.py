"""What the report says of the whole run: the plan, the trials counted, what it does and does not show."""

from __future__ import annotations

from nas.efficiency.plan import Plan
from nas.efficiency.results import Comparison
from nas.efficiency.words import label, percent, plural
from nas.report_tables import Table

COVERAGE = (
    "The chance to match shrinks the noise between repeated trainings out of the population. Simulated "
    "coverage of its 95 % intervals (8 repeats; N = 24, 50, 200; 2 to 10 seeds; 100 and 1,000 validation "
    "rows; normal, skewed and near-zero populations; 1,000 replications, 2026-11-22, commit d3d2960): 92.2 "
    "to 100 % at p of 0.1 and more; at p = 0.02 90.9 to 100 %, its upper bound alone 93.8 % and more. With 2 "
    "seeds the interval covers by being next to useless. Without repeats it was not measured. "
    "docs/coverage.md has every interval."
)
"""What was simulated of `chance.match`: docs/coverage.md, docs/decisions/0006-shrinking-and-its-scale.md."""


def plan_table(plan: Plan, when: str) -> Table:
    """The plan and when it was made; what was not planned, or is not known, is left out."""
    budget = f"{plan.budget}, at most a fifth of the designs trained; no search needed at {plan.budget} only"
    rows = (
        ("single design", label(plan.single)),
        ("searched", ", ".join(map(label, plan.searched)) or "none"),
        ("defaults", ", ".join(map(label, plan.defaults)) or "none"),
        ("controls", ", ".join(map(label, plan.controls)) or "none"),
        ("described only", ", ".join(map(label, plan.described))),
        ("margin", f"max({plan.margin_points:g} points, {100 * plan.margin_share:g} % of f)"),
        ("budget n", budget),
        ("evaluation tasks", ", ".join(plan.evaluation) or "none"),
        ("development tasks", ", ".join(plan.development) or "none"),
        *_trials(plan),
        ("epochs", str(plan.epochs or "")),
        ("references", ", ".join(f"{task}: {percent(error)}" for task, error in plan.references)),
        ("seed of the statistics", str(plan.seed)),
    )
    return Table("", ("plan", when), tuple(row for row in rows if row[1]))


def _trials(plan: Plan) -> list[tuple[str, str]]:
    """What is trained on every task; nothing for a count of 0."""
    searches = plan.search_seeds if plan.search_trials else 0
    each = plural(plan.search_trials, "trial")
    counts = (
        ("population", plan.population, "design", "of each space that has several"),
        ("described", plan.described_designs, "design", "of each space that is described"),
        ("repeats", plan.repeats, "design", "of the population trained a second time"),
        ("seeds", plan.seeds, "training", "of each single design"),
        ("long", plan.long, "design", "of a population once more, with 4 times the epochs"),
        ("transfer", plan.transfer, "fresh seed", "for each design chosen elsewhere"),
        ("searches", searches, "seed", f"for each searched space, {each} each"),
        ("finalists", plan.finalist_seeds, "fresh seed", "for each design that is tested"),
    )
    return [(name, f"{plural(n, unit)} {what}") for name, n, unit, what in counts if n]


def count_table(comparison: Comparison) -> Table:
    """Trials by kind and status: what failed or was stopped is counted, never missing."""
    kinds = sorted({count.kind for count in comparison.counts})
    found = {(count.kind, count.status): count.trials for count in comparison.counts}
    head = ("completed", "stopped", "failed")
    rows = tuple((kind, *(str(found.get((kind, status), 0)) for status in head)) for kind in kinds)
    return Table("", ("trials", *head), rows)


def _reached(comparison: Comparison) -> str:
    searches = [search for task in comparison.tasks for search in task.searches]
    aimed = sum(search.target is not None for search in searches)
    if not searches:
        return "No search was run."
    if not aimed:
        return f"{plural(len(searches), 'search')}, without an error of the single design to reach."
    return (
        f"{comparison.censored} of {plural(aimed, 'search')} did not reach the single design's select error "
        "(censored, listed)."
    )


def caveats(comparison: Comparison) -> list[str]:
    """What this does and does not show, from what is known of the run."""
    stopped = sum(count.trials for count in comparison.counts if count.status == "stopped")
    failed = sum(count.trials for count in comparison.counts if count.status == "failed")
    small = sum(s.descriptive for task in comparison.tasks for s in task.spaces)
    tuned = [task.task for task in comparison.tasks if task.development]
    lines = [
        f"{plural(comparison.records, 'trial')}: {failed} failed (error +infinity, at their cost, kept in "
        f"N), {stopped} stopped by a search; {len(comparison.left_out)} left out, on which nothing rests "
        "(listed below).",
        _reached(comparison),
    ]
    if small:
        lines.append(
            f"{plural(small, 'population')} of fewer than 100 designs: descriptive, without a verdict."
        )
    if tuned:
        lines.append(f"Rules were tuned on {', '.join(tuned)}: shown, not judged.")
    return lines + [
        "Designs are picked on the select half of the validation rows and shown on the report half; the "
        "chance to match uses both halves; test rows are touched once, by finalists.",
        "Intervals cover the draw of designs and of seeds for this one split. Another split would move all "
        "designs, most of it together: that part is in no interval.",
        "The interval of what a search buys joins the seeds of the single design (report error) and the "
        "jackknife over designs, each with its own Student t (Cochran and Cox): cautious with few seeds.",
        COVERAGE,
        "On test, n counts searches where there are two or more. Finalists of one search share its design: "
        "their interval is that of fresh seeds, not of fresh searches.",
        "Weight decay acts on discrete taps and on heads, never on the generators or masks of kernels: the "
        "spaces do not share this regulariser in full.",
        "Nothing is shown about other recipes, budgets of epochs, spaces or tasks than those listed, nor "
        "that a better search would not find more.",
    ]
