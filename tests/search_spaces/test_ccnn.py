"""CCNN: what the contract over all spaces does not reach."""

import pytest
import torch
from torch import nn

from search_spaces import PUBLISHED, SPACES, Architecture, TaskShape, build, complexity
from search_spaces.families.ccnn import CCNN
from search_spaces.layers.convolution import PlainConv
from search_spaces.layers.flexconv import FlexConv
from search_spaces.network import kernel_sizes, parameter_groups

SERIES = TaskShape(extent=(40,), channels=2, classes=3)
IMAGE = TaskShape(extent=(9, 6), channels=3, classes=4)
VOLUME = TaskShape(extent=(6, 5, 4), channels=1, classes=2)
SMALL = {"width": 6, "kernels": ("flex", 5, "flex")}


def small(**changes):
    return Architecture.of("ccnn", **{**SMALL, **changes})


def layers(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("shape", [SERIES, IMAGE, VOLUME], ids=str)
def test_flexible_and_discrete_kernels_mix_in_any_number_of_axes(shape):
    network = build(small(hidden=8, learn_mean=True), shape)
    assert complexity(small(hidden=8, learn_mean=True), shape).parameters == sum(
        p.numel() for p in network.parameters()
    )
    assert kernel_sizes(network)[1] == tuple(min(5, n + 1 - n % 2) for n in shape.extent)
    assert network(torch.randn(2, shape.channels, *shape.extent)).shape == (2, shape.classes)


def test_the_single_design_is_the_published_one_on_every_task():
    for shape in (SERIES, IMAGE, VOLUME):
        space = SPACES["ccnn"](shape)
        assert space.single
        assert space.decode(next(space.enumerate())) == PUBLISHED["CCNN-4,140"]


@pytest.mark.parametrize("kernel", ["flex", 5])
@pytest.mark.parametrize("causal", [True, False])
def test_a_series_is_read_backwards_only_if_causal(kernel, causal):
    network = build(small(kernels=(kernel,) * 3, causal=causal), SERIES).eval()
    x = torch.randn(1, 2, 40)
    later = x.clone()
    later[..., 20:] += 1
    with torch.no_grad():
        changed = (network.blocks(network.stem(x)) != network.blocks(network.stem(later))).any(1)[0]
    assert changed[20:].all()
    assert changed[:20].any() != causal


def test_images_and_volumes_are_centred_whatever_the_setting():
    for shape in (IMAGE, VOLUME):
        assert not any(m.causal for m in layers(build(small(), shape), FlexConv | PlainConv))


def test_the_twin_differs_from_ccnn_in_its_kernels_only():
    ccnn, twin = (SPACES[name](IMAGE) for name in ("ccnn", "ccnn_twin"))
    assert [c.name for c in ccnn.choices] == [c.name for c in twin.choices]
    assert {c.options for c in twin.choices} == {(3, 5, 9)}
    networks = [build(s.decode({c.name: c.options[-1] for c in s.choices}), IMAGE) for s in (ccnn, twin)]
    outside = [
        {n: p.shape for n, p in network.named_parameters() if not inside(network, n)} for network in networks
    ]
    assert outside[0] == outside[1]
    assert [m.causal for m in layers(networks[0], FlexConv)] == [
        m.causal for m in layers(networks[1], PlainConv)
    ]


def inside(network, name):
    """Whether a parameter makes up a kernel."""
    return any(
        name.startswith(module + ".") and not name.endswith(module + ".bias")
        for module, m in network.named_modules()
        if isinstance(m, FlexConv | PlainConv)
    )


@pytest.mark.parametrize("kernel", ["flex", 9])
def test_depthwise_kernels_of_either_kind_start_at_the_same_scale(kernel):
    torch.manual_seed(0)
    shape = TaskShape(extent=(32, 32), channels=3, classes=2)
    network = build(small(width=128, kernels=(kernel, kernel)), shape)
    layer = layers(network, FlexConv | PlainConv)[1]
    with torch.no_grad():
        middle = layer(torch.randn(4, 128, 32, 32))[..., 8:-8, 8:-8]  # away from padding
    assert middle.std() == pytest.approx(1, rel=0.1)
    assert not layer.bias.any()


def test_a_twin_says_which_extent_its_kernels_were_chosen_for():
    space = SPACES["ccnn_twin"](IMAGE)
    design = space.decode({c.name: 3 for c in space.choices})
    assert CCNN.read(design).reference == 9
    assert CCNN.read(PUBLISHED["CCNN-4,140"]).reference is None


def test_masks_and_generators_have_their_groups_and_taps_are_decayed():
    network = build(small(), IMAGE)
    groups = {name: {id(p) for p in group} for name, group in parameter_groups(network).items()}
    flexible, plain = layers(network, FlexConv), layers(network, PlainConv)
    generators = {id(p) for m in flexible for p in m.generator.parameters()}
    assert groups["masks"] == {id(m.mask.sigma) for m in flexible}
    assert groups["undecayed"] >= generators
    mixers = {id(m.weight) for m in layers(network, nn.Conv2d | nn.Linear)} - generators
    assert groups["weights"] == mixers | {id(m.weight) for m in plain}
    assert len(mixers) == 3 + 2 + 1  # of separable convolutions, of blocks, the head


def test_choices_of_the_tuned_space_reach_the_network():
    space = SPACES["ccnn_tuned"](IMAGE)
    base = {"width": 70, "blocks": 2, "sigma": 0.15, "frequency": 0.5, "mask_factor": 0.3}

    def made(**changes):
        torch.manual_seed(0)
        design = space.decode({**base, **changes})
        return CCNN.read(design), build(design, IMAGE)

    _, network = made()
    assert network.head.in_features == 70 and len(network.blocks) == 2
    first = layers(network, FlexConv)[0]
    assert first.mask.sigma.tolist() == pytest.approx([0.15, 0.15])
    net, network = made(width=140, blocks=4, sigma=0.3, mask_factor=1.0)
    assert net.mask_factor == 1.0
    assert network.head.in_features == 140 and len(network.blocks) == 4
    assert all((m.mask.sigma == 0.3).all() for m in layers(network, FlexConv))
    _, network = made(frequency=1.0)
    faster = layers(network, FlexConv)[0]
    torch.testing.assert_close(faster.generator.filters.weight, 2 * first.generator.filters.weight)


def test_the_tuned_space_holds_the_single_design():
    values = {"width": 140, "blocks": 4, "sigma": None, "frequency": 0.5, "mask_factor": None}
    assert SPACES["ccnn_tuned"](IMAGE).decode(values) == PUBLISHED["CCNN-4,140"]


def test_dropout_acts_on_whole_channels_in_training_alone():
    for shape in (SERIES, IMAGE, VOLUME):
        network = build(small(dropout=0.5), shape)
        dropped = network.blocks[0].body[4](torch.ones(8, 6, *shape.extent)).flatten(2)
        assert (dropped.amin(2) == dropped.amax(2)).all() and 0 < (dropped == 0).float().mean() < 1
        x = torch.randn(2, shape.channels, *shape.extent)
        assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"width": 0}, "width must be a positive whole number"),
        ({"width": 1.5}, "width must be a positive whole number"),
        ({"kernels": ("flex",)}, "the stem's and one per block"),
        ({"kernels": "flex"}, "kernels must be a list"),
        ({"kernels": ("flex", 4)}, "positive odd number or 'flex', got 4"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"mask_factor": -1.0}, "mask_factor must be 0 or more, or null"),
        ({"reference": 0}, "reference must be the longest axis"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"hidden": 0}, "hidden, layers and frequency must be positive"),
        ({"factors": (1.0,)}, "family 'ccnn' has the settings width, kernels"),
    ],
)
def test_settings_out_of_range_are_named(changes, match):
    with pytest.raises(ValueError, match=match):
        build(small(**changes), IMAGE)


def test_a_kernel_of_other_axes_is_refused():
    with pytest.raises(ValueError, match="a kernel of 2 axes on an input of 1"):
        complexity(small(kernels=((3, 5), "flex")), SERIES)
