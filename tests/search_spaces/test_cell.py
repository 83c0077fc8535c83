"""Which cells are one design, and that they are one function."""

import math
import random
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces import SPACES, Architecture, TaskShape, build, complexity
from search_spaces.families.cell import DESIGNS, TAPS, Cell
from search_spaces.families.isomorphism import EDGES, NONE, WORDS, alike, canonical, terms
from search_spaces.layers.convolution import PlainConv
from search_spaces.networks.cell import _Pool
from tests.search_spaces.steps import one_step

PUBLISHED = (*WORDS, 1, 3)
"""The operations of NAS-Bench-201."""
SHAPE = TaskShape(extent=(28, 28), channels=1, classes=10)
N = "none"


def printed(cell, zeros):
    """The output as the paper prints it to tell cells apart; `zeros`: whether "none" prints as zero, #."""
    nodes = ["0", "", "", ""]
    for end in (1, 2, 3):
        brought = []
        for (start, to), operation in zip(EDGES, cell):
            if to != end:
                continue
            if zeros and (operation == NONE or nodes[start] == "#"):
                brought.append("#")
            else:
                brought.append(nodes[start] if operation == "skip" else f"({nodes[start]})@{operation}")
        nodes[end] = "+".join(sorted(brought))
    return nodes[3]


def computed(cell, changed=None):
    """A cell of numbers, convolutions alike if their taps are, but for the edge that is changed."""
    nodes = [0.6180339887, None, None, None]
    for i, ((start, end), operation) in enumerate(zip(EDGES, cell)):
        source = nodes[start]
        if operation == NONE or source is None:
            continue
        brought = source
        if operation == "pool":
            brought = 0.7320508 * source
        elif operation != "skip":
            brought = math.sin((1.3 + operation) * source + (0.01 if i == changed else 0))
        nodes[end] = brought + (nodes[end] or 0)
    return nodes[0] if nodes[3] is None else nodes[3]


def test_the_rule_of_the_paper_gives_the_counts_of_the_paper():
    cells = list(product(PUBLISHED, repeat=6))
    assert len(cells) == 15_625
    assert len({printed(cell, zeros=True) for cell in cells}) == 6_466
    assert len({printed(cell, zeros=False) for cell in cells}) == 12_751


def test_our_rule_counts_functions():
    """Without symbols: a function is told by its value and by the values it takes as each kernel changes."""
    found = set()
    for cell in product(PUBLISHED, repeat=6):
        value = round(computed(cell), 9)
        kernels = (i for i, operation in enumerate(cell) if operation not in WORDS)
        changed = sorted(round(computed(cell, changed=i), 9) for i in kernels)
        found.add((terms(cell), (value, *(other for other in changed if other != value))))
    assert len(found) == len({function for _, function in found}) == len(alike(PUBLISHED)) == 5_043


def test_where_the_rules_differ():
    cells = list(product(PUBLISHED, repeat=6))
    pairs = {(terms(cell), printed(cell, zeros=True)) for cell in cells}
    assert sum(n > 1 for n in Counter(design for design, _ in pairs).values()) == 791
    assert sum(n > 1 for n in Counter(text for _, text in pairs).values()) == 436
    # the paper tells apart: a convolution of a node that gets nothing, and no convolution
    fed, dead = (N, N, N, 3, N, 1), (N, N, N, 3, N, N)
    assert printed(fed, zeros=True) == "#+(#+#)@1+(0)@3" != printed(dead, zeros=True)
    assert terms(fed) == terms(dead)
    # the paper does not: one kernel used twice, and two kernels
    shared, apart = (3, N, 1, N, "skip", "skip"), (3, N, 1, 3, N, "skip")
    assert printed(shared, zeros=True) == printed(apart, zeros=True)
    assert terms(shared) != terms(apart)
    parameters = [complexity(literal(cell), SHAPE).parameters for cell in (shared, apart)]
    assert parameters[1] - parameters[0] == sum(9 * w * w + 2 * w for w in (16, 32))


