"""The formulas against enumeration, hand-made numbers and simulated truth."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats

from nas.efficiency.chance import (
    GROWTH,
    Match,
    Noise,
    bound,
    error_of,
    match,
    noise_of,
    pooled_variance,
    shrinkage,
    stabilised,
)
from nas.efficiency.estimators import (
    Moments,
    best_of_weights,
    cautious,
    census_deviation,
    chance_run,
    dkw_halfwidth,
    expected_best,
    jackknife_best,
    moments,
    welch,
)


def enumerated_best(select: np.ndarray, report: np.ndarray, n: int) -> float:
    """Mean report error of the best by select error over all subsets; ties picked at random."""
    chosen = []
    for subset in combinations(range(len(select)), n):
        best = min(select[i] for i in subset)
        chosen.append(np.mean([report[i] for i in subset if select[i] == best]))
    return float(np.mean(chosen))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("select", [[0.3, 0.1, 0.5, 0.2, 0.9, 0.4, 0.6], [0.2, 0.1, 0.2, 0.1, 0.2, 0.3, 0.1]])
def test_expected_best_is_the_mean_over_all_subsets(select: list[float], n: int) -> None:
    report = np.array([0.31, 0.17, 0.42, 0.25, 0.8, 0.44, 0.5])
    expected = enumerated_best(np.array(select), report, n)
    assert expected_best(np.array(select), report, [n])[0] == pytest.approx(expected, abs=1e-12)


def test_ties_do_not_depend_on_the_order_of_records() -> None:
    select, report = np.array([0.1, 0.1, 0.2, 0.2]), np.array([0.1, 0.3, 0.2, 0.6])
    values = {
        round(expected_best(select[list(order)], report[list(order)], [2])[0], 12)
        for order in permutations(range(4))
    }
    assert len(values) == 1


def test_weights_are_a_distribution_also_for_large_populations() -> None:
    for count, n in ((1, 1), (7, 3), (5000, 1000)):
        weights = best_of_weights(count, n)
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
    exact = [math.comb(50 - i, 9) / math.comb(50, 10) for i in range(1, 51)]
    assert best_of_weights(50, 10) == pytest.approx(exact, rel=1e-12)
    with pytest.raises(ValueError, match="n must lie in"):
        best_of_weights(3, 4)


def test_a_failed_design_is_picked_last_and_counts_as_an_error_of_one() -> None:
    errors, worst = np.array([0.1, 0.2, 0.3, math.inf, math.inf]), np.array([0.1, 0.2, 0.3, 1.0, 1.0])
    assert expected_best(errors, errors, [1, 2, 3]) == pytest.approx(
        [enumerated_best(worst, worst, n) for n in (1, 2, 3)]
    )


def test_jackknife_leaves_out_each_design_in_turn() -> None:
    select, report = np.array([0.1, 0.2, 0.2, 0.4, 0.5]), np.array([0.2, 0.1, 0.4, 0.3, 0.6])
    left_out = [enumerated_best(np.delete(select, j), np.delete(report, j), 2) for j in range(5)]
    expected = math.sqrt(4 / 5 * ((left_out - np.mean(left_out)) ** 2).sum())
    values, deviations, _ = jackknife_best(select, report, [2])
    assert values[0] == pytest.approx(enumerated_best(select, report, 2))
    assert deviations[0] == pytest.approx(expected)


def test_leaving_out_agrees_with_enumeration_whatever_ties_and_fails() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        select, report = rng.integers(0, 5, 9) / 10, rng.random(9)
        select[:2] = report[:2] = math.inf if rng.random() < 0.5 else 0.3
        kept = [np.delete(np.arange(9), j) for j in range(9)]
        left_out = [expected_best(select[k], report[k], [3])[0] for k in kept]
        expected = math.sqrt(8 / 9 * ((left_out - np.mean(left_out)) ** 2).sum())
        assert jackknife_best(select, report, [3])[1][0] == pytest.approx(expected)


def test_few_designs_that_carry_a_standard_error_leave_it_few_degrees_of_freedom() -> None:
    errors = np.random.default_rng(0).normal(0.3, 0.05, 200)
    freedom = jackknife_best(errors, errors, [1, 10, 40])[2]
    assert freedom[0] == pytest.approx(2 * 200 / 3, rel=0.2) and freedom[0] > freedom[1] > freedom[2] > 2


def test_jackknife_of_best_of_one_is_the_standard_error_of_the_mean() -> None:
    errors = np.random.default_rng(0).random(30)
    assert jackknife_best(errors, errors, [1])[1][0] == pytest.approx(moments(errors).standard_error)


def test_jackknife_interval_covers_the_expected_best() -> None:
    """Errors uniform on [0, 1] and select = report: the truth is 1 / (n + 1)."""
    rng, count, n, covered = np.random.default_rng(1), 50, 10, 0
    for _ in range(400):
        errors = rng.random(count)
        values, deviations, freedom = jackknife_best(errors, errors, [n])
        covered += abs(values[0] - 1 / (n + 1)) <= stats.t.ppf(0.975, freedom[0]) * deviations[0]
    assert covered / 400 >= 0.92


def test_a_census_leaves_the_noise_of_seeds_only() -> None:
    """n = 1 is a mean of N errors, n = N the one best design."""
    assert census_deviation(4, [1, 4], 0.02) == pytest.approx([0.01, 0.02])


def test_dkw_band_covers_the_whole_distribution_function() -> None:
    rng, count = np.random.default_rng(2), 60
    band, covered, steps = dkw_halfwidth(60), 0, np.arange(61) / 60
    for _ in range(500):
        errors = np.sort(rng.random(count))  # the truth is the diagonal
        distance = max((steps[1:] - errors).max(), (errors - steps[:-1]).max())
        covered += distance <= band
    assert 0.93 <= covered / 500 <= 0.99


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.2, 0.01, 5), rng.normal(0.15, 0.03, 9)
    ours = welch(moments(a), moments(b))
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert ours[1:] == pytest.approx((theirs.low, theirs.high))
    assert welch(Moments(0.2, 0, 4), Moments(0.1, 0, 4)) == pytest.approx((0.1, 0.1, 0.1))


def test_cautious_is_students_t_where_one_side_is_exact_and_never_narrower_than_welch() -> None:
    exact = cautious(Moments(0.2, 0.01, 1), Moments(0.1, 0.0, 99))
    assert exact.high - exact.value == pytest.approx(0.01 * stats.t.ppf(0.975, 1))
    for freedom in (1.0, 4.0, 30.0):
        a, b = Moments(0.2, 0.01, freedom), Moments(0.1, 0.02, 99.0)
        assert cautious(a, b).high >= welch(a, b).high
    assert cautious(Moments(0.2, 0, 4), Moments(0.1, 0, 4)) == pytest.approx((0.1, 0.1, 0.1))


def test_equal_errors_are_known_to_half_a_row() -> None:
    assert moments(np.full(4, 0.1), 0.01).standard_error == pytest.approx(0.005 / 2)
    assert moments(np.array([0.1, 0.2]), 0.01).standard_error == pytest.approx(0.05)


def test_p_run_counts_pairs_with_ties_one_half() -> None:
    rng = np.random.default_rng(0)
    designs = [np.array([0.1]), np.array([0.2]), np.array([0.3]), np.array([math.inf])]
    # against 0.2: 1 + 1/2 + 0 + 0; against inf: 1 + 1 + 1 + 1/2
    assert chance_run(designs, np.array([0.2, math.inf]), rng).value == pytest.approx((1.5 + 3.5) / 8)


def test_p_run_weighs_designs_not_runs() -> None:
    designs = [np.array([0.1] * 9), np.array([0.3])]
    assert chance_run(designs, np.array([0.2, 0.2]), np.random.default_rng(0)).value == 0.5


def test_p_run_of_zero_keeps_a_bound() -> None:
    result = chance_run([np.array([0.5])] * 20, np.array([0.1, 0.1, 0.1]), np.random.default_rng(0))
    assert result.value == 0 and result.low < 1e-3
    assert stats.beta.ppf(0.975, 0.5, 20.5) <= result.high < 0.3


def test_p_run_is_as_uncertain_as_its_designs_and_its_seeds() -> None:
    """Seeds that agree leave the Beta law of the designs; two that do not leave next to nothing known."""
    rng, designs = np.random.default_rng(0), [np.array([0.01 * i]) for i in range(100)]
    agreeing = chance_run(designs, np.full(20, 0.295), rng, draws=20_000)
    assert agreeing == pytest.approx((0.3, *stats.beta.ppf([0.025, 0.975], 30.5, 70.5)), abs=0.01)
    differing = chance_run(designs, np.array([0.195, 0.405]), rng)
    assert differing.low < 0.05 and differing.high > 0.9


def test_p_run_of_a_census_draws_seeds_only() -> None:
    designs, seeds = [np.array([0.01 * i]) for i in range(100)], np.full(20, 0.295)
    known = chance_run(designs, seeds, np.random.default_rng(0), census=True)
    assert 0.29 < known.low < 0.3 < known.high < 0.31


def test_noise_comes_from_repeats_of_one_design_only() -> None:
    groups = [np.array([0.1, 0.3]), np.array([0.5]), np.array([0.2, 0.4, math.inf])]
    variance, freedom = pooled_variance(groups)
    assert (variance, freedom) == (pytest.approx((0.02 + 0.02) / 2), 2)
    assert shrinkage(0.75, 1.0) == pytest.approx(0.5)
    assert shrinkage(2.0, 1.0) == 0
    assert shrinkage(0.0, 0.0) == 1


QUIET = Noise(0.0, 4)


def match_at_equal_cost(errors: np.ndarray, single: np.ndarray, **settings: bool | int) -> Match:
    costs, single_costs = np.ones((len(errors), 2)), np.ones((len(single), 2))
    return match(errors, costs, single, single_costs, QUIET, np.random.default_rng(0), rows=10**6, **settings)


def test_stabilised_errors_have_the_same_binomial_noise_at_every_error() -> None:
    rng = np.random.default_rng(0)
    deviations = [stabilised(rng.binomial(400, e, 20_000) / 400).std() for e in (0.02, 0.1, 0.5)]
    assert deviations == pytest.approx([1 / math.sqrt(4 * 400)] * 3, rel=0.05)
    assert stabilised(np.array([0.0, 1.0, math.inf])) == pytest.approx([0, math.pi / 2, math.inf])


@pytest.mark.parametrize("growth", [0.0, 3.0, 200.0])
def test_the_scale_is_undone_and_ends_where_errors_do(growth: float) -> None:
    errors = np.array([0.0, 0.002, 0.1, 0.5, 0.9, 1.0])
    assert error_of(stabilised(errors, growth), growth) == pytest.approx(errors, abs=1e-6)
    assert (error_of(np.array([-1.0, 4.0]), growth) == [0, 1]).all()


def test_the_scale_evens_the_noise_that_rows_and_seeds_make_together() -> None:
    rng, rows, moved = np.random.default_rng(0), 1000, 0.5
    growth = moved**2 * rows / 4
    deviations = []
    for level in (0.01, 0.1, 0.5):
        trained = 1 / (1 + np.exp(-(math.log(level / (1 - level)) + moved * rng.standard_normal(20_000))))
        deviations.append(stabilised(rng.binomial(rows, trained) / rows, growth).std())
    assert deviations == pytest.approx([1 / math.sqrt(4 * rows)] * 3, rel=0.1)


def test_growth_is_a_share_of_what_exceeds_the_noise_of_rows() -> None:
    rng, rows = np.random.default_rng(0), 1000
    quiet = noise_of(list(rng.binomial(rows, 0.2, (400, 2)) / rows), rows)
    assert quiet.freedom == 400 and quiet.growth < 1 and quiet.variance == pytest.approx(1 / 4000, rel=0.2)
    trained = 1 / (1 + np.exp(-(math.log(0.25) + 0.2 * rng.standard_normal((400, 2)))))
    loud = noise_of(list(rng.binomial(rows, trained) / rows), rows)
    assert loud.growth == pytest.approx(GROWTH * 0.2**2 * rows / 4, rel=0.25)


def test_the_bound_is_the_error_that_shrinks_to_the_target() -> None:
    target = np.array([0.3])
    assert bound(0.5, 0.5, target, 10**9) == pytest.approx([0.1])
    assert bound(0.5, 0.0, target, 10**9) == -math.inf and bound(0.2, 0.0, target, 10**9) == math.inf


def test_without_noise_p_design_is_the_share_with_its_beta_interval() -> None:
    result = match_at_equal_cost(np.linspace(0.1, 0.299, 200), np.full(5, 0.1195), draws=20_000)
    assert result.matches == 20
    assert result.chance.value == pytest.approx(0.1)
    assert result.chance[1:] == pytest.approx(stats.beta.ppf([0.025, 0.975], 20.5, 180.5), abs=0.002)
    assert result.designs.value == pytest.approx(10)
    assert result.even_chance.value == pytest.approx(math.log(2) / -math.log(0.9))


def test_a_design_at_the_median_at_equal_cost_has_factor_two() -> None:
    result = match_at_equal_cost(np.arange(100) / 100, np.full(5, 0.49))
    assert result.factor[0].value == pytest.approx(2)
    assert result.factor[0].low < 2 < result.factor[0].high
    assert result.even_chance.value == pytest.approx(1)


def test_cost_to_match_is_the_mean_cost_over_p_whatever_the_matching_designs_cost() -> None:
    errors = np.arange(10) / 10
    costs = np.stack([np.arange(1.0, 11), np.full(10, 2.0)], axis=1)
    rng, single = np.random.default_rng(0), np.full(3, 0.1)
    result = match(errors, costs, single, np.ones((3, 2)), QUIET, rng, rows=1000)
    assert [cost.value for cost in result.cost] == pytest.approx([5.5 / 0.2, 2 / 0.2])


def test_no_match_gives_the_one_sided_bound_only() -> None:
    result = match_at_equal_cost(np.full(50, 0.5), np.full(5, 0.1))
    limit = 1 / (1 - 0.05 ** (1 / 50))
    assert (result.matches, result.designs.value, result.designs.high) == (0, math.inf, math.inf)
    assert result.designs.low == pytest.approx(limit)
    assert result.factor[0].low == pytest.approx(limit)


def test_failed_designs_stay_in_n_and_never_match() -> None:
    errors = np.array([0.1] * 10 + [math.inf] * 10)
    result = match_at_equal_cost(errors, np.full(5, 0.2))
    assert (result.matches, result.chance.value) == (10, 0.5)
    assert match_at_equal_cost(errors, np.ones(5)).matches == 10


def test_a_census_without_noise_leaves_nothing_to_draw() -> None:
    result = match_at_equal_cost(np.arange(10) / 10, np.full(5, 0.35), census=True)
    assert result.chance == pytest.approx((0.4, 0.4, 0.4))


def test_shrinking_leaves_designs_without_an_error_there_where_others_guess() -> None:
    """Half of the designs solve the task, half guess, as on a control task; the single design solves it."""
    rng, rows = np.random.default_rng(0), 400
    errors = np.array([0.0] * 50 + [*rng.binomial(rows, 0.5, 50) / rows])
    repeats = [np.array([e, e if e == 0 else rng.binomial(rows, 0.5) / rows]) for e in errors[46:54]]
    noise = Noise(*pooled_variance([stabilised(both) for both in repeats]))
    ones = np.ones((100, 1))
    result = match(errors, ones, np.zeros(5), ones[:5], noise, rng, rows=rows)
    assert result.matches == 50 and result.chance.low > 0.38
