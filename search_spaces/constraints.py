"""Limits on what a design may cost, checked before it trains."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.complexity import complexity
from search_spaces.space import Space, TaskShape, Values

Measure = Literal["parameters", "multiply_adds"]
ENUMERATED = 2000
"""Spaces up to this size are looked through whole for their smallest and largest value."""
SAMPLED = 100
"""Designs of a larger one whose extremes are where the search for them starts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """`least <= measure <= most`, of the network before training."""

    measure: Measure
    least: float = 0.0
    most: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """From text such as ``"parameters <= 1e6"`` or ``"multiply_adds >= 2e5"``.

        Raises:
            ValueError: it is not of that form.
        """
        number = r"[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?"
        match = re.fullmatch(rf"\s*({'|'.join(get_args(Measure))})\s*(<=|>=)\s*({number})\s*", text)
        if match is None:
            raise ValueError(
                f"a constraint is {' or '.join(get_args(Measure))}, then <= or >=, then a number, "
                f"got {text!r}; for instance 'parameters <= 1e6'"
            )
        measure, sign, value = match.groups()
        limit = {"most" if sign == "<=" else "least": float(value)}
        return cls(measure="parameters" if measure == "parameters" else "multiply_adds", **limit)

    def admits(self, architecture: Architecture, shape: TaskShape) -> bool:
        """Whether a design keeps within the limit."""
        value: int = getattr(complexity(architecture, shape), self.measure)
        return self.least <= value <= self.most


def admits(constraints: Iterable[Constraint], architecture: Architecture, shape: TaskShape) -> bool:
    """Whether a design keeps within every limit."""
    return all(constraint.admits(architecture, shape) for constraint in constraints)


def reach(space: Space, shape: TaskShape, measure: Measure) -> tuple[int, int]:
    """Smallest and largest value of a measure in a space.

    Exact up to `ENUMERATED` designs; beyond that the ends of descents over neighbours from the most extreme
    of `SAMPLED` designs and two more: exact where every option adds or takes cost whatever the others are,
    else a range that may be a little too narrow.
    """

    def value(values: Values) -> int:
        found: int = getattr(complexity(space.decode(values), shape), measure)
        return found

    if space.size <= ENUMERATED:
        every = [value(values) for values in space.enumerate()]
        return min(every), max(every)
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(SAMPLED)]
    ends: dict[int, list[int]] = {1: [], -1: []}
    for sign, found in ends.items():
        extreme = min(drawn, key=lambda each: sign * value(each))
        for here in (extreme, *drawn[:2]):
            best = sign * value(here)
            while True:
                near = min(space.neighbours(here), key=lambda each: sign * value(each))
                if (least := sign * value(near)) >= best:
                    break
                here, best = near, least
            found.append(sign * best)
    return min(ends[1]), max(ends[-1])
