"""How much of the spread of a population's errors each choice of its space explains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.efficiency.estimators import Floats
from nas.efficiency.selection import Population
from nas.efficiency.weighted import FEW

PERMUTATIONS = 1999
BLOCK = 2_000_000
"""Numbers that are shuffled at a time: what the memory allows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionMean:
    """Mean validation error of the designs that took an option; None where all of them failed."""

    option: str
    designs: int
    failed: int
    error: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """The main effect of one choice, among the designs in which it is asked.

    Attributes:
        designs: where it is asked; `failed` of them failed and are left out of the numbers.
        share: omega squared, of the variance of the validation error; noise of seeds is in that variance.
            Below 0 where options differ less than chance makes them.
        p: of the permutation test, `p_holm` adjusted for all choices of the space (Holm 1979).
        options: in the order of their mean error.
    """

    choice: str
    designs: int
    failed: int
    share: float
    p: float
    p_holm: float
    options: tuple[OptionMean, ...]


def omega_squared(errors: Floats, groups: NDArray[np.int64]) -> float:
    """Share of variance between groups, ``(SSB - (k - 1) MSW) / (SST + MSW)`` (Hays 1963, Statistics).

    Args:
        errors: (n,) finite, not all the same.
        groups: (n,) 0..k-1, each at least once, k < n.
    """
    sizes = np.bincount(groups)
    between = float((np.bincount(groups, errors - errors.mean()) ** 2 / sizes).sum())
    total = float(((errors - errors.mean()) ** 2).sum())
    within = max(total - between, 0.0) / (len(errors) - len(sizes))
    return (between - (len(sizes) - 1) * within) / (total + within)


def permutation_p(
    errors: Floats, groups: Sequence[NDArray[np.int64]], shuffles: Iterable[Floats]
) -> list[float]:
    """P that shuffled errors differ as much between groups: ``(1 + #{SSB* >= SSB}) / (1 + draws)``.

    Exact at every level that is a multiple of ``1 / (1 + draws)`` (Phipson and Smyth 2010, Stat. Appl. Genet.
    Mol. Biol. 9, 39). SSB orders the permutations as F and omega squared do.

    Args:
        errors: (n,) finite.
        groups: several divisions, each (n,) 0..k-1; the same shuffles serve them all.
        shuffles: blocks (draws, n) of shuffled `errors`.
    """
    members = [(each[:, None] == np.arange(each.max() + 1)).astype(float) for each in groups]
    offsets = errors - errors.mean()
    # Rounding must not undo an exact tie.
    seen = [_between(offsets[None], member)[0] * (1 - 1e-9) for member in members]
    draws, reached = 0, np.zeros(len(members))
    for block in shuffles:
        draws += len(block)
        centred = block - errors.mean()
        reached += [(_between(centred, m) >= s).sum() for m, s in zip(members, seen)]
    return [float(1 + count) / (1 + draws) for count in reached]


def shuffled(errors: Floats, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """`draws` permutations of the errors, in blocks of at most `BLOCK` numbers."""
    rows = max(1, BLOCK // len(errors))
    for start in range(0, draws, rows):
        yield rng.permuted(np.tile(errors, (min(rows, draws - start), 1)), axis=1)


def _between(offsets: Floats, member: Floats) -> Floats:
    """Sum of squares between groups, of each row."""
    found: Floats = ((offsets @ member) ** 2 / member.sum(axis=0)).sum(axis=1)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number, ``max over j <= i of min(1, (m - j + 1) p_(j))`` (Holm 1979)."""
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = most
    return adjusted


def importance_of(population: Population, rng: np.random.Generator) -> tuple[Importance, ...]:
    """Every choice that was asked often enough and answered differently, the most important first.

    The population's law: options are drawn independently of the choices before them, so an effect of the
    choice is not one of those. What its options ask further is part of it.
    """
    errors = population.errors()
    values = [record.trial.values for record in population.first]
    names = dict.fromkeys(name for each in values for name in each)
    tested: dict[bytes, list[tuple[str, NDArray[np.int64]]]] = defaultdict(list)
    taken = {name: _taken(name, values) for name in names}
    for name in names:
        finished = np.isfinite(errors) & (taken[name] != "")
        options, groups = np.unique(taken[name][finished], return_inverse=True)
        if finished.sum() >= FEW and 1 < len(options) < finished.sum() and np.ptp(errors[finished]) > 0:
            tested[finished.tobytes()].append((name, groups))
    found = []
    for mask, choices in tested.items():  # asked of the same designs: they share their shuffles
        kept = errors[np.frombuffer(mask, bool)]
        shuffles = shuffled(kept, PERMUTATIONS, rng)
        ps = permutation_p(kept, [groups for _, groups in choices], shuffles)
        found += [(name, omega_squared(kept, groups), p) for (name, groups), p in zip(choices, ps)]
    adjusted = holm([p for *_, p in found])
    results = [
        _importance(name, taken[name], errors, share, p, q) for (name, share, p), q in zip(found, adjusted)
    ]
    return tuple(sorted(results, key=lambda each: -each.share))


def _taken(name: str, values: Sequence[Mapping[str, object]]) -> NDArray[np.str_]:
    """The option that each design took, in text; empty where it was not asked."""
    return np.array([repr(each[name]) if name in each else "" for each in values])


def _importance(
    choice: str, taken: NDArray[np.str_], errors: Floats, share: float, p: float, p_holm: float
) -> Importance:
    asked = taken != ""
    means = [_option(option, taken, errors) for option in np.unique(taken[asked])]
    return Importance(
        choice=choice,
        designs=int(asked.sum()),
        failed=int((asked & ~np.isfinite(errors)).sum()),
        share=share,
        p=p,
        p_holm=p_holm,
        options=tuple(sorted(means, key=lambda m: (m.error is None, m.error or 0.0, m.option))),
    )


def _option(option: str, taken: NDArray[np.str_], errors: Floats) -> OptionMean:
    of_option = errors[taken == option]
    ended = of_option[np.isfinite(of_option)]
    return OptionMean(
        option=option.strip("'"),
        designs=len(of_option),
        failed=len(of_option) - len(ended),
        error=float(ended.mean()) if len(ended) else None,
    )
