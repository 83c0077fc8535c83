"""What is simulated to measure coverage: for each interval of the product, its bounds beside the truth.

A case takes a cell of the grid and gives for each measure an array of (low, high, truth), one row a
replication. A one-sided bound has an infinite (or the least possible) other side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from nas.efficiency.anytime import median_time
from nas.efficiency.chance import Match, Noise, match, noise_of, pooled_variance, undecided
from nas.efficiency.estimators import (
    Floats,
    Interval,
    Moments,
    cautious,
    census_deviation,
    chance_run,
    dkw_halfwidth,
    expected_best,
    jackknife_best,
    moments,
    of_share,
    rank_correlation,
    welch,
)
from nas.efficiency.weighted import weighted_chance
from tests.nas.simulator import Counts, World, halves, searches

REPEATS = 8
"""Designs trained a second time: the default of `SearchConfig.repeats`."""
SPLITS = 10
"""Validation splits that the replications of a cell share out; truths on a split are known for each."""
MANY = 40_000
"""Designs drawn for a truth without closed form."""
WORLDS = tuple(
    World(shape, rows, noise)
    for shape, rows, noise in product(("normal", "skewed", "near zero"), (100, 1000), (0.3, 0.7))
    if (shape, rows, noise) != ("near zero", 100, 0.3)  # 100 rows alone make noise of 0.55 there
)


@dataclass(frozen=True)
class Cell:
    """A point of the grid; `p` is the share of designs that the single design is at."""

    world: World
    designs: int
    seeds: int
    p: float


Found = dict[str, list[tuple[float, float, float]]]


@dataclass(frozen=True)
class Case:
    """A simulation and the cells it runs in."""

    run: Callable[[Cell, int, np.random.Generator], Found]
    cells: tuple[Cell, ...]


def cells(
    worlds: Iterable[World] = WORLDS,
    designs: Iterable[int] = (24, 50, 200),
    seeds: Iterable[int] = (2, 5, 10),
    ps: Iterable[float] = (0.02, 0.1, 0.3, 0.5),
) -> tuple[Cell, ...]:
    return tuple(Cell(*each) for each in product(worlds, designs, seeds, ps))


OTHER_SEEDS = tuple(
    World(shape, rows, 0.7, "error") for shape in ("normal", "skewed") for rows in (100, 1000)
)
"""Seeds that move errors, not log-odds."""
FAILING = tuple(replace(world, failing=0.1) for world in WORLDS if world.rows == 1000)


def _splits(cell: Cell, replications: int, rng: np.random.Generator) -> tuple[Counts, Counts]:
    """The validation splits, and that of each replication."""
    splits = cell.world.validations(rng, SPLITS)
    return splits, splits[np.arange(replications) % SPLITS]


def chances(cell: Cell, replications: int, rng: np.random.Generator, *, draws: int = 1000) -> Found:
    """p_design and what follows from it; costs depend on the design, the truth is E[cost] / p."""
    world, p = cell.world, cell.p
    _, validation = _splits(cell, replications, rng)
    designs = world.designs(rng, (replications, cell.designs))
    single = np.full((replications, cell.seeds), world.single(p))
    errors, again = (world.errors(rng, each, validation) for each in (designs, designs[:, :REPEATS]))
    costs, of_single = world.costs(rng, designs), world.costs(rng, single)
    single_errors = world.errors(rng, single, validation)
    found: Found = {"p_design": [], "cost to match": [], "factor": []}
    for i in range(replications):
        result = matched_once(
            errors[i], again[i], single_errors[i], world.rows, rng, costs[i], of_single[i], draws
        )
        if undecided(errors[i], single_errors[i], result.matches, world.rows):
            continue
        found["p_design"].append((*result.chance[1:], p))
        found["cost to match"].append((*result.cost[0][1:], world.mean_cost / p))
        found["factor"].append(
            (*result.factor[0][1:], world.mean_cost / p / world.single_cost(world.single(p)))
        )
    return found


def matched_once(
    errors: Floats,
    again: Floats,
    single: Floats,
    rows: int,
    rng: np.random.Generator,
    costs: Floats | None = None,
    single_costs: Floats | None = None,
    draws: int = 1000,
    census: bool = False,
) -> Match:
    """`match` of designs of which the first were trained again."""
    noise = noise_of([np.array(both) for both in zip(errors, again)], rows)
    of_designs = np.ones(len(errors)) if costs is None else costs
    of_single = np.ones(len(single)) if single_costs is None else single_costs
    return match(
        errors,
        of_designs[:, None],
        single,
        of_single[:, None],
        noise,
        rng,
        rows=rows,
        draws=draws,
        census=census,
    )


def laws(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """p_design under another law: weights that rise with a design's error, log-normal with deviation 0.7.

    Of a rank z and a share c = 0.35 of it in the logarithm of the weights, P(z <= z_f) is Phi(z_f - c).
    """
    world, tilt = cell.world, 0.35
    single = world.single(float(stats.norm.cdf(stats.norm.ppf(cell.p) + tilt)))
    _, validation = _splits(cell, replications, rng)
    designs = world.designs(rng, (replications, cell.designs))
    noise = rng.standard_normal(designs.shape) * (0.7**2 - tilt**2) ** 0.5
    weights = np.exp(tilt * world.rank(designs) + noise)
    errors, again = (world.errors(rng, each, validation) for each in (designs, designs[:, :REPEATS]))
    single_errors = world.errors(rng, np.full((replications, cell.seeds), single), validation)
    found = []
    for i in range(replications):
        noise_i = noise_of([np.array(both) for both in zip(errors[i], again[i])], world.rows)
        interval = weighted_chance(
            errors[i], weights[i], single_errors[i], noise_i, rng, rows=world.rows, draws=500
        )
        found.append((interval.low, interval.high, cell.p))
    return {"p_design under another law": found}


def runs(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """p_run on the rows of the validation split."""
    world, p = cell.world, cell.p
    splits, validation = _splits(cell, replications, rng)
    many = np.broadcast_to(world.designs(rng, MANY // 4), (SPLITS, MANY // 4))
    many_errors = np.sort(world.errors(rng, many, splits), axis=1)
    many_single = world.errors(rng, np.full((SPLITS, MANY // 4), world.single(p)), splits)
    truths = [
        (np.searchsorted(e, f, "left").mean() + np.searchsorted(e, f, "right").mean()) / 2 / len(e)
        for e, f in zip(many_errors, many_single)
    ]
    errors = world.errors(rng, world.designs(rng, (replications, cell.designs)), validation)
    single = world.errors(rng, np.full((replications, cell.seeds), world.single(p)), validation)
    found = []
    for i in range(replications):
        interval = chance_run([np.array([e]) for e in errors[i]], single[i], rng, draws=1000)
        found.append((interval.low, interval.high, float(truths[i % SPLITS])))
    return {"p_run": found}


def best(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """Expected best of n = N/5, what search buys, and the verdict where the truth is the margin."""
    world, n = cell.world, cell.designs // 5
    splits, _ = _splits(cell, replications, rng)
    select, report = halves(rng, splits)
    many = np.broadcast_to(world.designs(rng, MANY), (SPLITS, MANY))
    truths = [
        float(expected_best(s, r, [n])[0]) for s, r in zip(*world.two_errors(rng, many, select, report))
    ]
    levels = world.expected(world.single(cell.p), report)
    of = np.arange(replications) % SPLITS
    designs = world.designs(rng, (replications, cell.designs))
    selected, reported = world.two_errors(rng, designs, select[of], report[of])
    single = world.errors(rng, np.full((replications, cell.seeds), world.single(cell.p)), report[of])
    found: Found = {"expected best of n": [], "gain": []}
    for i in range(replications):
        (value,), (deviation,), (freedom,) = jackknife_best(selected[i], reported[i], [n])
        truth = truths[of[i]]
        found["expected best of n"].append((*of_share(value, deviation, freedom)[1:], truth))
        gain = cautious(
            moments(single[i], resolution=2 / world.rows),
            Moments(float(value), float(deviation), float(freedom)),
        )
        found["gain"].append((gain.low, gain.high, float(levels[of[i]]) - truth))
    return found


def censuses(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """The whole space trained: p_design, the single design lying between two designs, and best of n = N/5."""
    world, n = cell.world, cell.designs // 5
    splits, _ = _splits(cell, replications, rng)
    select, report = halves(rng, splits)
    designs = np.sort(world.designs(rng, (SPLITS, cell.designs)), axis=1)
    matches = round(cell.p * cell.designs)
    single = designs[:, matches - 1 : matches + 1].mean(axis=1, keepdims=True)
    trained = [world.two_errors(rng, designs, select, report) for _ in range(200)]
    truths = np.mean([[expected_best(s, r, [n])[0] for s, r in zip(*each)] for each in trained], axis=0)
    found: Found = {"p_design of a census": [], "expected best of n of a census": []}
    for i in range(replications):
        of = slice(i % SPLITS, i % SPLITS + 1)
        order = rng.permutation(cell.designs)
        (chosen,), (reported,) = world.two_errors(rng, designs[of][:, order], select[of], report[of])
        (again,), (reported_again,) = world.two_errors(
            rng, designs[of][:, order[:REPEATS]], select[of], report[of]
        )
        single_errors = world.errors(rng, np.repeat(single[of], cell.seeds, axis=1), splits[of])[0]
        errors, second = (chosen + reported) / 2, (again + reported_again) / 2
        result = matched_once(errors, second, single_errors, world.rows, rng, census=True)
        if not undecided(errors, single_errors, result.matches, world.rows):
            found["p_design of a census"].append((*result.chance[1:], matches / cell.designs))
        noise = Noise(*pooled_variance([np.array(both) for both in zip(reported, reported_again)]))
        (value,) = expected_best(chosen, reported, [n])
        (deviation,) = census_deviation(len(chosen), [n], noise.variance**0.5)
        best_of_share = of_share(float(value), float(deviation), noise.freedom)
        found["expected best of n of a census"].append((*best_of_share[1:], float(truths[i % SPLITS])))
    return found


def differences(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """Two fixed designs of equal mean error: the single design against a default."""
    world = cell.world
    _, validation = _splits(cell, replications, rng)
    pair = np.full((replications, 2, cell.seeds), world.single(cell.p))
    errors = world.errors(rng, pair, validation)
    return {
        "difference from a default": [
            (*welch(*(moments(e, 1 / world.rows) for e in each))[1:], 0.0) for each in errors
        ]
    }


def finalists(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """Three finalists of each of `seeds` searches, whose designs differ, against the single design."""
    world = cell.world
    _, validation = _splits(cell, replications, rng)
    level = world.single(cell.p)
    chosen = world.design(world.level(rng.uniform(0, 2 * cell.p, (replications, cell.seeds))))
    tested = world.errors(rng, np.repeat(chosen[..., None], 3, axis=2), validation).mean(axis=2)
    single = world.errors(rng, np.full((replications, cell.seeds), level), validation)
    shares = (np.arange(200) + 0.5) / 200 * 2 * cell.p
    means = np.mean([world.expected(float(d), validation) for d in world.design(world.level(shares))], axis=0)
    truth = means - world.expected(level, validation)
    row = 1 / world.rows
    found = [
        (*welch(moments(a, row), moments(b, row))[1:], float(t)) for a, b, t in zip(tested, single, truth)
    ]
    return {"difference of finalists": found}


def correlations(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """Spearman's correlation of errors at two budgets: the same designs, trained twice."""
    world = cell.world
    splits, validation = _splits(cell, replications, rng)
    many = np.broadcast_to(world.designs(rng, MANY), (SPLITS, MANY))
    twice = [world.errors(rng, many, splits) for _ in range(2)]
    truths = [float(stats.spearmanr(a, b).statistic) for a, b in zip(*twice)]
    designs = world.designs(rng, (replications, cell.designs))
    pairs = zip(*(world.errors(rng, designs, validation) for _ in range(2)))
    found = []
    for i, (a, b) in enumerate(pairs):
        interval = rank_correlation(a, b) or Interval(0.0, -1.0, 1.0)
        found.append((interval.low, interval.high, truths[i % SPLITS]))
    return {"rank correlation": found}


