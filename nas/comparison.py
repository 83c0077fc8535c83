"""Records of one or several run directories -> comparison, report.md, report.html."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from nas.config import SearchConfig
from nas.efficiency import Comparison, Plan, SpaceComparison, TaskComparison, compare_records
from nas.efficiency.sentences import rejected, untuned
from nas.efficiency.words import label, plural
from nas.figures import all_figures
from nas.inputs import compare_command, inputs_hash
from nas.joining import join
from nas.limits import DRAWS
from nas.report import ReportContext, render_markdown, unfinished
from nas.report_csv import csv_text
from nas.report_html import render_html
from nas.run_directory import RunDirectory, RunInfo, RunTask, open_run
from trials.finding import CONTROLS, EMBEDDED
from trials.plain import dumps, to_plain
from trials.record import TrialRecord
from trials.reference import Task

DEVELOPMENT = (*EMBEDDED, *CONTROLS)
"""Tasks on which rules and learning rates are chosen, and those built to show what they show: no evidence."""


REPORT_SCHEMA = 1
"""Of report.json (docs/report.md)."""
FIGURE = re.compile(r"(\d\d+\.[^/]+|series-\d+)\.(svg|csv)")
"""Names of the files that a report has in figures/."""


def compare(*run_dirs: Path | str) -> Comparison:
    """Measure again from the records and write the report into the first directory.

    Args:
        run_dirs: paths or URLs; the first one's plan decides what is compared. Later ones add records, such
            as a trial that ``python -m trials`` ran elsewhere.

    Raises:
        ValueError: a directory holds no run, or its records cannot be compared.
    """
    directories = [open_run(path) for path in run_dirs]
    if not directories:
        raise ValueError("compare needs at least one run directory")
    return write_report(directories).comparison


class Written(NamedTuple):
    """The comparison, what shows it (text by name), how far an unfinished run is (else "")."""

    comparison: Comparison
    files: dict[str, str]
    unfinished: str


def write_report(directories: Sequence[RunDirectory]) -> Written:
    """Write report.html, .md, .json, figures/*.svg and figures/*.csv into the first directory.

    Figures of an earlier report that this one does not have go. The run may still be going: it is read as it
    is at this moment, and its own files are left alone.
    """
    first = directories[0]
    joined = join(directories)
    plan, sizes = plan_of(first, joined.infos), _sizes(joined.infos)
    comparison = compare_records(joined.records, plan, sizes, joined.unreadable)
    comparison = _noted(comparison, first, joined.infos)
    context = replace(
        _context(first, joined.records),
        inputs=inputs_hash(joined.records, plan, sizes),
        command=compare_command([directory.name for directory in directories]),
    )
    figures = all_figures(comparison)
    files = {
        "report.html": render_html(comparison, context, figures),
        "report.md": render_markdown(comparison, context),
        "report.json": dumps({"schema": REPORT_SCHEMA, "run": context} | _fields(comparison)),
    }
    for name, figure in figures.items():
        files[f"figures/{name}.svg"] = figure.svg
        files[f"figures/{name}.csv"] = csv_text(figure.head, figure.rows)
    for name, text in files.items():
        first.put(name, text)
    for name in first.storage.names("figures/"):
        if FIGURE.fullmatch(name.removeprefix("figures/")) and name not in files:
            first.storage.remove(name)  # of an earlier report
    return Written(comparison, files, unfinished(context))


def _fields(comparison: Comparison) -> dict[str, object]:
    return {field.name: getattr(comparison, field.name) for field in fields(comparison)}


def plan_of(directory: RunDirectory, infos: Sequence[RunInfo]) -> Plan:
    """What a run's configuration says is compared, with the names that spaces and tasks have in records.

    Args:
        directory: the run whose plan decides.
        infos: of all runs that are compared.
    """
    config, info = directory.config(), directory.info()
    names = {space.reference: space.name for each in infos for space in each.spaces}

    def named(references: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(each, each) for each in references)

    development, evaluation = _roles_of(config, info) if info else roles(config, config.the_tasks())
    for each in infos:
        added = [task for task in each.tasks if task.name not in (*development, *evaluation)]
        tuned = _roles_of(config, each)[0]
        development += tuple(t.name for t in added if t.name in tuned or config.tuned_on(t.task))
    (single,) = named((config.single,))
    return Plan(
        single=single,
        searched=tuple(each for each in named(config.spaces) if each != single),
        defaults=named(config.defaults),
        controls=named(config.controls),
        described=named(config.described),
        margin_points=config.margin_points,
        margin_share=config.margin_share,
        budget=config.judged_budget,
        development=development,
        evaluation=evaluation,
        references=config.references,
        population=config.population,
        described_designs=config.described_designs if config.described else 0,
        repeats=config.repeats,
        seeds=config.seeds,
        long=config.long,
        transfer=config.transfer,
        search_trials=config.search_trials,
        search_seeds=config.searches,
        finalist_seeds=config.finalist_seeds,
        epochs=(info.recipe if info else config.the_recipe()).epochs,
        seed=config.seed,
    )


def roles(config: SearchConfig, tasks: Iterable[Task]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the tasks that rules were tuned on, and of those that judge.

    A run works them out before its first trial and writes them into run.json.
    """
    tuned = {task.name: task.source in DEVELOPMENT or config.tuned_on(task) for task in tasks}
    return tuple(name for name in tuned if tuned[name]), tuple(name for name in tuned if not tuned[name])


def _roles_of(config: SearchConfig, info: RunInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As run.json has them; a run from before they were written down: as `roles` has them now."""
    if info.development is None or info.evaluation is None:
        return roles(config, (task.task for task in info.tasks))
    return info.development, info.evaluation


def _sizes(infos: Sequence[RunInfo]) -> dict[tuple[str, str], int]:
    return {(space.task, space.name): space.designs for info in infos for space in info.spaces}


def _noted(comparison: Comparison, directory: RunDirectory, infos: Sequence[RunInfo]) -> Comparison:
    """With anchors and notes: on data; on searched spaces, of rates not chosen and what limits left out."""
    config = directory.config()
    recipe, limits = config.the_recipe(), config.constraints
    chosen = {name for name, _, _ in recipe.per_space}
    shares = {(s.task, s.name): s.rejected for info in infos for s in info.spaces} if limits else {}

    def noted(task: str, space: SpaceComparison) -> SpaceComparison:
        notes = list(space.notes)
        if space.space not in chosen:
            notes.append(untuned(recipe.learning_rate, recipe.weight_decay))
        if (task, space.space) in shares:
            notes.append(rejected(shares[task, space.space], DRAWS, limits))
        return replace(space, notes=tuple(notes))

    def of_others(task: TaskComparison) -> tuple[str, ...]:
        shown = {space.space for space in task.spaces}
        asked = {each.space for each in comparison.per_space if each.task == task.task}
        names = [label(name) for name in sorted(asked - shown - chosen)]
        usual = untuned(recipe.learning_rate, recipe.weight_decay)
        return (f"{', '.join(names)}: {usual}",) if names else ()

    data = {task.name: _data_notes(task) for info in infos for task in info.tasks}
    anchors = {task.name: task.anchors for info in reversed(infos) for task in info.tasks if task.anchors}
    tasks = (
        replace(
            t,
            spaces=tuple(noted(t.task, s) for s in t.spaces),
            notes=(*t.notes, *of_others(t), *data.get(t.task, ())),
            anchors=anchors.get(t.task, ()),
        )
        for t in comparison.tasks
    )
    return replace(comparison, tasks=tuple(tasks))


def _data_notes(task: RunTask) -> tuple[str, ...]:
    notes = tuple(f"Data: {note}." for note in task.notes)
    notes += tuple(f"Without a network: {each.name}: {each.note}." for each in task.anchors if each.note)
    if not task.origin and not task.licence:
        return notes
    return (*notes, f"Data: {task.origin or 'of unknown origin'}; licence: {task.licence or 'unknown'}.")


def _context(directory: RunDirectory, records: Sequence[TrialRecord]) -> ReportContext:
    info, config = directory.info(), directory.config()
    planned = directory.planned()
    ended = sum(r.trial.number < planned.get(r.trial.study.name, 0) for r in records) if planned else None
    software: dict[str, set[str]] = defaultdict(set)
    for said in {record.software for record in records}:
        for each in filter(None, said.split(", ")):
            name, _, number = each.partition(" ")
            software[name].add(number)
    return ReportContext(
        run=config.name,
        directory=directory.name,
        created=datetime.fromtimestamp(info.created, tz=UTC).isoformat(timespec="seconds") if info else "",
        version=info.version if info else "",
        software={name: " and ".join(sorted(numbers)) for name, numbers in sorted(software.items())},
        seed=config.seed,
        config=to_plain(config),
        planned=sum(planned.values()) if planned else None,
        ended=ended,
        grown=tuple(
            f"The plan has grown: when {plural(each.ended, 'trial')} had ended, {'; '.join(each.changes)}."
            for each in (info.grown if info else ())
        ),
    )
