"""The generator's initialisation follows the grid."""

import math

import pytest
import torch

from search_spaces.layers.kernel_generators import MAGNet


@pytest.mark.parametrize("size", [(33,), (785,), (29, 57)])
def test_first_filter_has_the_stated_share_of_nyquist(size):
    torch.manual_seed(0)
    net = MAGNet(size, (0.1,) * len(size), 1, hidden=8_000, layers=1, frequency=0.5)
    for depth, gabor in enumerate(net.filters):
        cycles = gabor.weight.abs().mean(0) / (2 * math.pi)
        nyquist = torch.tensor([(n - 1) / 4 for n in size])
        torch.testing.assert_close(cycles, 0.5 * nyquist / (depth + 1), rtol=0.05, atol=0)


def test_laws_of_the_other_parameters():
    torch.manual_seed(0)
    net = MAGNet((33, 33), (0.1, 0.9), 64, hidden=4_000, layers=1)
    first, second = net.filters
    assert first.gamma.mean().item() == pytest.approx(6, rel=0.05)
    assert second.gamma.mean().item() == pytest.approx(3, rel=0.05)
    assert first.mu.abs().max(0).values.tolist() == pytest.approx([0.1667, 1.0], rel=0.01)
    assert first.bias.abs().max().item() == pytest.approx(math.pi, rel=0.01)
    assert net.output.weight.abs().max().item() == pytest.approx(1 / math.sqrt(4_000), rel=0.01)
    assert not any(linear.bias.any() for linear in (net.output, *net.linears))


def test_values_are_the_recurrence_written_out():
    torch.manual_seed(0)
    net = MAGNet((9,), (0.3,), 2, hidden=3, layers=2).double()
    x = 0.37

    def gabor(index):
        g = net.filters[index]
        wave = torch.sin(g.weight[:, 0] * x + g.bias)
        return wave * torch.exp(-0.5 * (g.gamma[:, 0] * (x - g.mu[:, 0])) ** 2)

    h = gabor(0)
    for i in (1, 2):
        h = gabor(i) * (net.linears[i - 1].weight @ h + net.linears[i - 1].bias)
    expected = net.output.weight @ h + net.output.bias
    torch.testing.assert_close(net(torch.tensor([[x]], dtype=torch.float64))[0], expected)
