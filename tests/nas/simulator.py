"""Trainings of simulated designs whose measures are known: populations, seeds, rows, costs, searches.

A design is a log-odds ``x``; a seed adds normal noise to it (or to the error), a validation row its own
difficulty. A training is wrong on a row with chance ``expit(x + seed + difficulty)``: an error is a multiple
of 1 / rows, its noise is that of seeds and of rows, small near an error of 0, and ties come about. All
trainings of a replication share the rows (docs/decisions/0004-noise-of-an-error.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Shape = Literal["normal", "skewed", "near zero"]

DIFFICULTIES = stats.norm.ppf((np.arange(7) + 0.5) / 7) * 2.0
"""Of rows, in log-odds: seven kinds, equally frequent among all rows there are."""
KINDS = len(DIFFICULTIES)
SHARES = (np.arange(400) + 0.5) / 400
RANKS = stats.norm.cdf(np.linspace(-5, 5, 2001))
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
GRID = np.linspace(-16, 9, 2001)
WITHOUT_SEEDS = special.expit(GRID[:, None] + DIFFICULTIES).mean(axis=1)
COST_SD, COST_SLOPE = 0.4, -0.5


@dataclass(frozen=True)
class World:
    """What every replication draws from.

    Attributes:
        shape: of the designs' mean errors: ``normal`` around 0.3; ``skewed``, gamma of shape 2 above a floor
            of 0.1, many designs near the best; ``near zero``, gamma of shape 1.5 with mean 0.04.
        rows: of the validation split.
        noise: standard deviation of a training's error around its design's mean error, root mean square over
            designs, as a share of the standard deviation of these means.
        seeds: whether a seed moves a design's log-odds or its error by a normal deviation of one size.
        failing: share of designs whose trainings fail; independent of their error.
    """

    shape: Shape
    rows: int
    noise: float
    seeds: Literal["log-odds", "error"] = "log-odds"
    failing: float = 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the designs' mean errors: such that so few rows allow noise of 0.3 of it."""
        if self.shape == "near zero":
            return 0.04 / math.sqrt(1.5)
        return 0.12 if self.rows < 500 else 0.05

    def level(self, share: Floats | float) -> Floats:
        """Mean error that this share of the designs (that do not fail) is at or below."""
        if self.shape == "normal":
            return np.clip(stats.norm.ppf(share, 0.3, self.spread), 0.004, 0.95)
        if self.shape == "skewed":
            return np.minimum(0.1 + stats.gamma.ppf(share, 2, scale=self.spread / math.sqrt(2)), 0.95)
        return np.maximum(stats.gamma.ppf(share, 1.5, scale=0.04 / 1.5), 1e-6)

    @cached_property
    def seed_sd(self) -> float:
        """Of log-odds (or errors), so that noise of seeds and rows together is `noise` of the spread.

        Raises:
            ValueError: so few rows alone make more noise.
        """
        low, high = 0.0, 4.0
        if self._noise(low) > self.noise:
            raise ValueError(f"{self.rows} rows alone make noise of {self._noise(low):.2f} of the spread")
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if self._noise(middle) < self.noise else (low, middle)
        return high

    def _noise(self, seed_sd: float) -> float:
        levels = self.level(SHARES)
        logits = np.interp(levels, self._mean_error(seed_sd), GRID)
        wrong = _wrong(self._seeded(logits[:, None], seed_sd * NODES))
        weights = NODE_WEIGHTS / NODE_WEIGHTS.sum()
        within = (wrong * (1 - wrong)).mean(axis=-1) @ weights / self.rows
        between = wrong.mean(axis=-1) ** 2 @ weights - (wrong.mean(axis=-1) @ weights) ** 2
        return float(np.sqrt((within + between).mean()) / levels.std())

    def _mean_error(self, seed_sd: float) -> Floats:
        """Of designs at `GRID`, over seeds and rows; rising."""
        wrong = _wrong(self._seeded(GRID[:, None], seed_sd * NODES)).mean(axis=-1)
        return wrong @ (NODE_WEIGHTS / NODE_WEIGHTS.sum())

    def _seeded(self, designs: Floats, deviations: Floats) -> Floats:
        """Log-odds of designs after a seed."""
        if self.seeds == "log-odds":
            return designs + deviations
        levels = np.interp(designs, GRID, WITHOUT_SEEDS) + deviations
        return np.interp(levels.clip(1e-4, 0.99), WITHOUT_SEEDS, GRID)

    @cached_property
    def _table(self) -> Floats:
        return self._mean_error(self.seed_sd)

    def design(self, mean_error: Floats | float) -> Floats:
        """The design with a mean error over all seeds and rows there are."""
        return np.interp(mean_error, self._table, GRID)

    def single(self, p: float) -> float:
        """The design that a share p of all designs, failing ones too, is at or below."""
        return float(self.design(self.level(p / (1 - self.failing))))

    def designs(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Floats:
        """Designs at random; infinite for those that fail."""
        found = self.design(self.level(rng.random(size)))
        return np.where(rng.random(size) < self.failing, np.inf, found) if self.failing else found

    def validations(self, rng: np.random.Generator, count: int) -> Counts:
        """Rows of each difficulty in so many validation splits, (count, difficulties)."""
        return rng.multinomial(self.rows, np.full(KINDS, 1 / KINDS), size=count)

    def errors(self, rng: np.random.Generator, designs: Floats, validation: Counts) -> Floats:
        """Errors of one training each, on rows that all designs of a replication share.

        Args:
            designs: (replications, ...).
            validation: (replications, difficulties): the rows, or part of them.
        """
        return self._scored(rng, self._trained(rng, designs), validation)

    def two_errors(
        self, rng: np.random.Generator, designs: Floats, select: Counts, report: Counts
    ) -> tuple[Floats, Floats]:
        """Errors of one training each on both halves of the validation rows."""
        trained = self._trained(rng, designs)
        return self._scored(rng, trained, select), self._scored(rng, trained, report)

    def _trained(self, rng: np.random.Generator, designs: Floats) -> Floats:
        finished = np.isfinite(designs)
        deviations = self.seed_sd * rng.standard_normal(designs.shape)
        return np.where(finished, self._seeded(np.where(finished, designs, 0.0), deviations), np.inf)

    def _scored(self, rng: np.random.Generator, trained: Floats, validation: Counts) -> Floats:
        per_replication = (-1, *[1] * (trained.ndim - 1))
        wrong = np.zeros(trained.shape)
        for rows, difficulty in zip(validation.T, DIFFICULTIES):
            wrong += rng.binomial(rows.reshape(per_replication), special.expit(trained + difficulty))
        found = wrong / validation.sum(axis=-1).reshape(per_replication)
        return np.where(np.isfinite(trained), found, np.inf)

    def expected(self, design: float, validation: Counts) -> Floats:
        """Mean error of a design over seeds on each of these validation splits, (splits,)."""
        wrong = _wrong(self._seeded(np.array(design), self.seed_sd * NODES)).T @ (
            NODE_WEIGHTS / NODE_WEIGHTS.sum()
        )
        return validation @ wrong / validation.sum(axis=-1)

    def costs(self, rng: np.random.Generator, designs: Floats) -> Floats:
        """Of one training each, log-normal around `single_cost`: designs with more errors cost less."""
        noise = COST_SD * math.sqrt(1 - COST_SLOPE**2) * rng.standard_normal(designs.shape)
        return np.exp(COST_SD * COST_SLOPE * self._rank(designs) + noise)

    @property
    def mean_cost(self) -> float:
        """Of a training of a random design."""
        failing = math.exp(COST_SD**2 * (1 - COST_SLOPE**2) / 2)
        return (1 - self.failing) * math.exp(COST_SD**2 / 2) + self.failing * failing

    def single_cost(self, design: float) -> float:
        """Mean over trainings of this design."""
        rank = float(self._rank(np.array(design)))
        return math.exp(COST_SD * COST_SLOPE * rank + COST_SD**2 * (1 - COST_SLOPE**2) / 2)

    def _rank(self, designs: Floats) -> Floats:
        """Standard normal over random designs that do not fail; 0 for those that do."""
        shares = np.interp(designs, self.design(self.level(RANKS)), RANKS)
        return np.where(np.isfinite(designs), stats.norm.ppf(shares), 0.0)


def _wrong(logits: Floats) -> Floats:
    """(..., difficulties) chance to be wrong on a row of each."""
    found: Floats = special.expit(logits[..., None] + DIFFICULTIES)
    return found


def halves(rng: np.random.Generator, validation: Counts) -> tuple[Counts, Counts]:
    """`select` and `report` rows: a random half, and the rest."""
    rows = int(validation[0].sum()) // 2
    select = np.stack([rng.multivariate_hypergeometric(each, rows) for each in validation])
    return select, validation - select


def searches(rng: np.random.Generator, p: float, trials: int, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Trials of random searches up to the first match, at most `trials`, and whether they had one.

    Their law is geometric: P(more than t trials) = (1 - p)^t.
    """
    taken = rng.geometric(p, count)
    return np.minimum(taken, trials).astype(float), taken <= trials
