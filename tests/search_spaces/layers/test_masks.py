"""The mask: how much of the grid it keeps, and that its width can always be learned."""

import math

import pytest
import torch

from search_spaces.layers.grid import initial_sigma, kernel_size, odd_cover, smallest_sigma, taps
from search_spaces.layers.masks import GaussianMask


@pytest.mark.parametrize(
    ("points", "sigma", "kept"),
    [
        (33, 0.075, 5),
        (33, 0.125, 9),
        (33, 0.25, 17),
        (33, 0.466, 33),
        (33, 5.0, 33),
        (3, 0.075, 3),
        (1, 1.0, 1),
    ],
)
def test_size_of_a_centred_mask(points, sigma, kept):
    assert kernel_size((points,), sigma) == (kept,)


def test_a_tap_on_the_threshold_is_dropped():
    at_four_steps = 4 * 0.0625 / math.sqrt(-2 * math.log(0.1))
    assert taps(33, 0.0, at_four_steps * (1 - 1e-12)) == 7
    assert taps(33, 0.0, at_four_steps * (1 + 1e-12)) == 9


def test_a_shifted_mean_enlarges_the_crop_on_both_sides():
    centred, right, left = (taps(33, mean, 0.125) for mean in (0.0, 0.25, -0.25))
    assert right == left == centred + 8


@pytest.mark.parametrize("points", [5, 9, 29, 33, 65, 785, 4001])
def test_every_grid_starts_with_at_least_five_taps(points):
    assert kernel_size((points,))[0] >= 5
    assert initial_sigma(points) >= max(0.075, smallest_sigma(points))


def test_odd_cover_spans_the_extent():
    assert [odd_cover(n) for n in (1, 2, 3, 8, 28, 784)] == [1, 3, 3, 9, 29, 785]


def test_value_is_the_gaussian_of_both_axes():
    mask = GaussianMask((33, 33), (0.25, 0.5))
    points = torch.tensor([[0.0, 0.0], [0.25, 0.0], [0.25, 0.5]])
    torch.testing.assert_close(mask(points), torch.exp(torch.tensor([0.0, -0.5, -1.0])))


@pytest.mark.parametrize("sigma", [0.0, -1.0, 1e-30, 1e30, math.inf])
@pytest.mark.parametrize("training", [True, False])
def test_no_sigma_gives_nan_or_fewer_than_three_taps(sigma, training):
    mask = GaussianMask((17,), (0.2,)).train(training)
    with torch.no_grad():
        mask.sigma.fill_(sigma)
    value = mask(torch.linspace(-1, 1, 17)[:, None])
    value.sum().backward()
    assert value.isfinite().all()
    assert mask.sigma.grad.isfinite().all()
    assert mask.kernel_size()[0] >= 3


def test_sigma_is_read_at_its_floor_and_left_alone_until_it_is_projected():
    mask = GaussianMask((17, 5), (0.2, 0.6))
    with torch.no_grad():
        mask.sigma.copy_(torch.tensor([-1.0, 0.0]))
    floor = torch.tensor([smallest_sigma(17), smallest_sigma(5)])
    torch.testing.assert_close(mask.width(), floor)
    assert mask.sigma.tolist() == [-1.0, 0.0]
    mask.project()
    torch.testing.assert_close(mask.sigma.detach(), floor)


@pytest.mark.parametrize("sigma", [1e-3, -1.0])
def test_at_and_below_the_floor_sigma_has_the_gradient_of_the_floor(sigma):
    points = torch.tensor([[-0.125], [0.0], [0.125]])
    gradients = []
    for start in (smallest_sigma(17), sigma):
        mask = GaussianMask((17,), (start,))
        assert mask.kernel_size() == (3,)
        mask(points).sum().backward()
        gradients.append(mask.sigma.grad.item())
    assert gradients[0] > 0.1
    assert gradients[1] == pytest.approx(gradients[0])


def test_a_mean_outside_the_grid_is_brought_back():
    mask = GaussianMask((17, 5), (0.2, 0.6))
    with torch.no_grad():
        mask.mean.copy_(torch.tensor([1e37, -3.0]))
    mask.project()
    assert mask.mean.tolist() == [1.0, -1.0]


def test_a_projection_between_a_forward_and_its_backward():
    mask = GaussianMask((17,), (1e-3,))
    points = torch.linspace(-1, 1, 17)[:, None]
    first = mask(points).sum()
    mask.project()
    (first + mask(points).sum()).backward()
    assert mask.sigma.grad.isfinite().all()


def test_a_fixed_mean_is_no_parameter():
    assert [name for name, _ in GaussianMask((5,), (0.5,), learn_mean=False).named_parameters()] == ["sigma"]
