"""Two laws of a population against enumerated spaces; normalised distributions against hand calculations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.efficiency.chance import Noise, match, pooled_variance, stabilised
from nas.efficiency.estimate import estimate
from nas.efficiency.law import Laws, kernel_sizes, laws_of
from nas.efficiency.normalised import bin_weights, normalised_of
from nas.efficiency.selection import population_of
from nas.efficiency.weighted import effective_size, weighted_chance, weighted_quantiles
from search_spaces.architecture import Architecture
from search_spaces.space import Choice, Space, Values
from tests.nas.builders import PLAN, ROWS, compare_one, full_run, population, record, seeds
from trials.record import TrialRecord

NOISELESS = Noise(0.0, 10)
TOY = Space(
    name="toy",
    choices=(
        Choice(name="deep", options=(False, True)),
        Choice(name="kernel_1", options=(3, 5, 7)),
        Choice(name="kernel_2", options=(3, 5, 7), when=("deep", (True,))),
        Choice(name="kernel_3", options=(3, 5, 7, 9), when=("deep", (True,))),
    ),
    assemble=lambda values: Architecture.of("toy", **values),
)
"""39 designs, 36 of them deep; a random sampler draws a deep one half the time."""


def error_of(values: Values) -> float:
    """Deep designs are better, larger kernels too; all different."""
    size = sum(int(str(v)) * 0.9**i for i, (name, v) in enumerate(values.items()) if name != "deep")
    return 0.4 - 0.1 * bool(values["deep"]) - 0.002 * size


def drawn(
    values: Values, number: int, *, weight: float | None = None, error: float | None = None
) -> TrialRecord:
    """The record of a design of the toy space."""
    made = record(number=number, error=error_of(values) if error is None else error)
    known = TOY.weight(values) if weight is None else weight
    trial = replace(made.trial, values=values, architecture=TOY.decode(values), weight=known)
    return replace(made, trial=trial)


def share_of_all(target: float, without: int | None = None) -> float:
    """The truth by enumeration: share of the space's designs at or below the target."""
    errors = [error_of(v) for v in TOY.enumerate() if without not in v.values()]
    return float(np.mean([error <= target + 1e-12 for error in errors]))


def laws(records: list[TrialRecord], single: list[float], *, census: bool = False) -> Laws:
    rng, designs, ours = np.random.default_rng(0), population_of(records), np.array(single)
    ones = np.ones((len(designs.trials), 1))
    drawn = match(
        designs.errors(), ones, ours, np.ones((3, 1)), NOISELESS, rng, rows=designs.rows, census=census
    )
    whole = estimate(drawn.chance)
    found = laws_of(designs, ours, None, NOISELESS, whole, rng, census=census)
    assert found is not None
    return found


def test_weights_of_a_whole_space_give_both_laws_exactly() -> None:
    """Each design once: the uniform share is that of the enumeration, the sampler's is its probability."""
    everything = list(TOY.enumerate())
    target = float(np.quantile([error_of(v) for v in everything], 0.3))
    found = laws([drawn(v, i) for i, v in enumerate(everything)], [target] * 3, census=True)
    chance = {False: 1 / 6, True: 1 / 72}
    by_sampler = sum(chance[bool(v["deep"])] for v in everything if error_of(v) <= target)
    for part, without in zip(found.parts, (None, 3, 5, 7, 9)):
        assert part.uniform is not None and part.effective == part.designs
        assert part.uniform.value == pytest.approx(share_of_all(target, without), abs=1e-12)
    whole = found.parts[0]
    assert whole.drawn is not None and whole.drawn.value == pytest.approx(by_sampler, abs=1e-12)
    assert whole.drawn.value < 0.6 * (whole.uniform.value if whole.uniform else 0)


