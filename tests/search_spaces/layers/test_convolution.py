"""The two backends are one function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.layers.convolution import cheaper, convolve, plain_conv

axis = st.tuples(st.integers(1, 13), st.integers(0, 10).map(lambda half: 2 * half + 1))


@settings(deadline=None, max_examples=60)
@given(
    axes=st.lists(axis, min_size=1, max_size=3),
    channels=st.tuples(*[st.integers(1, 3)] * 2),
    bias=st.booleans(),
)
def test_fft_equals_spatial_on_any_rectangle(axes, channels, bias):
    extent, size = zip(*axes)
    inputs, outputs = channels
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, inputs, *extent, generator=generator, dtype=torch.float64)
    kernel = torch.randn(outputs, inputs, *size, generator=generator, dtype=torch.float64)
    offset = torch.randn(outputs, generator=generator, dtype=torch.float64) if bias else None
    results = []
    for backend in ("spatial", "fft"):
        leaves = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        y = convolve(*leaves, offset, backend)
        results.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
    assert results[0][0].shape == (2, outputs, *extent)
    for spatial, fft in zip(*results):
        torch.testing.assert_close(fft, spatial, rtol=1e-9, atol=1e-9)


def test_fft_equals_spatial_in_float32_on_a_long_kernel():
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 4, 300), torch.randn(4, 4, 257)
    spatial, fft = (convolve(x, kernel, None, backend) for backend in ("spatial", "fft"))
    assert (spatial - fft).abs().max() < 1e-5 * spatial.abs().max()


def test_a_delta_off_centre_shifts_the_input_as_a_cross_correlation_does():
    x = torch.arange(1.0, 6.0).view(1, 1, 5)
    kernel = torch.tensor([0.0, 0.0, 1.0]).view(1, 1, 3)
    for backend in ("spatial", "fft"):
        shifted = convolve(x, kernel, None, backend).flatten()
        torch.testing.assert_close(shifted, torch.tensor([2.0, 3.0, 4.0, 5.0, 0.0]), rtol=0, atol=1e-6)


def test_long_kernels_go_by_fft_and_short_ones_do_not():
    assert cheaper((784,), (16, 16, 257)) == "fft"
    assert cheaper((28, 28), (16, 16, 29, 29)) == "fft"
    assert cheaper((28, 28), (16, 16, 3, 3)) == "spatial"
    assert cheaper((16, 16, 16), (16, 16, 3, 3, 3)) == "spatial"


@pytest.mark.parametrize("size", [(4,), (3, 0), (-1,), (3, 3, 3, 3), ()])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="kernel"):
        plain_conv(1, 1, size)
