"""The simulator of coverage studies draws what it says."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nas.coverage_cases import WORLDS
from tests.nas.simulator import World, halves, searches


def id_of(world: World) -> str:
    return f"{world.shape}-{world.rows}-{world.noise}"


@pytest.mark.parametrize("world", WORLDS, ids=id_of)
def test_errors_have_the_stated_means_spread_noise_and_steps(world: World) -> None:
    """4,000 designs on each of 40 validation splits; a mean over splits is within its own noise."""
    rng = np.random.default_rng(0)
    designs, splits = world.designs(rng, (40, 4000)), world.validations(rng, 40)
    errors, again = (world.errors(rng, designs, splits) for _ in range(2))
    assert np.allclose(errors * world.rows, np.round(errors * world.rows))
    assert np.sqrt(((errors - again) ** 2).mean() / 2) == pytest.approx(world.noise * world.spread, rel=0.06)
    for p in (0.1, 0.5):
        single = world.single(p)
        assert (designs <= single).mean() == pytest.approx(p, abs=0.005)
        assert world.expected(single, splits).mean() == pytest.approx(float(world.level(p)), rel=0.1)
        seeds = world.errors(rng, np.full((40, 2000), single), splits)
        assert seeds.mean(axis=1) == pytest.approx(
            world.expected(single, splits), abs=6 * world.noise * 0.12 / 2000**0.5
        )


def test_failing_designs_never_end_and_leave_the_shares_of_all_designs() -> None:
    world, rng = World("normal", 100, 0.7, failing=0.1), np.random.default_rng(0)
    designs = world.designs(rng, (10, 10_000))
    assert np.isinf(designs).mean() == pytest.approx(0.1, abs=0.005)
    assert (designs <= world.single(0.3)).mean() == pytest.approx(0.3, abs=0.005)
    assert np.isinf(world.errors(rng, designs, world.validations(rng, 10)))[np.isinf(designs)].all()


def test_costs_have_the_stated_means() -> None:
    world, rng = World("skewed", 1000, 0.3, failing=0.1), np.random.default_rng(0)
    assert world.costs(rng, world.designs(rng, 200_000)).mean() == pytest.approx(world.mean_cost, rel=0.01)
    single = world.single(0.1)
    assert world.costs(rng, np.full(200_000, single)).mean() == pytest.approx(
        world.single_cost(single), rel=0.01
    )


def test_halves_share_the_rows_and_the_training() -> None:
    world, rng = World("normal", 1000, 0.7), np.random.default_rng(0)
    splits = world.validations(rng, 4)
    select, report = halves(rng, splits)
    assert (select + report == splits).all() and (select.sum(axis=1) == 500).all()
    first, second = world.two_errors(rng, np.full((4, 5000), world.single(0.5)), select, report)
    within = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second)]
    assert min(within) > 0.2  # the seed of a training is in both


def test_too_few_rows_for_so_little_noise_are_refused() -> None:
    with pytest.raises(ValueError, match=r"100 rows alone make noise of 0\.5"):
        _ = World("near zero", 100, 0.3).seed_sd


def test_random_searches_match_after_a_geometric_number_of_trials() -> None:
    taken, matched = searches(np.random.default_rng(0), 0.1, 20, 100_000)
    assert matched.mean() == pytest.approx(1 - 0.9**20, abs=0.005)
    assert (taken > 5).mean() == pytest.approx(0.9**5, abs=0.005) and taken.max() == 20
