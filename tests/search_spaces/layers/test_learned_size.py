"""A layer inside a classifier finds the reach that its task needs."""

import math

import pytest
import torch
from torch import nn

from search_spaces.layers.flexconv import FlexConv
from search_spaces.network import parameter_groups

POINTS = 65


def slow_waves(rows, generator):
    """Class: period 16 or 24, in noise that only a long average removes."""
    labels = torch.randint(0, 2, (rows,), generator=generator)
    phase = 2 * math.pi * torch.rand(rows, 1, generator=generator)
    period = torch.where(labels == 0, 16.0, 24.0)[:, None]
    waves = torch.sin(2 * math.pi * torch.arange(POINTS) / period + phase)
    return waves + 1.5 * torch.randn(rows, POINTS, generator=generator), labels


def neighbours(rows, generator):
    """Class: sign of the correlation of neighbours, which no tap further away tells more of."""
    labels = torch.randint(0, 2, (rows,), generator=generator)
    factor = torch.where(labels == 0, 0.35, -0.35)
    noise = torch.randn(POINTS + 8, rows, generator=generator)
    series = [noise[0]]
    for each in noise[1:]:
        series.append(factor * series[-1] + each)
    return torch.stack(series[8:], dim=1), labels


def taps_before_and_after(task, sigma, seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layer = FlexConv(1, 8, (POINTS,), sigma=sigma, hidden=16)
    pool = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())
    network = nn.Sequential(layer, nn.BatchNorm1d(8), nn.ReLU(), pool, nn.Linear(8, 2))
    rates = {"weights": 0.02, "undecayed": 0.02, "masks": 0.01}
    groups = parameter_groups(network)
    optimiser = torch.optim.Adam([{"params": groups[name], "lr": rate} for name, rate in rates.items()])
    (before,) = layer.kernel_size
    for _ in range(300):
        x, labels = task(64, generator)
        loss = nn.functional.cross_entropy(network(x[:, None]), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, labels = task(1000, generator)
    assert (network.eval()(x[:, None]).argmax(1) == labels).float().mean() > 0.9
    (after,) = layer.kernel_size
    return before, after


@pytest.mark.parametrize("seed", [0, 1])
def test_the_size_grows_where_the_task_needs_reach_and_shrinks_where_it_does_not(seed):
    before, after = taps_before_and_after(slow_waves, 0.075, seed)
    assert after > 3 * before
    before, after = taps_before_and_after(neighbours, 0.4, seed)
    assert after < 0.75 * before
