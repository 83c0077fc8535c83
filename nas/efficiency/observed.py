"""What was seen outside the populations: searches, finalists, kernel sizes. No distribution statement."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.efficiency.estimate import Estimate, Unit, estimate
from nas.efficiency.estimators import Floats, moments, welch
from nas.efficiency.plan import Plan
from trials.record import TestMetrics, TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchCurve:
    """One search (a space and a seed): best select error so far against its cost.

    Attributes:
        unit: of cost: device-seconds, or multiply-adds where the seconds of the task are not compared.
        spent: the whole cost.
        curve: (cost so far, best select error so far) after each trial, in order of finish.
            All trials cost; only completed ones can be selected and count as best.
        to_single, to_margin: cost until the single design's select error, and that plus the margin,
            was reached; None: not reached within `spent` (censored), or no target yet.
    """

    space: str
    seed: int
    completed: int
    stopped: int
    failed: int
    unit: Unit
    spent: float
    curve: tuple[tuple[float, float], ...]
    target: float | None
    to_single: float | None
    to_margin: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WinnersCurse:
    """Gap between a select error that something was picked by and a test error: test - select.

    Of a design: the search's select error, and the mean test error of its n retrainings. Of kept weights:
    both of the finalist that is exported, n = 1.
    """

    search_seed: int
    selected_from: str
    select_error: float
    test_error: float
    n: int
    gap: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """The look of one finalist, one training, at the test rows."""

    trial: str
    metrics: TestMetrics


@dataclass(frozen=True, kw_only=True, slots=True)
class Finalist:
    """Test error of a space's finalists on a task: mean and standard deviation over n.

    Attributes:
        n: what the mean is over: searches (each the mean of its finalists) where there are two or more,
            else trainings with fresh seeds.
        trainings: finalists that ended; `failed` come on top.
        searches: number of search seeds behind them, 0 for a fixed design.
        difference: the space's test error minus the single design's (Welch); None for the single design,
            where a finalist of either failed, and with n = 1 on either side.
        tested: each training with all its metrics.
        curses: of the designs, one for each search.
        kept: of the weights that are exported, those of the finalist with the lowest select error.
    """

    space: str
    n: int
    trainings: int
    failed: int
    searches: int
    test_error: float | None
    test_sd: float | None
    difference: Estimate | None
    curses: tuple[WinnersCurse, ...]
    tested: tuple[Tested, ...]
    kept: WinnersCurse | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelSizes:
    """Taps along each axis of every convolution wider than 1: of a design, or the mean over seeds.

    `unchanged`: of the single design, in no seed did a size differ from that after the first epoch.
    """

    space: str
    of: str
    layers: tuple[tuple[float, ...], ...]
    unchanged: bool = False


def search_curves(
    records: Sequence[TrialRecord], target: float | None, margin: float | None, *, one_device: bool
) -> tuple[SearchCurve, ...]:
    """Best select error so far of every search, trials in the order they finished.

    All trials cost; only completed ones count as best, since only they can be selected.
    """
    searches: dict[tuple[str, int], list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.trial.study.kind == "search":
            searches[record.trial.study.space, record.trial.study.seed].append(record)
    unit: Unit = "device-seconds" if one_device else "multiply-adds"
    return tuple(
        _curve(space, seed, sorted(trials, key=lambda r: (r.finished, r.trial.number)), target, margin, unit)
        for (space, seed), trials in sorted(searches.items())
    )


def _curve(
    space: str,
    seed: int,
    trials: Sequence[TrialRecord],
    target: float | None,
    margin: float | None,
    unit: Unit,
) -> SearchCurve:
    seconds = unit == "device-seconds"
    spent = np.cumsum([r.seconds if seconds else float(r.training_multiply_adds) for r in trials])
    best = np.minimum.accumulate([r.select_error if r.status == "completed" else math.inf for r in trials])
    curve = tuple((float(s), float(b)) for s, b in zip(spent, best) if math.isfinite(b))

    def time_to(level: float | None) -> float | None:
        return next((s for s, b in curve if level is not None and b <= level), None)

    status = [record.status for record in trials]
    return SearchCurve(
        space=space,
        seed=seed,
        completed=status.count("completed"),
        stopped=status.count("stopped"),
        failed=status.count("failed"),
        unit=unit,
        spent=float(spent[-1]),
        curve=curve,
        target=target,
        to_single=time_to(target),
        to_margin=time_to(None if target is None or margin is None else target + margin),
    )


def finalists_of(records: Sequence[TrialRecord], plan: Plan) -> tuple[Finalist, ...]:
    """Test error of every space that has finalists, in the plan's order, beside the single design's."""
    finalists = [record for record in records if record.trial.study.kind == "finalist"]
    by_id = {record.trial.id: record for record in records}
    of_space = {
        space: [record for record in finalists if record.trial.study.space == space]
        for space in (plan.single, *plan.searched, *plan.defaults)
    }
    return tuple(
        _finalist(space, trials, of_space[plan.single] if space != plan.single else [], by_id)
        for space, trials in of_space.items()
        if trials
    )


def _finalist(
    space: str, trials: Sequence[TrialRecord], single: Sequence[TrialRecord], by_id: dict[str, TrialRecord]
) -> Finalist:
    ended = [record for record in trials if record.status != "failed"]
    tested, of_single = _test_errors(trials), _test_errors(single)
    difference = None
    whole = all(record.status != "failed" for record in (*trials, *single))
    if whole and len(tested) > 1 and len(of_single) > 1:
        row = 1 / max(record.test.rows for record in (*trials, *single) if record.test)
        difference = estimate(welch(moments(tested, row), moments(of_single, row)))
    selected = sorted(
        {r.trial.selected_from for r in ended if r.trial.selected_from in by_id} - {None}, key=str
    )
    return Finalist(
        space=space,
        n=len(tested),
        trainings=len(ended),
        failed=len(trials) - len(ended),
        searches=len(_searches(trials)),
        test_error=float(tested.mean()) if len(tested) else None,
        test_sd=float(tested.std(ddof=1)) if len(tested) > 1 else None,
        difference=difference,
        curses=tuple(
            _curse(by_id[str(name)], ended) for name in selected if by_id[str(name)].status != "failed"
        ),
        tested=tuple(Tested(trial=r.trial.id, metrics=r.test) for r in ended if r.test),
        kept=_kept(ended),
    )


def _searches(trials: Sequence[TrialRecord]) -> set[int]:
    """Seeds of the searches that selected these finalists' designs."""
    return {record.trial.study.seed for record in trials if record.trial.selected_from}


