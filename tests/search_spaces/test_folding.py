"""Networks without batch norms are the same functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces import SPACES, TaskShape, build, freeze
from search_spaces.folding import Affine, without_norms
from search_spaces.layers.convolution import plain_conv
from tests.nas.exporting.runs import with_statistics

FAMILIES = ["flexconv", "ccnn", "resnet", "convnext", "tcn", "cell"]


def sampled(name: str, shape: TaskShape) -> nn.Module:
    space = SPACES[name](shape)
    torch.manual_seed(0)
    return with_statistics(build(space.decode(space.sample(np.random.default_rng(3))), shape))


def rows(shape: TaskShape) -> Tensor:
    x = torch.randn(4, shape.channels, *shape.extent, generator=torch.Generator().manual_seed(2))
    if shape.variable:
        x[0, :, 9:], x[1, :, 30:] = torch.nan, torch.nan
    return x


@pytest.mark.parametrize("variable", [False, True], ids=["one length", "lengths differ"])
@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_every_family_is_the_same_function_without_batch_norms(name: str, variable: bool) -> None:
    shape = TaskShape(extent=(41,), channels=2, classes=3, variable=variable)
    network, x = freeze(sampled(name, shape)), rows(shape)
    bare = without_norms(network)
    assert not any(isinstance(each, _BatchNorm) for each in bare.modules())
    torch.testing.assert_close(bare(x), network(x), rtol=1e-5, atol=1e-5)
    assert any(isinstance(each, _BatchNorm) for each in network.modules()) == (name != "convnext")


@torch.no_grad()
def test_a_norm_is_folded_into_what_comes_before_and_never_into_what_follows() -> None:
    after = nn.Sequential(plain_conv(2, 4, (5, 5)), with_statistics(nn.BatchNorm2d(4)), nn.ReLU())
    assert [type(each) for each in without_norms(after)] == [type(after[0]), nn.Identity, nn.ReLU]
    before = nn.Sequential(with_statistics(nn.BatchNorm2d(2)), plain_conv(2, 4, (5, 5)))
    bare = without_norms(before)
    assert [type(each) for each in bare] == [Affine, type(before[1])]
    x = torch.randn(3, 2, 9, 9)
    torch.testing.assert_close(bare(x), before(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(without_norms(after)(x), after.eval()(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_channel_that_never_varied_is_folded_too() -> None:
    layers = nn.Sequential(plain_conv(2, 3, (3,), bias=True), with_statistics(nn.BatchNorm1d(3)))
    norm = layers[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_var is not None
    norm.running_var[1] = 0.0
    x = torch.randn(2, 2, 8)
    bare, expected = without_norms(layers)(x), layers(x)
    torch.testing.assert_close(bare, expected, rtol=1e-4, atol=1e-3)
    assert bare.isfinite().all()


def test_a_norm_of_the_batch_is_refused() -> None:
    layers = nn.Sequential(plain_conv(1, 3, (3,)), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(ValueError, match="running statistics"):
        without_norms(layers)
