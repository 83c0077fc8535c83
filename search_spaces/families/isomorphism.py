"""Which cells are one design. No torch.

A cell has 4 nodes and an operation on each of the 6 edges between them; a node is the sum of what its edges
bring, the last one is the output (NAS-Bench-201, Dong & Yang, arXiv 2001.00326).

Spelled out, the output is a sum of terms: "none" brings nothing, nor does any edge from a node that gets
nothing; "skip" brings the terms as they are; "pool", being linear, brings each of them pooled; a convolution
(after a ReLU, not linear) brings one new term, with weights of its own. Cells are one design if these sums
are equal up to order, where a term used twice counts as shared: h + conv(h) has one kernel less than
conv'(x) + conv(h). So dead edges, skips and exchanged nodes make no difference, and cells of one design are
equal functions of equal weights. A cell whose output gets nothing is no usable network; it is taken as the
identity (the paper keeps it, with zeros as output).

Of the paper's 15,625 cells 5,043 differ by this rule. By the paper's own, which compares printed sums, 6,466
do (12,751 if "none" is printed like any operation): zeros stay in its sums, so that 791 of the 5,043 have
several; and they do not show what is shared, so that 436 of the 6,466 stand for cells of different functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import product
from typing import Any

NONE, SKIP, POOL = "none", "skip", "pool"
WORDS = (NONE, SKIP, POOL)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From node to node; node 0 is the input, 3 the output. A cell has its operations in this order."""

Operation = int | str
"""The taps of a convolution, "none", "skip" or "pool": the average of 3 per axis."""
Cell = tuple[Operation, ...]
Terms = tuple[tuple[int, Any], ...]
"""A sorted sum; each term is pooled so often, and is the input, (), or (taps, whether shared, Terms)."""

INPUT: Terms = ((0, ()),)


def terms(cell: Cell) -> Terms:
    """What the output is the sum of; equal for cells of one design, and for no others."""
    a, b, c, direct, e, f = cell
    return tuple(sorted(_bring(direct, INPUT) + _rest(a, b, c, e, f))) or INPUT


def _rest(a: Operation, b: Operation, c: Operation, e: Operation, f: Operation) -> Terms:
    """What nodes 1 and 2 bring: all edges but the direct one."""
    shared = NONE not in (c, e, f)  # only node 1 has two ways on
    one = _bring(a, INPUT, shared)
    two = tuple(sorted(_bring(b, INPUT) + _bring(c, one)))
    return _bring(e, one) + _bring(f, two)


def _bring(operation: Operation, source: Terms, shared: bool = False) -> Terms:
    if operation == NONE or not source:
        return ()
    if operation == SKIP:
        return source
    if operation == POOL:
        return tuple((pools + 1, atom) for pools, atom in source)
    return ((0, (operation, shared, source)),)


@lru_cache(maxsize=4096)
def canonical(cell: Cell) -> Cell:
    """The cell that stands for the design: fewest edges, then skips before pools before small kernels."""
    goal = terms(cell)
    alike = {each for each in _spelled(goal) if terms(each) == goal}
    return min(alike, key=lambda each: (-each.count(NONE), [_rank(operation) for operation in each]))


def _rank(operation: Operation) -> int:
    return WORDS.index(operation) if isinstance(operation, str) else 2 + operation


def _spelled(goal: Terms) -> Iterator[Cell]:
    """Cells without dead edges whose output may be `goal`, whatever is shared."""
    for brought_direct, rest in _picks(goal):
        for brought_1, brought_2 in _picks(rest):
            for f, two in _sources(brought_2):
                for into, through in _picks(two):
                    for (c, one), (e, same) in product(_sources(through), _sources(brought_1)):
                        if one and same and one != same:
                            continue
                        for a, b, d in product(*map(_from_input, (one or same, into, brought_direct))):
                            yield a, b, c, d, e, f


def _picks(sum_: Terms) -> Iterator[tuple[Terms, Terms]]:
    """No term or one of them, and the others."""
    yield (), sum_
    for i, term in enumerate(sum_):
        yield (term,), (*sum_[:i], *sum_[i + 1 :])


def _sources(sum_: Terms) -> Iterator[tuple[Operation, Terms]]:
    """Every operation and what it would bring the sum from; from whatever, if it is empty."""
    if not sum_:
        yield NONE, ()
        return
    yield SKIP, sum_
    if all(pools for pools, _ in sum_):
        yield POOL, tuple((pools - 1, atom) for pools, atom in sum_)
    pools, atom = sum_[0]
    if len(sum_) == 1 and atom and not pools:
        yield atom[0], atom[2]


def _from_input(sum_: Terms) -> list[Operation]:
    return [operation for operation, source in _sources(sum_) if source in ((), INPUT)]


@cache
def alike(operations: tuple[Operation, ...]) -> Counter[Terms]:
    """How many assignments of these operations stand for each design; 262,144 in all for 8 take a second."""
    found: Counter[Terms] = Counter()
    direct = [_bring(operation, INPUT) for operation in operations]
    for others in product(operations, repeat=5):
        rest = _rest(*others)
        for brought in direct:
            found[tuple(sorted(brought + rest)) or INPUT] += 1
    return found