def _test_errors(trials: Sequence[TrialRecord]) -> Floats:
    """One test error per search where there are two or more, the mean of its finalists; else per training."""
    by_unit: dict[str | int, list[float]] = defaultdict(list)
    several = len(_searches(trials)) > 1
    for record in trials:
        if record.status != "failed" and record.test:
            by_unit[record.trial.study.seed if several else record.trial.id].append(record.test.error)
    return np.array([np.mean(errors) for errors in by_unit.values()])


def _curse(searched: TrialRecord, finalists: Sequence[TrialRecord]) -> WinnersCurse:
    return _gap(
        searched, searched.trial.id, [r for r in finalists if r.trial.selected_from == searched.trial.id]
    )


def _gap(picked: TrialRecord, name: str, tested: Sequence[TrialRecord]) -> WinnersCurse:
    own = [record.test.error for record in tested if record.test]
    test_error = float(np.mean(own))
    return WinnersCurse(
        search_seed=picked.trial.study.seed,
        selected_from=name,
        select_error=picked.select_error,
        test_error=test_error,
        n=len(own),
        gap=test_error - picked.select_error,
    )


def _kept(finalists: Sequence[TrialRecord]) -> WinnersCurse | None:
    tested = [record for record in finalists if record.test]
    if not tested:
        return None
    best = min(tested, key=lambda record: (record.select_error, record.trial.id))  # as `nas export` picks
    return _gap(best, best.trial.id, [best])


def kernel_sizes_of(records: Sequence[TrialRecord], plan: Plan) -> tuple[KernelSizes, ...]:
    """Learned sizes (mean over seeds) beside those of each searched space's best design by select error."""
    completed = [record for record in records if record.status == "completed" and record.kernel_sizes]
    random = [
        r for r in completed if r.trial.study.kind == "population" and r.trial.study.space == plan.single
    ]
    rows = []
    if random:
        layers = random[0].kernel_sizes
        same = [r for r in random if list(map(len, r.kernel_sizes)) == list(map(len, layers))]
        means = tuple(
            tuple(float(np.mean([r.kernel_sizes[i][axis] for r in same])) for axis in range(len(layer)))
            for i, layer in enumerate(layers)
        )
        unchanged = all(r.curve[0].kernel_sizes == r.kernel_sizes for r in random)
        rows.append(
            KernelSizes(space=plan.single, of=f"mean of {len(same)} seeds", layers=means, unchanged=unchanged)
        )
    for space in plan.searched:
        trials = [
            r
            for r in completed
            if r.trial.study.space == space and r.trial.study.kind in ("population", "search")
        ]
        if trials:
            best = min(trials, key=lambda record: (record.select_error, record.trial.id))
            sizes = tuple(tuple(float(taps) for taps in layer) for layer in best.kernel_sizes)
            rows.append(
                KernelSizes(space=space, of=f"best design by select error, {best.trial.id}", layers=sizes)
            )
    return tuple(rows)
