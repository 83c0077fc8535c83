"""Records in, frozen comparison out. Also of an unfinished run: what is missing becomes a sentence."""

from __future__ import annotations

import dataclasses
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from nas.efficiency import sentences
from nas.efficiency.across import across
from nas.efficiency.aggregates import aggregate_of
from nas.efficiency.beside import with_beside
from nas.efficiency.budgets import budgets_of
from nas.efficiency.controls import is_fixed
from nas.efficiency.devices import at_once, in_processor_seconds, seconds_apart
from nas.efficiency.elsewhere import ChosenElsewhere, chosen_elsewhere, trials_of
from nas.efficiency.level import against, level_of, level_over
from nas.efficiency.normalised import Complexity, Normalised, normalised_of
from nas.efficiency.observed import finalists_of, kernel_sizes_of, search_curves
from nas.efficiency.overall import overall
from nas.efficiency.plan import Plan
from nas.efficiency.refusals import refuse_unfair_tests
from nas.efficiency.results import Comparison, Count, SpaceRecipe, TaskComparison
from nas.efficiency.selection import (
    LeftOut,
    common_settings,
    population_of,
    refuse_differing_recipes,
    usable,
)
from nas.efficiency.series import series_of
from nas.efficiency.spaces import compare_space
from nas.efficiency.transfer import transfers_of
from nas.efficiency.words import points
from trials.record import TrialRecord


def compare_records(
    records: Sequence[TrialRecord],
    plan: Plan,
    space_sizes: Mapping[tuple[str, str], int] | None = None,
    unreadable: Sequence[LeftOut] = (),
) -> Comparison:
    """All measures of all tasks.

    Args:
        records: of one run, in any order, of any kind, also none.
        plan: what is compared and by which rule.
        space_sizes: (task, space) -> number of designs in the space, to recognise a census.
        unreadable: what could not be read at all, to be listed and counted with what is left out here.

    Raises:
        ValueError: recipes or splits differ within a task, a population trial was stopped early, or a
            finalist was selected by something else than select error.
    """
    kept, left_out = usable(records, plan)
    left_out += unreadable
    refuse_differing_recipes(kept)
    refuse_unfair_tests(kept)
    packing = at_once(records)
    names = sorted({record.trial.study.task for record in kept})
    chosen = chosen_elsewhere(kept, plan)
    tasks = tuple(
        _compare_task(
            name,
            [r for r in kept if r.trial.study.task == name],
            plan,
            space_sizes or {},
            packing,
            [each for each in chosen if each.task == name],
        )
        for name in names
    )
    counts = Counter((record.trial.study.kind, record.status) for record in records)
    rates = {
        (r.trial.study.task, r.trial.study.space, r.trial.recipe.learning_rate, r.trial.recipe.weight_decay)
        for r in kept
    }
    matrices, aggregate = transfers_of(kept, plan), aggregate_of(kept, plan, chosen)
    return Comparison(
        plan=plan,
        overall=overall(tasks, len(left_out)),
        tasks=tasks,
        settings=common_settings(kept),
        per_space=tuple(
            SpaceRecipe(task=task, space=space, learning_rate=rate, weight_decay=decay)
            for task, space, rate, decay in sorted(rates)
        ),
        records=len(records) + len(unreadable),
        counts=tuple(Count(kind=k, status=s, trials=n) for (k, s), n in sorted(counts.items())),
        censored=sum(
            search.target is not None and search.to_single is None for t in tasks for search in t.searches
        ),
        devices=tuple(sorted({record.device for record in kept if record.device})),
        commits=tuple(sorted({record.commit for record in kept if record.commit})),
        left_out=tuple(left_out),
        series=series_of(tasks, {r.trial.study.task: r.trial.task for r in kept}, plan),
        transfer=matrices,
        chosen=chosen,
        aggregate=aggregate,
        across=across(matrices, chosen, aggregate, plan, len(tasks)) if kept else (),
    )


