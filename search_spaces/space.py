"""Spaces of designs: named finite choices, some of them asked only after others.

A single-design space is a space whose every choice has one option; nothing else is special about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.architecture import Architecture, Option

Values = dict[str, Option]
"""The option taken for each active choice, in the order of the space's choices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskShape:
    """What a space needs to know of a task.

    Attributes:
        extent: samples along each axis of the input, e.g. ``(784,)`` or ``(28, 28)``; 1 to 3 axes.
        channels: input channels.
        classes: number of classes.
        variable: series differ in length, `extent` at most; a network's input then holds NaN after the end.
    """

    extent: tuple[int, ...]
    channels: int
    classes: int
    variable: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.extent) <= 3 or min(self.extent) < 1:
            raise ValueError(f"extent must have 1 to 3 positive axes, got {self.extent}")
        if self.channels < 1 or self.classes < 2:
            raise ValueError(
                f"a task needs at least 1 channel and 2 classes, got {self.channels} and {self.classes}"
            )
        if self.variable and len(self.extent) > 1:
            raise ValueError(
                f"only series vary in length, got the extent {self.extent}; leave variable False"
            )

    @property
    def dimensions(self) -> int:
        """Number of axes: 1 for series, 2 for images, 3 for volumes."""
        return len(self.extent)

    def __str__(self) -> str:
        return "x".join(str(n) for n in (self.channels, *self.extent))


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One decision: a name and its finite options.

    Attributes:
        name: unique in its space, flat (it becomes a parameter in MLflow).
        options: at least one, all different.
        when: ``(earlier choice, options of it)``: asked only if that choice took one of these.
    """

    name: str
    options: tuple[Option, ...]
    when: tuple[str, tuple[Option, ...]] | None = None

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(
                f"choice {self.name!r} needs different options, at least one, got {self.options}"
            )

    def active(self, values: Mapping[str, Option]) -> bool:
        """Whether the choice is asked, given the values of the choices before it."""
        return self.when is None or (self.when[0] in values and values[self.when[0]] in self.when[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Merging:
    """Values that stand for one design, in a space where that happens; every choice is always asked there.

    Attributes:
        designs: different designs of the space.
        alike: values -> how many assignments stand for the same design, themselves included.
    """

    designs: int
    alike: Callable[[Values], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """A set of designs.

    Attributes:
        name: the word used for it in configurations, records and reports.
        choices: in the order they are asked; a condition may only name an earlier choice.
        assemble: the values of the active choices -> the design.
        summary: one line for `nas spaces`.
        merging: given if different values can stand for one design.
        default: values of the design that a practitioner would try first; searches begin with it.
        like: name of the space at whose learning rate and weight decay its designs train; empty: its own.
    """

    name: str
    choices: tuple[Choice, ...]
    assemble: Callable[[Values], Architecture]
    summary: str = ""
    merging: Merging | None = None
    default: Values | None = None
    like: str = ""

    def __post_init__(self) -> None:
        seen: dict[str, Choice] = {}
        for choice in self.choices:
            if choice.name in seen:
                raise ValueError(f"space {self.name!r} asks for {choice.name!r} twice")
            if choice.when is not None and choice.when[0] not in seen:
                raise ValueError(
                    f"choice {choice.name!r} depends on {choice.when[0]!r}, which must stand before it"
                )
            seen[choice.name] = choice

    @property
    def size(self) -> int:
        """Number of different designs."""
        if self.merging is not None:
            return self.merging.designs
        parents = {choice.when[0] for choice in self.choices if choice.when is not None}
        last_asked = {c.when[0]: i for i, c in enumerate(self.choices) if c.when is not None}
        counted: dict[object, int] = {}

        def count(index: int, values: Values) -> int:
            """Assignments of the choices from `index` on; only parents of later ones matter."""
            if index == len(self.choices):
                return 1
            key = index, *((n, v) for n, v in values.items() if last_asked[n] >= index)
            if key not in counted:
                choice = self.choices[index]
                if not choice.active(values):
                    counted[key] = count(index + 1, values)
                elif choice.name in parents:
                    counted[key] = sum(count(index + 1, {**values, choice.name: o}) for o in choice.options)
                else:
                    counted[key] = len(choice.options) * count(index + 1, values)
            return counted[key]

        return count(0, {})

    @property
    def bits(self) -> float:
        """log2 of `size`: the information that a design costs."""
        return math.log2(self.size)

    @property
    def single(self) -> bool:
        """Whether the space holds exactly one design."""
        return all(len(choice.options) == 1 for choice in self.choices)

    def sample(self, rng: np.random.Generator) -> Values:
        """Values drawn by the population law: uniform over options, from the first choice down."""
        values: Values = {}
        for choice in self.choices:
            if choice.active(values):
                values[choice.name] = choice.options[int(rng.integers(len(choice.options)))]
        return values

    def weight(self, values: Mapping[str, Option]) -> float:
        """Probability of a sample under the uniform law over designs, over that under the population's law.

        Its mean over the population law is 1, so weighted means of samples are means over designs.
        """
        options = math.prod(len(choice.options) for choice in self.choices if choice.name in values)
        alike = 1 if self.merging is None else self.merging.alike(dict(values))
        return options / (alike * self.size)

    def enumerate(self) -> Iterator[Values]:
        """Every assignment once, in the order of choices and options."""

        def extend(values: Values, rest: tuple[Choice, ...]) -> Iterator[Values]:
            if not rest:
                yield dict(values)
            elif not rest[0].active(values):
                yield from extend(values, rest[1:])
            else:
                for option in rest[0].options:
                    yield from extend({**values, rest[0].name: option}, rest[1:])

        return extend({}, self.choices)

    def decode(self, values: Mapping[str, Option]) -> Architecture:
        """The design that the values stand for.

        Raises:
            ValueError: a value is missing, unknown, or not one of its choice's options.
        """
        known: Values = {}
        for choice in self.choices:
            if not choice.active(known):
                continue
            if choice.name not in values:
                raise ValueError(f"space {self.name!r} needs a value for {choice.name!r}: {choice.options}")
            if values[choice.name] not in choice.options:
                raise ValueError(
                    f"{choice.name} must be one of {choice.options} in space {self.name!r}, "
                    f"got {values[choice.name]!r}"
                )
            known[choice.name] = values[choice.name]
        if extra := set(values) - set(known):
            raise ValueError(
                f"space {self.name!r} has no active choice {sorted(extra)}; it has {list(known)}"
            )
        return self.assemble(known)

    def neighbours(self, values: Mapping[str, Option]) -> list[Values]:
        """Assignments that differ in one choice, conditional choices below it at their first option."""
        found = []
        for changed in self.choices:
            if changed.name not in values:
                continue
            for option in changed.options:
                if option == values[changed.name]:
                    continue
                near: Values = {}
                for choice in self.choices:
                    if not choice.active(near):
                        continue
                    kept = values.get(choice.name, choice.options[0])
                    near[choice.name] = option if choice is changed else kept
                found.append(near)
        return found
