"""The designs of a population."""

from __future__ import annotations

import numpy as np

from nas.limits import Admits
from search_spaces.constraints import ENUMERATED
from search_spaces.space import Space, Values


def population(space: Space, count: int, seed: int, admits: Admits = lambda values: True) -> list[Values]:
    """`count` different admitted designs by the space's law; all of them, in random order, if it has no more.

    Raises:
        ValueError: values that the space offers cannot be assembled to a design, or none was admitted.
    """
    rng = np.random.default_rng(seed)
    few = space.size <= max(count, ENUMERATED)
    everything = [values for values in space.enumerate() if admits(values)] if few else []
    if few and (space.size <= count or len(everything) <= count):
        drawn = (everything[i] for i in rng.permutation(len(everything)))
    else:  # bounded, since a space may give the same design for different values, or admit few
        drawn = (values for _ in range(1000 * count) if admits(values := space.sample(rng)))
    designs: dict[str, Values] = {}
    for values in drawn:
        try:
            designs.setdefault(space.decode(values).id, values)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"the space {space.name} cannot assemble {values}: {what}") from error
        if len(designs) == count:
            break
    if not designs:
        raise ValueError(f"no design of {space.name} was found that keeps within the limits")
    return list(designs.values())