def test_weighted_samples_estimate_the_uniform_law() -> None:
    """Draws of the random sampler: the weighted shares are within 0.01 of the truth on average."""
    rng, target = np.random.default_rng(1), 0.27
    truth, plain, weighted = share_of_all(target), [], []
    for _ in range(300):
        values = [TOY.sample(rng) for _ in range(200)]
        errors, weights = np.array([error_of(v) for v in values]), np.array([TOY.weight(v) for v in values])
        weighted.append(
            weighted_chance(errors, weights, np.full(3, target), NOISELESS, rng, rows=ROWS, draws=2).value
        )
        plain.append(np.mean(errors <= target))
    assert np.mean(weighted) == pytest.approx(truth, abs=0.01)
    assert np.mean(plain) < 0.7 * truth


@pytest.mark.parametrize(("size", "noise", "truth"), [(60, 0.3, 0.1), (60, 0.7, 0.3), (200, 0.3, 0.3)])
def test_weighted_chance_covers_the_truth(size: int, noise: float, truth: float) -> None:
    """Weights spread over a factor of 20 that go with the errors; 8 repeats, 5 seeds, 200 times."""
    rng, covered = np.random.default_rng(2), []
    logs = rng.normal(0, 1, 20_000)
    weights, means = np.exp(logs), 0.3 + 0.05 * (0.5 * logs + 0.75**0.5 * rng.normal(size=20_000))
    (level,) = weighted_quantiles(means, weights, (truth,))
    for _ in range(200):
        at = rng.integers(20_000, size=size)
        errors = means[at] + rng.normal(0, 0.05 * noise, size)
        single = level + rng.normal(0, 0.05 * noise, 5)
        again = means[at][:8] + rng.normal(0, 0.05 * noise, 8)
        known = Noise(*pooled_variance([stabilised(np.array(both)) for both in zip(errors, again)]))
        _, low, high = weighted_chance(errors, weights[at], single, known, rng, rows=10_000, draws=500)
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= 0.92


def test_equal_weights_agree_with_the_unweighted_chance() -> None:
    rng = np.random.default_rng(3)
    errors, single, noise = rng.normal(0.3, 0.05, 100), rng.normal(0.27, 0.01, 5), Noise(1e-4, 8)
    ones = np.ones((100, 1))
    known = match(errors, ones, single, ones[:5], noise, np.random.default_rng(4), rows=ROWS).chance
    found = weighted_chance(errors, np.full(100, 0.2), single, noise, np.random.default_rng(5), rows=ROWS)
    assert found == pytest.approx(known, abs=0.02)
    assert found.value == pytest.approx(known.value)


def test_few_effective_designs_and_unknown_weights_give_no_p() -> None:
    rng = np.random.default_rng(6)
    values = [TOY.sample(rng) for _ in range(200)]
    older = laws([drawn(v, i, weight=1.0) for i, v in enumerate(values)], [0.27] * 3)
    assert older.uniform is None and older.parts[0].uniform is None
    assert older.parts[0].drawn is not None and older.drawn.effective == older.parts[0].designs
    shallow = next(v for v in TOY.enumerate() if not v["deep"])
    designs = [replace(drawn(shallow, i).trial, architecture=Architecture.of("toy", n=i)) for i in range(30)]
    heavy = [
        replace(drawn(shallow, i), trial=replace(trial, weight=1.0 if i else 500.0))
        for i, trial in enumerate(designs)
    ]
    found = laws(heavy, [0.5] * 3)
    assert found.parts[0].effective == pytest.approx(effective_size(np.array([500.0] + [1.0] * 29)))
    assert found.parts[0].uniform is None and found.parts[0].drawn is not None


def test_failed_designs_keep_their_weight_in_both_laws() -> None:
    designs = list(TOY.enumerate())
    records = [drawn(v, i) for i, v in enumerate(designs)]
    broken = [replace(r, status="failed", curve=()) if i < 30 else r for i, r in enumerate(records)]
    found = laws(broken, [0.9] * 3, census=True)
    part = found.parts[0]
    assert part.failed == 30 and part.uniform is not None
    assert part.uniform.value == pytest.approx(9 / 39)
    assert found.uniform is not None and found.uniform.quantiles[2] is None


