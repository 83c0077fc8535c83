"""One sentence over all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.efficiency.results import TaskComparison
from nas.efficiency.sentences import loses_to_default, verdict_text
from nas.efficiency.words import label, plural


def overall(tasks: Sequence[TaskComparison], left_out: int = 0) -> str:
    """A sentence over the evaluation tasks and one over the development tasks: a count, no test.

    Tasks made from one dataset count as one.

    Args:
        tasks: that have a record which counts.
        left_out: records that do not count.
    """
    if not tasks and left_out:
        return f"No record counts: nothing can be concluded ({plural(left_out, 'trial')}, all left out)."
    if not tasks:
        return "No record yet: nothing can be concluded (0 trials)."
    judged = [task for task in tasks if not task.development]
    tuned = [task for task in tasks if task.development]
    parts = [f"Of {_count(judged, 'evaluation')}"] if judged else []
    parts += (
        [f"On {_count(tuned, 'development', ', where rules were tuned or answers built in')}"]
        if tuned
        else []
    )
    return " ".join(parts)


def _count(tasks: Sequence[TaskComparison], kind: str, more: str = "") -> str:
    datasets: dict[str, list[TaskComparison]] = {}
    for task in tasks:
        datasets.setdefault(task.dataset, []).append(task)
    start = plural(len(tasks), f"{kind} task")
    if len(datasets) < len(tasks):
        start = f"{plural(len(datasets), f'{kind} dataset')} ({plural(len(tasks), 'task')})"
    by_verdict: dict[str, list[str]] = {}
    for dataset, members in datasets.items():
        verdicts = {verdict_text(task) for task in members}
        name = members[0].task if len(members) == 1 else f"{dataset}: {len(members)} tasks"
        if len(verdicts) > 1:
            name += " that differ"
        by_verdict.setdefault(verdicts.pop() if len(verdicts) == 1 else "cannot say", []).append(name)
    parts = []
    for verdict in ("no search needed", "search", "cannot say", "descriptive"):
        if names := by_verdict.get(verdict):
            few = " only, fewer than 100 designs," if verdict == "descriptive" else ""
            parts.append(f"{verdict}{few} on {len(names)} ({', '.join(names)})")
    return f"{start}{more}: {', '.join(parts)}{_losses(datasets)}."


def _losses(datasets: Mapping[str, Sequence[TaskComparison]]) -> str:
    """Of datasets with any task on which the single design is worse than its best default."""
    names = []
    for dataset, members in datasets.items():
        worse = [task for task in members if loses_to_default(task)]
        several = f"{dataset}: {len(worse)} of {len(members)} tasks"
        names += [members[0].task if len(members) == 1 else several] if worse else []
    single = next((task.single for members in datasets.values() for task in members if task.single), None)
    if not names or single is None:
        return ""
    return (
        f"; on {len(names)} of them {label(single.space)} is worse than its best default ({', '.join(names)})"
    )