def test_the_sizes_of_the_space_are_counted():
    for n, designs in enumerate(DESIGNS, start=1):
        operations = (*WORDS, *TAPS[:n])
        counts = alike(operations)
        assert len(counts) == designs
        assert sum(counts.values()) == len(operations) ** 6
    assert SPACES["cell"](SHAPE).size == DESIGNS[-1] == 141_827


def test_one_cell_stands_for_each_design():
    rng = random.Random(0)
    cells = list(product((*WORDS, 3), repeat=6))
    cells += [tuple(rng.choices((*WORDS, *TAPS), k=6)) for _ in range(2000)]
    stands: dict[object, tuple[object, ...]] = {}
    for cell in cells:
        assert terms(canonical(cell)) == terms(cell)
        assert canonical(cell) == stands.setdefault(terms(cell), canonical(cell))
        assert canonical(cell).count(NONE) >= cell.count(NONE) or set(cell) == {NONE}
    assert len({terms(cell) for cell in stands.values()}) == len(set(stands.values())) == len(stands)


def values(*kernels):
    return {f"edge_{a}_{b}": kernel for (a, b), kernel in zip(EDGES, kernels, strict=True)}


ALIKE = {
    "nodes exchanged": ((3, 5, N, N, 7, 9), (5, 3, N, N, 9, 7)),
    "dead edges": ((3, N, 7, 5, N, N), (N, 9, N, 5, "pool", N)),
    "skip before and after": ((3, N, "skip", N, N, "skip"), (N, N, N, 3, N, N)),
    "node 1 is the input": (("skip", 3, 5, N, N, 7), ("skip", 5, 3, N, N, 7)),
    "sums of sums": ((N, 3, N, 5, N, "skip"), (3, 5, N, N, "skip", "skip")),
    "pool of a sum": ((3, "skip", "skip", N, N, "pool"), (3, N, N, "pool", "pool", N)),
    "nothing arrives": ((N, N, N, N, 3, 5), (N, N, N, "skip", N, N)),
}


@pytest.mark.parametrize("pair", ALIKE.values(), ids=ALIKE)
def test_isomorphic_cells_are_one_design(pair):
    space = SPACES["cell"](SHAPE)
    one, other = (space.decode(values(*cell)) for cell in pair)
    assert one.id == other.id
    assert space.weight(values(*pair[0])) == space.weight(values(*pair[1]))


@pytest.mark.parametrize(
    "pair",
    [
        ((3, N, N, N, 5, N), (5, N, N, N, 3, N)),  # order of two convolutions
        ((3, N, 1, N, "skip", "skip"), (3, 3, N, N, "skip", 1)),  # one shared, or two of their own
        ((N, N, N, 3, N, N), (N, 3, N, 3, N, "skip")),  # once, or twice with weights of their own
        ((N, N, N, "skip", N, N), ("skip", N, N, "skip", "skip", N)),  # x, or 2 x
        ((3, N, N, N, "pool", N), ("pool", N, N, N, 3, N)),
    ],
)
def test_other_cells_are_other_designs(pair):
    space = SPACES["cell"](SHAPE)
    assert len({space.decode(values(*cell)).id for cell in pair}) == 2


def literal(cell):
    return Architecture.of("cell", width=16, kernels=cell)


def equal_weights(network):
    """Convolutions of equal shape get equal weights."""
    for module in network.modules():
        if isinstance(module, PlainConv | nn.Conv1d | nn.Linear):
            generator = torch.Generator().manual_seed(math.prod(module.weight.shape))
            with torch.no_grad():
                module.weight.normal_(generator=generator).mul_(0.1)
    nn.init.zeros_(network[-1].bias)
    return network.double()