def _compare_task(
    task: str,
    records: Sequence[TrialRecord],
    plan: Plan,
    sizes: Mapping[tuple[str, str], int],
    packing: Mapping[str, float],
    chosen: Sequence[ChosenElsewhere],
) -> TaskComparison:
    stated = tuple(space for space in plan.all_spaces if space not in plan.described)
    judged = [record for record in records if record.trial.study.space in stated]
    apart = seconds_apart(judged, stated, packing)
    one_device = not apart
    apart_transfer = apart or seconds_apart(judged, stated, packing, "transfer")
    apart_long = apart or seconds_apart(judged, stated, packing, "long")

    def beside(space: str) -> bool:
        """Whether seconds of a described space can be compared with the others'."""
        return not seconds_apart([*judged, *_of(as_run, space)], (*stated, space), packing)

    measured, slowed = in_processor_seconds(records, stated) if one_device else (records, "")
    as_run, records = records, measured
    random = [record for record in records if record.trial.study.kind == "population"]
    single, notes = level_of(plan.single, _of(random, plan.single), one_device=one_device)
    notes += dict.fromkeys(text for text in (apart, apart_transfer, apart_long, slowed) if text)
    margin = None
    if single and single.report_error is not None:
        margin = max(plan.margin_points / 100, plan.margin_share * single.report_error)
    defaults = []
    for space in plan.defaults:
        default, default_notes = level_of(space, _of(random, space), one_device=one_device)
        notes += default_notes
        if default:
            defaults.append(against(default, _of(random, space), _of(random, plan.single)))
    for each in chosen:
        trials = trials_of(each, records)
        default, default_notes = level_over(each.name, trials, one_device=not apart_transfer)
        notes += default_notes
        if default:
            defaults.append(against(default, trials, _of(random, plan.single)))
    compared = {
        space: compare_space(
            space,
            _of(random, space),
            _of(random, plan.single),
            single,
            plan,
            margin,
            size=sizes.get((task, space)),
            one_device=one_device and (space in stated or beside(space)),
            rng=np.random.default_rng([plan.seed, zlib.crc32(f"{task}/{space}".encode())]),
        )
        for space in (*plan.searched, *plan.described, *plan.controls)
        if space not in plan.controls or not is_fixed(_of(random, space))
    }
    spaces = tuple(compared[space] for space in plan.searched)
    spaces += tuple(
        dataclasses.replace(each, described=True)
        for space, each in compared.items()
        if space in plan.described and each.designs
    )
    searches = search_curves(records, single.select_error if single else None, margin, one_device=one_device)
    ended = [record for record in records if record.status != "failed"]
    rows_report = ended[0].rows_report if ended else 0
    if margin is not None and rows_report and 2 / rows_report > margin:
        notes.append(
            f"One of the {rows_report} report rows is {points(1 / rows_report)} points, more than "
            f"half the margin of {points(margin)}: errors are too coarse for it."
        )
    majority = ended[0].majority_error if ended else None
    notes += [text for level in defaults if (text := sentences.guess(level, majority))]
    kernel_sizes = kernel_sizes_of(records, plan)
    notes += [sentences.UNCHANGED for sizes in kernel_sizes if sizes.unchanged]
    fixed = (plan.single, *plan.defaults)
    budgets = tuple(
        found
        for space in (plan.single, *plan.searched, *plan.defaults)
        if (found := budgets_of(space, _of(records, space), fixed=space in fixed))
    )
    notes += [text for b in budgets if b.space not in fixed and (text := sentences.prediction(b))]
    result = TaskComparison(
        task=task,
        dataset=records[0].trial.task.dataset,
        development=task in plan.development,
        verdict=spaces[0].verdict if plan.searched else "cannot say",
        sentences=(),
        margin=margin,
        majority_error=majority,
        rows_train=ended[0].rows_train if ended else 0,
        rows_select=ended[0].rows_select if ended else 0,
        rows_report=rows_report,
        single=single,
        defaults=tuple(defaults),
        spaces=spaces,
        searches=searches,
        finalists=finalists_of(records, plan),
        kernel_sizes=kernel_sizes,
        notes=tuple(notes),
        budgets=budgets,
        normalised=_normalised(random, plan),
    )
    result = dataclasses.replace(result, sentences=sentences.of_task(result, plan, chosen))
    controls = [each for space, each in compared.items() if space in plan.controls]
    return with_beside(result, records, controls, plan, one_device=one_device, one_device_long=not apart_long)


def _normalised(random: Sequence[TrialRecord], plan: Plan) -> tuple[Normalised, ...]:
    """Of searched spaces: a control that lies at one cost, such as twin_matched, has no common support."""
    populations = {space: population_of(_of(random, space)) for space in plan.searched}
    both: tuple[Complexity, ...] = ("multiply-adds", "parameters")
    return tuple(found for by in both if (found := normalised_of(populations, by)))


def _of(records: Sequence[TrialRecord], space: str) -> list[TrialRecord]:
    return [record for record in records if record.trial.study.space == space]
