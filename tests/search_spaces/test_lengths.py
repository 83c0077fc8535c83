"""Series of variable length: what a network makes of one does not depend on how far it is padded.

The truth is the network of series of one length, on a series without its padding.
"""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from search_spaces import SPACES, Architecture, TaskShape, build, complexity, freeze
from search_spaces.layers.flexconv import FlexConv
from search_spaces.network import kernel_sizes, parameter_groups
from search_spaces.networks.lengths import BatchNorm1d, Chain

EXTENT, CHANNELS, CLASSES = 40, 2, 3
FIXED = TaskShape(extent=(EXTENT,), channels=CHANNELS, classes=CLASSES)
SHAPE = TaskShape(extent=(EXTENT,), channels=CHANNELS, classes=CLASSES, variable=True)
LENGTHS = (40, 39, 30, 17, 8, 3, 2, 1)
FLEX = ("flex",) * 5
DESIGNS = {
    "flexnet, widening": Architecture.of(
        "flexnet", width=4, factors=(1.0, 1.5), kernels=(3, *FLEX[1:3], 9, 39)
    ),
    "flexnet, long": Architecture.of("flexnet", width=4, factors=(1.0, 1.0), kernels=FLEX, sigma=2.0),
    "ccnn, centred": Architecture.of("ccnn", width=4, kernels=("flex", 7), causal=False),
    "resnet, strides": Architecture.of(
        "resnet",
        blocks=(1, 2, 1),
        widths=(4, 8, 8),
        kernels=(3, 5, 7, 3),
        strides=(2, 3, 2),
        dilations=(1, 2, 1),
    ),
    "resnet, bottleneck": Architecture.of(
        "resnet",
        blocks=(1, 1),
        widths=(8, 8),
        kernels=(7, 3, 3),
        strides=(1, 2),
        dilations=(1, 4),
        bottleneck=True,
    ),
    "convnext, patches": Architecture.of(
        "convnext", blocks=(1, 2), widths=(4, 6), kernels=(7, 5), strides=(5, 2), expansion=2
    ),
    "convnext, four": Architecture.of(
        "convnext", blocks=(1, 1), widths=(4, 6), kernels=(9, 3), strides=(4, 3)
    ),
    "tcn, centred": Architecture.of("tcn", width=4, kernels=(5, 3), growth=3, causal=False),
    "cell, pools": Architecture.of(
        "cell", width=4, stages=3, cells=2, kernels=("pool", "skip", 3, 1, "pool", "pool")
    ),
}


def drawn():
    """A design of every space that serves series, and those above, which have what few samples have."""
    found = dict(DESIGNS)
    for name in SPACES:
        try:
            space = SPACES[name](SHAPE)
        except ValueError:
            continue
        found[name] = space.decode(space.sample(np.random.default_rng(0)))
    return found


ALL = drawn()
of_every_design = pytest.mark.parametrize("design", ALL.values(), ids=ALL)


def series(lengths, seed=0):
    """(batch, channels, extent), NaN after the end of each."""
    x = torch.randn(len(lengths), CHANNELS, EXTENT, generator=torch.Generator().manual_seed(seed))
    return x.where(torch.arange(EXTENT) < torch.tensor(lengths).view(-1, 1, 1), torch.nan).double()


def pair(design):
    """Networks of variable and of fixed length, same weights and running statistics, none of them 0."""
    torch.manual_seed(0)
    network, fixed = build(design, SHAPE), build(design, FIXED)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".mask." not in name and ".generator." not in name:
                parameter += 0.2 * torch.randn_like(parameter)
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm1d)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    fixed.load_state_dict(network.state_dict())
    return network.double(), fixed.double()


def step(network, x):
    """Logits of a training forward, and every gradient."""
    torch.manual_seed(1)  # of dropout
    logits = network.train()(x)
    nn.functional.cross_entropy(logits, torch.arange(len(x)) % CLASSES).backward()
    return logits.detach(), {name: p.grad for name, p in network.named_parameters()}


