"""What every space must do, on every kind of task."""

import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces import DEFAULTS, SPACES, Architecture, TaskShape, build, complexity, freeze
from search_spaces.layers.convolution import PlainConv
from search_spaces.network import kernel_sizes, parameter_groups

SHAPES = [
    TaskShape(extent=extent, channels=channels, classes=classes)
    for channels, extent, classes in [(1, (64,), 10), (3, (257,), 2), (1, (28, 28), 10), (3, (32, 48), 5)]
] + [TaskShape(extent=(16, 16, 16), channels=1, classes=3)]


def serves(name, shape):
    try:
        SPACES[name](shape)
    except ValueError:
        return False
    return True


CASES = [(name, shape) for name in SPACES for shape in SHAPES if serves(name, shape)]
of_every_space_on_every_shape = pytest.mark.parametrize(
    ("name", "shape"), CASES, ids=[f"{name}-{shape}" for name, shape in CASES]
)


def draw(name, shape, seed=0):
    space = SPACES[name](shape)
    return space.decode(space.sample(np.random.default_rng(seed)))


@pytest.fixture
def network(name, shape):
    torch.manual_seed(0)
    return build(draw(name, shape), shape)


@of_every_space_on_every_shape
def test_samples_are_designs_that_survive_json(name, shape):
    space = SPACES[name](shape)
    assert space.name == name
    assert space.summary
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = space.sample(rng)
        design = space.decode(values)
        assert Architecture.from_json(design.to_json()) == design
        assert space.decode(json.loads(json.dumps(values))) == design


@of_every_space_on_every_shape
def test_size_is_the_number_of_different_designs(name, shape):
    space = SPACES[name](shape)
    if space.size >= 5000:
        pytest.skip("too many to count one by one")
    designs = {space.decode(values).id for values in space.enumerate()}
    assert len(designs) == space.size
    assert space.bits == pytest.approx(math.log2(len(designs)))
    assert space.single == (len(designs) == 1)


def test_the_defaults_and_flexconv_are_single_designs_the_same_on_every_task():
    for name in ("flexconv", *DEFAULTS):
        assert {SPACES[name](shape).size for shape in SHAPES} == {1}
        assert len({draw(name, shape).id for shape in SHAPES}) == 1


def test_the_same_seed_draws_the_same_designs_in_another_process():
    code = (
        "import sys, numpy as np\n"
        "from search_spaces import SPACES, TaskShape\n"
        "shape = TaskShape(extent=(28, 28), channels=1, classes=10)\n"
        "for name in SPACES:\n"
        "    try:\n"
        "        space = SPACES[name](shape)\n"
        "    except ValueError:\n"
        "        continue\n"
        "    for seed in range(3):\n"
        "        print(space.decode(space.sample(np.random.default_rng(seed))).id)\n"
        "assert 'torch' not in sys.modules\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == [
        draw(name, shape, seed).id for name, shape in CASES if shape == SHAPES[2] for seed in range(3)
    ]


@of_every_space_on_every_shape
def test_a_network_classifies_and_every_parameter_learns(network, name, shape):
    logits = network(torch.randn(2, shape.channels, *shape.extent))
    assert logits.shape == (2, shape.classes)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    for parameter, tensor in network.named_parameters():
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any(), parameter


@of_every_space_on_every_shape
def test_every_parameter_is_in_one_group(network, name, shape):
    groups = parameter_groups(network)
    assert list(groups) == ["weights", "undecayed", "masks"]
    grouped = [id(p) for group in groups.values() for p in group]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in network.parameters()}
    masks = {n for n, p in network.named_parameters() if any(p is q for q in groups["masks"])}
    assert masks == {n for n, _ in network.named_parameters() if n.endswith(("mask.mean", "mask.sigma"))}
    assert all(p.ndim > 1 for p in groups["weights"])


@of_every_space_on_every_shape
def test_arithmetic_cost_is_the_counted_cost(network, name, shape):
    design = draw(name, shape)
    cost = complexity(design, shape)
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert cost == complexity(design, shape, kernel_sizes(network))
    assert cost.multiply_adds == counted(network, shape)


def counted(network, shape):
    """Multiply-adds of the frozen network on one row, as torch counts them; on meta nothing is computed."""
    plain = freeze(network).to("meta")
    for module in plain.modules():
        if isinstance(module, PlainConv):
            module.backend = "spatial"
    with FlopCounterMode(display=False) as counter:
        plain(torch.empty(1, shape.channels, *shape.extent, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cost_at_learned_sizes_is_the_counted_cost(shape):
    torch.manual_seed(0)
    design = draw("flexconv", shape)
    network = build(design, shape)
    initial = kernel_sizes(network)
    with torch.no_grad():
        for i, (_, mask) in enumerate(m for m in network.named_modules() if m[0].endswith("mask")):
            mask.sigma[-1] *= 1.5 + i
    assert kernel_sizes(network) != initial
    assert complexity(design, shape, kernel_sizes(network)).multiply_adds == counted(network, shape)


@of_every_space_on_every_shape
def test_frozen_is_the_same_network(network, name, shape):
    x = torch.randn(2, shape.channels, *shape.extent)
    network(x)  # statistics of the norms
    state = torch.get_rng_state()
    frozen = freeze(network)
    assert torch.equal(state, torch.get_rng_state())
    assert network.training and not frozen.training
    assert kernel_sizes(frozen) == kernel_sizes(network)
    with torch.no_grad():
        torch.testing.assert_close(frozen(x), network.eval()(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[3], SHAPES[4]], ids=str)
@pytest.mark.parametrize("name", ["flexconv", "twin"])
def test_frozen_network_is_exported_with_any_batch_and_reloads_equal(network, name, shape):
    assert_export_reloads_equal(network, shape)


def assert_export_reloads_equal(network, shape):
    frozen = freeze(network)
    rows = torch.randn(3, shape.channels, *shape.extent)
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(frozen, (rows[:2],), dynamic_shapes=dynamic)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    reloaded = torch.export.load(file).module()
    with torch.no_grad():
        for batch in (rows, rows[:1]):
            torch.testing.assert_close(reloaded(batch), frozen(batch), rtol=1e-5, atol=1e-6)


SMALL = [TaskShape(extent=extent, channels=2, classes=3) for extent in [(48,), (16, 12), (8, 8, 6)]]
SMALL_CASES = [(name, shape) for name in SPACES for shape in SMALL if serves(name, shape)]
of_every_space_on_small_shapes = pytest.mark.parametrize(
    ("name", "shape"), SMALL_CASES, ids=[f"{name}-{shape}" for name, shape in SMALL_CASES]
)


@pytest.mark.slow
@of_every_space_on_small_shapes
def test_fifty_sampled_designs_train_a_step_without_nan(name, shape):
    space = SPACES[name](shape)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    for _ in range(1 if space.single else 50):
        model = build(space.decode(space.sample(rng)), shape)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
        x, labels = torch.randn(2, shape.channels, *shape.extent), torch.tensor([0, 2])
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimiser.step()
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        assert model.eval()(x).isfinite().all()


@pytest.mark.slow
@of_every_space_on_small_shapes
def test_every_space_is_exported(name, shape):
    torch.manual_seed(0)
    assert_export_reloads_equal(build(draw(name, shape), shape), shape)
