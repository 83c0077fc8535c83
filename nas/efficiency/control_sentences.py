"""Controls in words: which one thing differs from the single design, and the difference it makes."""

from __future__ import annotations

from nas.efficiency.controls import FixedControl
from nas.efficiency.estimate import apart
from nas.efficiency.plan import Plan
from nas.efficiency.results import SpaceComparison, TaskComparison
from nas.efficiency.sentences import at_cost, level_text
from nas.efficiency.words import label, plural, signed

DIFFERS = {
    "twin_matched": "discrete kernels at the multiply-adds of {single}",
    "flexconv_fixed": "kernels of {single} whose sizes are chosen, not learned",
    "twin_shared": "discrete kernels, of one size in all layers",
    "twin_learned": "discrete kernels at the sizes {single} learned, retrained",
}


def differs(space: str, single: str) -> str:
    """What a control changes, or a dash for a space of the user's own."""
    return DIFFERS.get(space, "–").format(single=label(single))


def of_controls(task: TaskComparison, plan: Plan) -> tuple[str, ...]:
    """One sentence for each control; none before the single design has an error."""
    if task.single is None or not task.single.seeds:
        return ()
    drawn = tuple(_drawn(control, plan.single) for control in task.controls)
    return drawn + tuple(_fixed(control, plan.single) for control in task.fixed_controls)


def _named(space: str, single: str) -> str:
    what = differs(space, single)
    return f"Control {label(space)}" + ("" if what == "–" else f" ({what})")


def _drawn(control: SpaceComparison, single: str) -> str:
    failed = f", {control.failed} failed" if control.failed else ""
    text = f"{_named(control.space, single)}: "
    text = f"Descriptive: {text[0].lower()}{text[1:]}" if control.descriptive else text
    sample = f"(N = {control.designs}{failed})"
    if control.gain is None:
        return f"{text}{plural(control.designs, 'design')} {sample}, no difference can be stated."
    text += "a random design" if control.n == 1 else f"the expected best of {control.n} designs"
    text += f" {sample} is {signed(control.gain, 'better', 'worse')} than {label(single)}{at_cost(control)}"
    return f"{text}." if apart(control.gain) else f"{text}: cannot say which is better."


def _fixed(control: FixedControl, single: str) -> str:
    level = control.level
    text = f"{_named(level.space, single)}: "
    if not level.seeds:
        return f"{text}all of {plural(level.failed, 'training')} failed."
    text += level_text(level)
    if control.sources:
        text += f", sizes from {plural(control.sources, 'training')} of {label(single)}"
    if level.difference is None:
        return f"{text}; fewer than two seeds on a side: cannot say which is better."
    text += f"; {signed(level.difference, 'worse', 'better')} than {label(single)}{at_cost(control)}"
    return f"{text}." if apart(level.difference) else f"{text}: cannot say which is better."