def close(found, expected, tolerance=1e-6):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@of_every_design
def test_a_series_in_a_batch_is_classified_as_it_is_alone_without_padding(design):
    network, fixed = pair(design)
    with torch.no_grad():
        logits = network.eval()(series(LENGTHS))
        for row, length, found in zip(series(LENGTHS), LENGTHS, logits, strict=True):
            close(found[None], fixed.eval()(row[None, :, :length]))
    assert logits.std(0).min() > 1e-3  # and they differ


@of_every_design
@pytest.mark.parametrize("length", [EXTENT, 23, 12])
def test_a_training_step_on_padded_series_is_that_on_bare_ones(design, length):
    network, fixed = pair(design)
    x = series((length,) * 4)
    close(step(network, x), step(fixed, x[..., :length]))
    close(dict(network.named_buffers()), dict(fixed.named_buffers()))


@of_every_design
def test_parameters_names_and_cost_are_those_of_fixed_length(design):
    network, fixed = build(design, SHAPE), build(design, FIXED)
    assert {n: t.shape for n, t in network.state_dict().items()} == {
        n: t.shape for n, t in fixed.state_dict().items()
    }
    assert kernel_sizes(network) == kernel_sizes(fixed)
    assert complexity(design, SHAPE) == complexity(design, FIXED)
    sizes = [[len(group) for group in parameter_groups(each).values()] for each in (network, fixed)]
    assert sizes[0] == sizes[1]


@of_every_design
def test_training_on_mixed_lengths_learns_and_stays_finite(design):
    network = pair(design)[0].float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
    for seed in range(2):
        x = series(LENGTHS, seed).float().requires_grad_()
        optimiser.zero_grad()
        _, gradients = step(network, x)
        assert all(g.isfinite().all() for g in gradients.values())
        assert not x.grad[series(LENGTHS, seed).isnan()].any() and x.grad[:-1].any(2).any(1).all()
        optimiser.step()
    assert all(p.isfinite().all() for p in network.parameters())
    assert all(b.isfinite().all() for b in network.buffers())
    assert network.eval()(x).isfinite().all()


