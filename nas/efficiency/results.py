"""What a comparison says: frozen results, JSON-able, no NaN.

Errors are shares in [0, 1], costs device-seconds or multiply-adds. None means "cannot be given"; as a bound
of an interval it means that there is none on that side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.efficiency.aggregates import Aggregate
from nas.efficiency.anchors import Anchor
from nas.efficiency.anytime import Anytime
from nas.efficiency.budget_pairs import BudgetPair
from nas.efficiency.budgets import Budgets
from nas.efficiency.controls import FixedControl
from nas.efficiency.elsewhere import ChosenElsewhere
from nas.efficiency.equal_cost import EqualCost
from nas.efficiency.estimate import Estimate
from nas.efficiency.importance import Importance
from nas.efficiency.law import Laws
from nas.efficiency.level import Level
from nas.efficiency.normalised import Normalised
from nas.efficiency.observed import Finalist, KernelSizes, SearchCurve
from nas.efficiency.other_rates import OtherRate
from nas.efficiency.pareto import Front
from nas.efficiency.plan import Plan
from nas.efficiency.resolving import Resolving
from nas.efficiency.selection import LeftOut
from nas.efficiency.series import TaskSeries
from nas.efficiency.transfer import TransferMatrix
from nas.efficiency.usage import Usage

Verdict = Literal["no search needed", "search", "cannot say"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chance:
    """p_design at one target, and what follows from it (formulas in `chance.match`).

    Attributes:
        target: the error to match, over both validation halves: f, or f + margin.
        matches, designs: k shrunk errors of N at or below the target.
        shrinkage: what is left of the observed spread once noise is out, in [0, 1].
        designs_to_match: 1/p; only `low` is given where k = 0 (one-sided).
        designs_even: designs for an even chance.
        cost_seconds, cost_multiply_adds: cost to match.
        factor_seconds, factor_multiply_adds: the same over the cost of one training of the single design.
    """

    target: float
    matches: int
    designs: int
    shrinkage: float
    chance: Estimate
    designs_to_match: Estimate
    designs_even: Estimate
    cost_seconds: Estimate | None
    cost_multiply_adds: Estimate
    factor_seconds: Estimate | None
    factor_multiply_adds: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class BestOf:
    """Expected report error of the best (by select error) of n designs.

    `solid`: n <= N/5, or a census; only there is an interval given.
    """

    n: int
    error: Estimate
    solid: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One training in the plane of error and cost."""

    report_error: float
    multiply_adds: int
    parameters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpaceComparison:
    """A space on a task, against the single design.

    Attributes:
        described: it is only shown: no verdict and no sentence rests on it.
        designs: N, distinct designs; `failed` of them failed and stay in N.
        repeats: further trainings of the same designs with other seeds; only the noise is taken from them.
        size: designs in the whole space, if known; `census` if all of them were trained.
        descriptive: N is below 100, and not 0 or a census: no verdict rests on it.
        errors: sorted validation errors of the designs that did not fail (the EDF jumps by 1/N at each).
        band: half-width of the DKW band; None without designs and for a census, whose EDF is exact.
        best_of: expected best of n; the judged n is among them.
        n: the budget that is judged: min(plan's budget, N/5), at least 1; of a census min(plan's budget, N).
        gain: f - E[best of n] on report error; positive: the search is better.
        reason: why the verdict is "cannot say" whatever the interval says, else empty.
        seconds, multiply_adds, parameters: means over designs; seconds, and all that is made from them, None
            where those of the task are not compared.
        cost_ratio_seconds, cost_ratio_multiply_adds: n trials over one training of the single design.
        notes: what was approximated.
        laws: the population under both laws, whole and in parts.
        equal_cost: regret at the cost of 1, 2 and 4 trainings of the single design.
        resolving: what would decide where the interval of `gain` holds the margin or N is too small; None
            where there is a verdict or no whole interval, for a census, which cannot grow, and where the
            single design learned nothing.
        importance: of each choice of the space.
    """

    space: str
    designs: int
    failed: int
    repeats: int
    size: int | None
    census: bool
    descriptive: bool
    errors: tuple[float, ...]
    band: float | None
    seconds: float | None
    multiply_adds: float | None
    parameters: float | None
    chance_run: Estimate | None
    chance: Chance | None
    chance_margin: Chance | None
    best_of: tuple[BestOf, ...]
    n: int | None
    gain: Estimate | None
    cost_ratio_seconds: float | None
    cost_ratio_multiply_adds: float | None
    verdict: Verdict
    reason: str
    points: tuple[Point, ...]
    notes: tuple[str, ...]
    laws: Laws | None = None
    equal_cost: tuple[EqualCost, ...] = ()
    resolving: Resolving | None = None
    importance: tuple[Importance, ...] = ()
    described: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskComparison:
    """Everything said about one task. `verdict` is that of the first searched space.

    `dataset`: what the task is made from; tasks of one are not independent of each other. `controls` are
    measured as searched spaces are, but their fields `verdict` and `reason` are no conclusion of the task.
    `anchors`: what needs no network, as the run measured it; empty where it did not.
    """

    task: str
    dataset: str
    development: bool
    verdict: Verdict
    sentences: tuple[str, ...]
    margin: float | None
    majority_error: float | None
    rows_train: int
    rows_select: int
    rows_report: int
    single: Level | None
    defaults: tuple[Level, ...]
    spaces: tuple[SpaceComparison, ...]
    searches: tuple[SearchCurve, ...]
    finalists: tuple[Finalist, ...]
    kernel_sizes: tuple[KernelSizes, ...]
    notes: tuple[str, ...]
    budgets: tuple[Budgets, ...] = ()
    budget_pairs: tuple[BudgetPair, ...] = ()
    anytime: tuple[Anytime, ...] = ()
    usage: tuple[Usage, ...] = ()
    fronts: tuple[Front, ...] = ()
    controls: tuple[SpaceComparison, ...] = ()
    fixed_controls: tuple[FixedControl, ...] = ()
    other_rates: tuple[OtherRate, ...] = ()
    normalised: tuple[Normalised, ...] = ()
    anchors: tuple[Anchor, ...] = ()

    @property
    def searched(self) -> tuple[SpaceComparison, ...]:
        """The spaces that verdict and sentences rest on."""
        return tuple(space for space in self.spaces if not space.described)


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """Trials of one kind and status."""

    kind: str
    status: str
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SpaceRecipe:
    """The two numbers of a recipe that may differ between spaces."""

    task: str
    space: str
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The comparison of a run: one result per task, one sentence over all.

    Attributes:
        settings: fields of the recipe that are the same in all records.
        censored: searches that did not reach the single design's error.
        series: sets of tasks that differ in one thing.
        transfer: one matrix per searched space that has such trials.
        chosen: per task and space the default that was chosen on the other tasks.
        aggregate: normalised errors over tasks; None before the single design was trained.
        across: what is said across tasks.
    """

    plan: Plan
    overall: str
    tasks: tuple[TaskComparison, ...]
    settings: dict[str, str | int | float]
    per_space: tuple[SpaceRecipe, ...]
    records: int
    counts: tuple[Count, ...]
    censored: int
    devices: tuple[str, ...]
    commits: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    series: tuple[TaskSeries, ...] = ()
    transfer: tuple[TransferMatrix, ...] = ()
    chosen: tuple[ChosenElsewhere, ...] = ()
    aggregate: Aggregate | None = None
    across: tuple[str, ...] = ()