def test_kernel_sizes_are_whole_numbers_of_choices_named_so() -> None:
    values = {"kernel_1": 3, "causal_kernel_late": 15, "edge_0_1": 9, "edge_0_2": "skip", "width": 32}
    trial = replace(record().trial, values={**values, "kernel_flag": True})
    assert kernel_sizes(replace(record(), trial=trial)) == {3, 9, 15}


def test_parts_below_the_single_design_hold_the_right_designs() -> None:
    """Of 100 designs the first 40 cost as much as the single design or less."""
    cheap = population([0.30] * 20 + [0.10] * 20, multiply_adds=500)
    dear = [
        replace(r, trial=replace(r.trial, number=r.trial.number + 40, architecture=Architecture.of("x", n=i)))
        for i, r in enumerate(population([0.05] * 60, multiply_adds=2000))
    ]
    _, space = compare_one(seeds([0.2] * 5, multiply_adds=500) + cheap + dear)
    assert space.laws is not None
    part = next(p for p in space.laws.parts if p.what.startswith("multiply-adds"))
    assert part.designs == 40 and part.drawn is not None and part.drawn.value == pytest.approx(0.5)
    assert space.laws.parts[0].drawn is not None and space.laws.parts[0].drawn.value == pytest.approx(0.8)


def test_weighted_quantiles_are_those_of_the_weighted_distribution() -> None:
    values, weights = np.array([3.0, 1.0, 2.0, np.inf]), np.array([1.0, 2.0, 1.0, 1.0])
    assert weighted_quantiles(values, weights, (0.05, 0.4, 0.41, 0.8, 0.81)) == (1.0, 1.0, 2.0, 3.0, np.inf)


def test_bin_weights_are_those_of_a_hand_calculation() -> None:
    """Bins 0 and 2 hold designs of both spaces, bin 1 of one only, bin 3 of none."""
    (first, second), dropped = bin_weights([np.array([0, 0, 0, 2]), np.array([0, 1, 2, 2])], 4)
    assert first == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert second == pytest.approx([1 / 2, 0, 1 / 4, 1 / 4])
    assert dropped == 2


def test_spaces_that_differ_in_size_only_have_one_normalised_distribution() -> None:
    """Error falls with multiply-adds alone; one space has mostly large designs, the other small ones."""
    rng = np.random.default_rng(7)

    def space(power: float, count: int) -> list[TrialRecord]:
        logs = 3 + rng.random(count) ** power
        made = (record(number=i, error=0.5 - 0.1 * x, multiply_adds=round(10**x)) for i, x in enumerate(logs))
        return list(made)

    small, large = population_of(space(2.0, 3000)), population_of(space(0.5, 3000))
    found = normalised_of({"small": small, "large": large}, "multiply-adds")
    assert found is not None and found.empty == 0 and found.reason == ""
    medians = [each.quartiles[1] or 0.0 for each in found.spaces]
    plain = [each.plain or 0.0 for each in found.spaces]
    assert abs(medians[0] - medians[1]) < 0.002 < 0.03 < abs(plain[0] - plain[1])
    for each in found.spaces:
        assert each.shares[-1] == pytest.approx(1.0) and each.effective < each.designs


def test_no_common_support_is_said() -> None:
    a, b = (population_of(population([0.1] * 20, multiply_adds=m)) for m in (10, 1000))
    found = normalised_of({"a": a, "b": b}, "multiply-adds")
    assert found is not None and not found.spaces and found.reason.startswith("no common support")
    assert normalised_of({"a": a, "b": population_of([])}, "multiply-adds") is None


def test_a_run_without_two_spaces_has_no_normalised_distribution() -> None:
    task, space = compare_one(full_run(("digits",)), PLAN)
    assert task.normalised == () and space.laws is not None