def times(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """Median trials of `seeds` random searches to the first match, censored after N trials."""
    truth = math.ceil(math.log(0.5) / math.log1p(-cell.p))
    found = []
    for _ in range(replications):
        taken, matched = searches(rng, cell.p, cell.designs, cell.seeds)
        result = median_time(taken[matched], taken[~matched])
        low, high = result.low or 0.0, result.high or math.inf
        found.append((low, high, float(truth)))
    return {"median time to target": found}


def bands(cell: Cell, replications: int, rng: np.random.Generator) -> Found:
    """The largest distance of the EDF from the distribution of errors on the split: (0, band, it)."""
    world = cell.world
    splits, validation = _splits(cell, replications, rng)
    many = np.sort(
        world.errors(rng, np.broadcast_to(world.designs(rng, MANY), (SPLITS, MANY)), splits), axis=1
    )
    points = np.arange(world.rows + 1) / world.rows + 1e-9
    truths = [np.searchsorted(each, points) / MANY for each in many]
    errors = np.sort(world.errors(rng, world.designs(rng, (replications, cell.designs)), validation), axis=1)
    band, found = dkw_halfwidth(cell.designs), []
    for i, each in enumerate(errors):
        distance = np.abs(np.searchsorted(each, points) / cell.designs - truths[i % SPLITS]).max()
        found.append((0.0, band, float(distance)))
    return {"band of the EDF": found}


CASES = {
    "chances": Case(chances, cells()),
    "laws": Case(laws, cells([w for w in WORLDS if w.rows == 1000], designs=(50, 200), seeds=(5,))),
    "runs": Case(runs, cells()),
    "other seeds": Case(chances, cells(OTHER_SEEDS, designs=(50, 200), seeds=(5, 10))),
    "failures": Case(chances, cells(FAILING, designs=(50, 200), seeds=(5,), ps=(0.1, 0.5))),
    "censuses": Case(censuses, cells(seeds=(5,), ps=(0.1, 0.5))),
    "best": Case(best, cells(designs=(24, 50, 100, 200), ps=(0.1,))),
    "differences": Case(differences, cells(designs=(0,), ps=(0.1,))),
    "finalists": Case(finalists, cells(designs=(0,), ps=(0.1,))),
    "correlations": Case(correlations, cells(designs=(6, 10, 20, 50), seeds=(1,), ps=(0.1,))),
    "times": Case(times, cells(WORLDS[:1], designs=(40,), seeds=(6, 10, 20), ps=(0.02, 0.1, 0.3))),
    "bands": Case(bands, cells(seeds=(1,), ps=(0.1,))),
}
