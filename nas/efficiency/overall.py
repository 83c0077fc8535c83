"""One sentence over all tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nas.efficiency.results import TaskComparison
from nas.efficiency.sentences import loses_to_default, lost_to, single_learned_nothing, verdict_text
from nas.efficiency.words import label, plural


def overall(tasks: Sequence[TaskComparison], left_out: int = 0) -> str:
    """A sentence over the evaluation tasks and one over the development tasks: a count, no test.

    Tasks made from one dataset count as one. Verdicts are those against the first searched space, which is
    named if there are several; where another one says "search", that is said.

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
    searched = list(dict.fromkeys(space.space for task in tasks for space in task.searched))
    if len(searched) > 1:
        more += f", against {label(searched[0])}"
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
    for other in searched[1:]:
        if names := _where(datasets, partial(_says_search, other)):
            parts[-1] += f"; search in {label(other)} on {len(names)} ({', '.join(names)})"
    return f"{start}{more}: {', '.join(parts)}{_of_single(datasets)}."


_Datasets = Mapping[str, Sequence[TaskComparison]]


def _says_search(space: str, task: TaskComparison) -> bool:
    return any(each.space == space and each.verdict == "search" for each in task.searched)


def _where(
    datasets: _Datasets,
    holds: Callable[[TaskComparison], object],
    name: Callable[[TaskComparison], str] = lambda task: task.task,
) -> list[str]:
    """Names of datasets with any task of which something holds."""
    names = []
    for dataset, members in datasets.items():
        if found := [task for task in members if holds(task)]:
            several = f"{dataset}: {len(found)} of {len(members)} tasks"
            names.append(name(found[0]) if len(members) == 1 else several)
    return names


def _of_single(datasets: _Datasets) -> str:
    """Where the single design learned nothing, or is worse than a default."""
    single = next((task.single for members in datasets.values() for task in members if task.single), None)
    if single is None:
        return ""
    said = (
        ("learned nothing", _where(datasets, single_learned_nothing)),
        ("is worse than a default", _where(datasets, loses_to_default, _with_defaults)),
    )
    return "".join(
        f"; {label(single.space)} {what} on {len(names)} ({', '.join(names)})"
        for what, names in said
        if names
    )


def _with_defaults(task: TaskComparison) -> str:
    return f"{task.task}: {', '.join(map(label, lost_to(task.defaults)))}"