def test_a_design_is_the_function_of_every_cell_that_it_stands_for():
    shape = TaskShape(extent=(18,), channels=2, classes=3)
    rng = random.Random(1)
    x = torch.randn(4, 2, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = [tuple(rng.choices((*WORDS, *TAPS), k=6)) for _ in range(40)]
    cells = [cell for pair in ALIKE.values() for cell in pair] + drawn
    for cell in cells:
        designs = literal(cell), literal(canonical(cell))
        assert complexity(designs[0], shape) == complexity(designs[1], shape)
        with torch.no_grad():
            outputs = [equal_weights(build(design, shape))(x) for design in designs]
        torch.testing.assert_close(*outputs, rtol=1e-8, atol=1e-8)


def test_dead_edges_build_nothing():
    network = build(literal((3, 5, N, 7, N, N)), SHAPE)
    kernels = [m.kernel_size for m in network.modules() if isinstance(m, PlainConv)]
    assert kernels == [(3, 3), (7, 7), (3, 3), (3, 3), (7, 7)]  # stem, cell, reduction, cell


def test_the_weights_turn_samples_into_uniform_designs():
    tiny = SPACES["cell"](TaskShape(extent=(2,), channels=1, classes=2))
    chance: Counter[object] = Counter()
    for drawn in tiny.enumerate():
        chance[terms(tuple(drawn.values()))] += tiny.weight(drawn) / 15_625
    assert list(chance.values()) == pytest.approx([1 / 5_043] * 5_043)
    space, rng = SPACES["cell"](SHAPE), np.random.default_rng(0)
    weights = [space.weight(space.sample(rng)) for _ in range(4000)]
    assert np.mean(weights) == pytest.approx(1, abs=5 * np.std(weights) / math.sqrt(4000))


@pytest.mark.parametrize(
    ("extent", "most", "levels"),
    [
        ((1,), 1, [(16, (1,)), (32, (1,))]),
        ((4, 6), 7, [(16, (4, 6)), (32, (4, 6))]),
        ((8, 8), 9, [(16, (8, 8)), (32, (4, 4))]),
        ((9, 200), 9, [(16, (9, 200)), (32, (5, 100))]),
    ],
)
def test_short_inputs_get_fewer_kernels_and_are_not_halved(extent, most, levels):
    shape = TaskShape(extent=extent, channels=1, classes=2)
    space = SPACES["cell"](shape)
    assert max(k for k in space.choices[0].options if isinstance(k, int)) == most
    design = space.decode(values(*[most] * 6))
    assert list(Cell.read(design).levels(shape)) == levels
    assert build(design, shape)(torch.randn(2, 1, *extent)).shape == (2, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernels": (3,) * 5}, "a list of 6, one per edge"),
        ({"kernels": (4,) * 6}, "positive odd number or one of none, skip, pool, got 4"),
        ({"kernels": ("max",) * 6}, "got 'max'"),
        ({"stages": 0}, "stages must be a positive"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    design = Architecture.of("cell", **{"width": 8, "kernels": (3,) * 6, **settings})
    with pytest.raises(ValueError, match=message):
        build(design, SHAPE)


@pytest.mark.parametrize("extent", [(20,), (8, 8), (4, 4, 4)], ids=str)
def test_fifty_designs_train(extent):
    torch.manual_seed(0)
    shape = TaskShape(extent=extent, channels=2, classes=3)
    space, rng = SPACES["cell"](shape), np.random.default_rng(0)
    for _ in range(50):
        one_step(space.decode(space.sample(rng)), shape)


@pytest.mark.parametrize("extent", [(1,), (2, 1), (2, 3, 4), (1, 1, 1)])
def test_pooling_is_the_mean_of_what_lies_inside_on_any_extent(extent):
    x = torch.randn(2, 3, *extent)
    pooled = _Pool()(x)
    for position in np.ndindex(*extent):
        box = tuple(slice(max(0, i - 1), i + 2) for i in position)
        expected = x[(slice(None), slice(None), *box)].flatten(2).mean(2)
        torch.testing.assert_close(pooled[(slice(None), slice(None), *position)], expected)
