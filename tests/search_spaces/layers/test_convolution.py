"""The two backends are one function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.layers.convolution import cheaper, convolve, plain_conv

axis = st.tuples(st.integers(1, 13), st.integers(0, 10).map(lambda half: 2 * half + 1))
series = st.tuples(st.integers(1, 20), st.integers(1, 30))


def assert_backends_agree(extent, size, *, inputs, outputs, bias, **geometry):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, inputs, *extent, generator=generator, dtype=torch.float64)
    per_group = inputs // geometry["groups"]
    kernel = torch.randn(outputs, per_group, *size, generator=generator, dtype=torch.float64)
    offset = torch.randn(outputs, generator=generator, dtype=torch.float64) if bias else None
    results = []
    for backend in ("spatial", "fft"):
        leaves = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        y = convolve(*leaves, offset, backend, **geometry)
        results.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
    assert results[0][0].shape == (2, outputs, *(-(-n // geometry["stride"]) for n in extent))
    for spatial, fft in zip(*results):
        torch.testing.assert_close(fft, spatial, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=80)
@given(
    axes=st.lists(axis, min_size=1, max_size=3),
    channels=st.tuples(*[st.integers(1, 3)] * 2),
    bias=st.booleans(),
    depthwise=st.booleans(),
    stride=st.integers(1, 3),
)
def test_fft_equals_spatial_on_any_rectangle(axes, channels, bias, depthwise, stride):
    inputs, outputs = (channels[0],) * 2 if depthwise else channels
    groups = inputs if depthwise else 1
    assert_backends_agree(
        *zip(*axes), inputs=inputs, outputs=outputs, bias=bias, groups=groups, stride=stride, causal=False
    )


@settings(deadline=None, max_examples=60)
@given(shape=series, channels=st.integers(1, 3), depthwise=st.booleans(), stride=st.integers(1, 3))
def test_fft_equals_spatial_on_any_causal_series(shape, channels, depthwise, stride):
    extent, size = shape
    assert_backends_agree(
        (extent,),
        (size,),
        inputs=channels,
        outputs=channels,
        bias=True,
        groups=channels if depthwise else 1,
        stride=stride,
        causal=True,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 4])
def test_half_precision_keeps_its_type_and_the_precision_it_has(dtype, groups):
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 4, 50), torch.randn(4, 4 // groups, 31)
    exact = convolve(x, kernel, torch.ones(4), "spatial", groups=groups)
    for backend in ("spatial", "fft"):
        y = convolve(x.to(dtype), kernel, torch.ones(4), backend, groups=groups)
        assert y.dtype == dtype
        assert (y.float() - exact).abs().max() < 4 * torch.finfo(dtype).eps * exact.abs().max()


def test_causal_padding_shows_no_sample_before_its_time():
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 4)
    kernel = torch.tensor([3.0, 2.0, 1.0]).view(1, 1, 3)  # the last tap is now
    for backend in ("spatial", "fft"):
        y = convolve(x, kernel, None, backend, causal=True).flatten()
        torch.testing.assert_close(y, torch.tensor([1.0, 2.0, 3.0, 0.0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "kernel", "geometry", "message"),
    [
        ((1, 2, 5), (2, 2, 4), {}, "kernel sizes must be odd and positive, got \\(4,\\); use \\(5,\\)"),
        ((1, 2, 5, 5), (2, 2, 3), {}, "a kernel of 1 axes takes"),
        ((1, 2, 5, 5), (2, 2, 3, 3), {"causal": True}, "a causal kernel has 1 axis"),
        ((1, 4, 5), (4, 2, 3), {"groups": 2}, "groups must be 1 or the number of channels"),
        ((1, 4, 5), (4, 2, 3), {}, "and 4 channels"),
        ((1, 2, 5), (2, 2, 3), {"stride": 0}, "stride must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(x, kernel, geometry, message):
    with pytest.raises(ValueError, match=message):
        convolve(torch.zeros(x), torch.zeros(kernel), **geometry)


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


@pytest.mark.parametrize("extent", [(1,), (20,), (9, 14)])
@pytest.mark.parametrize(("causal", "taps"), [(False, 3), (True, 2), (True, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_dilated_taps_are_the_same_by_either_backend_and_in_the_portable_form(extent, causal, taps, stride):
    if causal and len(extent) > 1:
        pytest.skip("series only")
    geometry = {"causal": causal, "stride": stride, "dilation": 4}
    layer = plain_conv(2, 3, (taps,) * len(extent), bias=True, **geometry).double()
    x = torch.randn(2, 2, *extent, dtype=torch.float64)
    results = [convolve(x, layer.weight, layer.bias, b, **geometry) for b in ("spatial", "fft")]
    for y in results:
        torch.testing.assert_close(y, layer.portable()(x), rtol=1e-9, atol=1e-9)


def test_long_kernels_go_by_fft_and_short_ones_do_not():
    assert cheaper((784,), (16, 16, 257)) == "fft"
    assert cheaper((28, 28), (16, 16, 29, 29)) == "fft"
    assert cheaper((28, 28), (16, 16, 3, 3)) == "spatial"
    assert cheaper((784,), (16, 16, 5), dilation=64) == "spatial"
    assert cheaper((16, 16, 16), (16, 16, 3, 3, 3)) == "spatial"


@pytest.mark.parametrize("size", [(4,), (3, 0), (-1,), (3, 3, 3, 3), ()])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="kernel"):
        plain_conv(1, 1, size)
