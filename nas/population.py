"""The designs of a population."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from nas.limits import Admits
from search_spaces.constraints import ENUMERATED
from search_spaces.space import Space, Values

FEW = 10 * ENUMERATED
"""Designs of a space that may be looked through once chance brings nothing new."""
BARREN = 1000
"""Draws in a row that bring nothing new before a space of few designs is looked through; of a larger one, ten
times as many end its population."""


def population(space: Space, count: int, seed: int, admits: Admits = lambda values: True) -> list[Values]:
    """`count` different admitted designs by the space's law; all of them if it has no more.

    The first designs of a larger population are the smaller population.

    Raises:
        ValueError: values that the space offers cannot be assembled to a design, or none was admitted.
    """
    designs = list(islice(_drawn(space, np.random.default_rng(seed), admits), count))
    if not designs:
        raise ValueError(f"no design of {space.name} was found that keeps within the limits")
    return designs


def _drawn(space: Space, rng: np.random.Generator, admits: Admits) -> Iterator[Values]:
    """Different designs by the space's law, then those that chance did not bring, in random order."""
    seen: set[str] = set()
    few = space.size <= FEW
    barren = 0
    while barren < (BARREN if few else 10 * BARREN) and len(seen) < space.size:
        barren += 1
        values = space.sample(rng)
        if admits(values) and _new(space, values, seen):
            barren = 0
            yield values
    if few and len(seen) < space.size:
        rest = [values for values in space.enumerate() if admits(values) and _new(space, values, seen)]
        yield from (rest[i] for i in rng.permutation(len(rest)))


def _new(space: Space, values: Values, seen: set[str]) -> bool:
    """Whether values stand for a design that was not seen before; it is now."""
    try:
        name = space.decode(values).id
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"the space {space.name} cannot assemble {values}: {what}") from error
    known = name in seen
    seen.add(name)
    return not known
