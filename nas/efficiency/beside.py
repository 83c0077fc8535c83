"""What is shown of a task beside its verdict, from the same records. None of it changes the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.efficiency.anytime import anytime_of
from nas.efficiency.budget_pairs import budget_pairs_of, pair_text
from nas.efficiency.control_sentences import of_controls
from nas.efficiency.controls import fixed_control, is_fixed
from nas.efficiency.other_rates import other_rates_of
from nas.efficiency.pareto import fronts_of
from nas.efficiency.plan import Plan
from nas.efficiency.results import SpaceComparison, TaskComparison
from nas.efficiency.usage import usage_of
from trials.record import TrialRecord


def with_beside(
    task: TaskComparison,
    records: Sequence[TrialRecord],
    controls: Sequence[SpaceComparison],
    plan: Plan,
    *,
    one_device: bool,
    one_device_long: bool,
) -> TaskComparison:
    """The task with what stands beside its verdict, its sentences last.

    Args:
        task: compared.
        records: all of them.
        controls: measured like searched spaces; those without a design are left out.
        plan: roles of the spaces.
        one_device: device-seconds of all these records but the long ones can be compared.
        one_device_long: those of the long ones too.
    """
    of_space = {
        space: [record for record in records if record.trial.study.space == space]
        for space in plan.all_spaces
    }
    random = {
        space: [record for record in trials if record.trial.study.kind == "population"]
        for space, trials in of_space.items()
    }
    found = replace(
        task,
        budget_pairs=budget_pairs_of(
            {
                space: trials
                for space, trials in of_space.items()
                if space not in (*plan.controls, *plan.described)
            },
            plan.single,
            (plan.single, *plan.defaults),
            one_device=one_device_long,
        ),
        anytime=anytime_of(
            records, task.single.select_error if task.single else None, task.margin, one_device=one_device
        ),
        other_rates=other_rates_of(records, plan),
        usage=usage_of(records, plan, one_device=one_device),
        fronts=fronts_of(
            {space: random[space] for space in plan.searched},
            [level for level in (task.single, *task.defaults) if level],
            task.majority_error,
        ),
        controls=tuple(control for control in controls if control.designs),
        fixed_controls=tuple(
            fixed_control(
                space,
                random[space],
                random[plan.single],
                task.single,
                {record.trial.id: record for record in random[plan.single]},
                one_device=one_device,
            )
            for space in plan.controls
            if is_fixed(random[space])
        ),
    )
    pairs = (pair_text(pair, plan.single) for pair in found.budget_pairs)
    return replace(found, sentences=(*task.sentences, *of_controls(found, plan), *pairs))
