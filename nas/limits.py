"""A run's limits on what designs may cost: which designs keep within them, and how many do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search_spaces.constraints import ENUMERATED, Constraint, admits, reach
from search_spaces.space import Space, TaskShape, Values

Admits = Callable[[Values], bool]
DRAWS = 1000
"""Designs by the population's law that the share of rejected ones is estimated from."""


def admission(space: Space, shape: TaskShape, limits: tuple[str, ...]) -> Admits:
    """Whether values stand for a design within the limits (texts such as ``"parameters <= 1e6"``)."""
    constraints = tuple(map(Constraint.parse, limits))

    def admitted(values: Values) -> bool:
        try:
            return admits(constraints, space.decode(values), shape)
        except Exception:  # a user's own space: the design's trial fails and says why
            return True

    return admitted if constraints else lambda values: True


def weigh(space: Space, shape: TaskShape, limits: tuple[str, ...]) -> tuple[int, float]:
    """Designs of a space that keep within the limits, and the share of `DRAWS` random ones that do not.

    Spaces up to `ENUMERATED` designs are looked through; of a larger one all designs are counted.

    Raises:
        ValueError: no design was found; the message says what the space can reach.
    """
    if not limits:
        return space.size, 0.0
    admitted = admission(space, shape, limits)
    rng = np.random.default_rng(0)
    rejected = sum(not admitted(space.sample(rng)) for _ in range(DRAWS))
    designs = space.size if rejected < DRAWS else 0
    if space.size <= ENUMERATED:
        designs = len({space.decode(values).id for values in space.enumerate() if admitted(values)})
    if designs == 0:
        measures = sorted({Constraint.parse(text).measure for text in limits})
        reached = [(*reach(space, shape, measure), measure.replace("_", "-")) for measure in measures]
        ranges = " and ".join(f"{least:,} to {most:,} {what}" for least, most, what in reached)
        raise ValueError(
            f"no design of {space.name} was found within {' and '.join(limits)} on inputs of {shape}: "
            f"the space reaches {ranges}; change --set constraints="
        )
    return designs, rejected / DRAWS