@of_every_design
def test_norms_count_valid_positions_alone(design):
    network, _ = pair(design)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d)]
    before = {norm: (norm.running_mean.clone(), norm.running_var.clone()) for norm in norms}
    seen = {}
    for norm in norms:
        norm.register_forward_hook(lambda norm, args, y: seen.update({norm: (args[0], y)}))
    network.train()(series(LENGTHS))
    assert len(seen) == len(norms)
    for norm, (x, y) in seen.items():
        stride = next(s for s in (1, 2, 4, 8, 6, 12) if -(-EXTENT // s) == x.shape[2])
        rows = zip(x, y, LENGTHS, strict=True)
        gathered, out = zip(
            *((r[:, : -(-n // stride)], o[:, : -(-n // stride)]) for r, o, n in rows), strict=True
        )
        flat, mean, variance = torch.cat(gathered, 1).T, *before[norm]
        expected = nn.functional.batch_norm(flat, mean, variance, norm.weight, norm.bias, training=True)
        close(torch.cat(out, 1).T, expected)
        close((norm.running_mean, norm.running_var), (mean, variance))


@pytest.mark.parametrize("settings", [{"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_a_norm_takes_every_setting_of_torchs_own(settings):
    ours, theirs = BatchNorm1d(CHANNELS, **settings), nn.BatchNorm1d(CHANNELS, **settings)
    for seed in range(3):
        x = series(LENGTHS, seed).float()
        mask = ~x[:, :1].isnan()
        y, expected = ours(x.nan_to_num(7.0), (mask.float(),)), theirs(x.movedim(1, 2)[mask[:, 0]])
        close(y.movedim(1, 2)[mask[:, 0]], expected, 1e-5)
    close(ours.state_dict(), theirs.state_dict(), 1e-5)
    ours.eval(), theirs.eval()
    y, expected = ours(x.nan_to_num(7.0), (mask.float(),)), theirs(x.movedim(1, 2)[mask[:, 0]])
    close(y.movedim(1, 2)[mask[:, 0]], expected, 1e-5)


@of_every_design
@pytest.mark.parametrize("portable", [False, True])
def test_copies_and_frozen_networks_are_the_same_network(design, portable):
    network, _ = pair(design)
    network(series(LENGTHS[::-1]))
    logits = network.eval()(series(LENGTHS))
    close(copy.deepcopy(network)(series(LENGTHS)), logits)
    close(freeze(network, portable=portable)(series(LENGTHS)), logits)


EXPORTED = ["flexconv", "ccnn", "resnet, strides", "convnext, patches", "tcn", "cell, pools"]


@pytest.mark.parametrize(
    ("name", "strict"), [*((name, False) for name in EXPORTED), ("resnet, strides", True)]
)
def test_a_frozen_network_is_exported_for_any_batch(name, strict):
    frozen = freeze(pair(ALL[name])[0].float())
    x = series(LENGTHS).float()
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(frozen, (x[:3],), dynamic_shapes=dynamic, strict=strict).module()
    with torch.no_grad():
        for batch in (x, x[:1], x[4:]):
            close(program(batch), frozen(batch), 1e-5)


class Checkpointed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *arguments):
        return checkpoint(self.inner, *arguments, use_reentrant=False)


@pytest.mark.parametrize("name", ["flexconv", "ccnn", "resnet, strides", "tcn"])
def test_checkpointing_blocks_changes_no_gradient_also_if_another_batch_comes_between(name):
    network, _ = pair(ALL[name])
    saving = copy.deepcopy(network)
    for i, block in enumerate(saving.blocks):
        saving.blocks[i] = Checkpointed(block)
    gradients = []
    for each in (network, saving):
        torch.manual_seed(1)
        both = each(series(LENGTHS)), each(series(LENGTHS[::-1], 1))
        (both[0].square().sum() + both[1].square().sum()).backward()
        gradients.append([p.grad for p in each.parameters()])
    close(*gradients)


@pytest.mark.parametrize("name", EXPORTED)
def test_in_bfloat16_padding_does_not_matter_either(name):
    network, fixed = (each.float() for each in pair(ALL[name]))
    x = series((23,) * 4).float()
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = step(network, x), step(fixed, x[..., :23])
        assert all(g.isfinite().all() for g in found[1].values())
        close(found[0], expected[0], 0.1)
        close(network.eval()(x), fixed.eval()(x[..., :23]), 0.1)


def test_every_backend_sees_zeros_after_the_end():
    network, fixed = pair(DESIGNS["flexnet, long"])
    for backend in ("spatial", "fft", "fft_chunked"):
        for layer in (m for each in (network, fixed) for m in each.modules() if isinstance(m, FlexConv)):
            layer.backend = backend
        with torch.no_grad():
            close(network.eval()(series((17,))), fixed.eval()(series((17,))[..., :17]))


@pytest.mark.parametrize(
    "layer", [nn.MaxPool1d(3), nn.Sequential(nn.BatchNorm1d(2))], ids=["pool", "sequence"]
)
def test_a_layer_that_cannot_be_told_where_series_end_is_refused(layer):
    x = torch.randn(2, 2, 5)
    assert Chain(layer)(x).shape[0] == 2
    with pytest.raises(TypeError, match="positional argument"):
        Chain(layer)(x, (torch.ones(2, 1, 5),))


@pytest.mark.parametrize("extent", [(4, 4), (4, 4, 4)])
def test_only_series_vary_in_length(extent):
    with pytest.raises(ValueError, match="only series vary in length"):
        TaskShape(extent=extent, channels=1, classes=2, variable=True)
