"""The two backends are one function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.layers.convolution import PlainConv, convolve, plain_conv

BACKENDS = ("spatial", "fft", "fft_chunked")
axis = st.tuples(st.integers(1, 13), st.integers(0, 10).map(lambda half: 2 * half + 1))
series = st.tuples(st.integers(1, 20), st.integers(1, 30))


def assert_backends_agree(extent, size, *, inputs, outputs, bias, **geometry):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, inputs, *extent, generator=generator, dtype=torch.float64)
    per_group = inputs // geometry["groups"]
    kernel = torch.randn(outputs, per_group, *size, generator=generator, dtype=torch.float64)
    offset = torch.randn(outputs, generator=generator, dtype=torch.float64) if bias else None
    results = []
    for backend in BACKENDS:
        leaves = x.clone().requires_grad_(), kernel.clone().requires_grad_()
        y = convolve(*leaves, offset, backend, **geometry)
        results.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
    assert results[0][0].shape == (2, outputs, *(-(-n // geometry["stride"]) for n in extent))
    for spatial, *others in zip(*results):
        for other in others:
            torch.testing.assert_close(other, spatial, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=80)
@given(
    axes=st.lists(axis, min_size=1, max_size=3),
    channels=st.tuples(*[st.integers(1, 3)] * 2),
    bias=st.booleans(),
    depthwise=st.booleans(),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
)
def test_fft_equals_spatial_on_any_rectangle(axes, channels, bias, depthwise, stride, dilation):
    inputs, outputs = (channels[0],) * 2 if depthwise else channels
    geometry = {"groups": inputs if depthwise else 1, "stride": stride, "dilation": dilation}
    assert_backends_agree(*zip(*axes), inputs=inputs, outputs=outputs, bias=bias, causal=False, **geometry)


@settings(deadline=None, max_examples=60)
@given(
    shape=series,
    channels=st.integers(1, 3),
    depthwise=st.booleans(),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 4),
)
def test_fft_equals_spatial_on_any_causal_series(shape, channels, depthwise, stride, dilation):
    extent, size = shape
    assert_backends_agree(
        (extent,),
        (size,),
        inputs=channels,
        outputs=channels,
        bias=True,
        groups=channels if depthwise else 1,
        stride=stride,
        dilation=dilation,
        causal=True,
    )


def test_dilated_taps_are_so_many_samples_apart():
    x = torch.zeros(1, 1, 30)
    x[..., 15] = 1.0
    kernel = torch.tensor([[[1.0, 2.0, 3.0]]])
    centred = convolve(x, kernel, dilation=4)
    assert centred[0, 0, [19, 15, 11]].tolist() == [1.0, 2.0, 3.0] and centred.sum() == 6.0
    causal = convolve(x, kernel, dilation=4, causal=True)
    assert causal[0, 0, [23, 19, 15]].tolist() == [1.0, 2.0, 3.0] and causal.sum() == 6.0


def test_a_plain_convolution_starts_as_torchs_own_and_is_portable():
    torch.manual_seed(0)
    theirs = torch.nn.Conv1d(4, 4, 5, dilation=2, padding=4, groups=4)
    torch.manual_seed(0)
    ours = plain_conv(4, 4, (5,), bias=True, groups=4, dilation=2)
    x = torch.randn(2, 4, 20)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.portable()(x), theirs(x))
    causal = plain_conv(4, 8, (4,), causal=True, dilation=3)
    torch.testing.assert_close(causal.portable()(x), causal(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 4])
def test_half_precision_keeps_its_type_and_the_precision_it_has(dtype, groups):
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 4, 50), torch.randn(4, 4 // groups, 31)
    exact = convolve(x, kernel, torch.ones(4), "spatial", groups=groups)
    for backend in BACKENDS:
        y = convolve(x.to(dtype), kernel, torch.ones(4), backend, groups=groups)
        assert y.dtype == dtype
        assert (y.float() - exact).abs().max() < 4 * torch.finfo(dtype).eps * exact.abs().max()


@pytest.mark.parametrize("backend", ["fft", "fft_chunked"])
@pytest.mark.parametrize("groups", [1, 4])
def test_autocast_leaves_the_precision_of_fft_alone(backend, groups):
    torch.manual_seed(0)
    leaves = torch.randn(2, 4, 12, 9).requires_grad_(), torch.randn(4, 4 // groups, 5, 7).requires_grad_()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", enabled=enabled):
            y = convolve(*leaves, None, backend, groups=groups)
        results.append((y.to(torch.bfloat16), *torch.autograd.grad(y, leaves, torch.ones_like(y))))
    for plain, cast in zip(*results):
        torch.testing.assert_close(cast, plain, rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["fft", "fft_chunked"])
@pytest.mark.parametrize(
    ("x", "kernel", "geometry"),
    [
        ((3, 2, 9), (3, 2, 5), {}),
        ((2, 2, 9), (2, 2, 12), {"causal": True}),
        ((2, 3, 4, 6), (2, 3, 5, 3), {"stride": 2}),
        ((2, 3, 4, 6), (3, 1, 3, 9), {"groups": 3}),
        ((2, 2, 3, 4, 3), (3, 2, 3, 1, 5), {}),
    ],
)
def test_gradients_by_fft_are_those_of_finite_differences(backend, x, kernel, geometry):
    torch.manual_seed(0)
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in (x, kernel)]
    assert torch.autograd.gradcheck(lambda x, k: convolve(x, k, None, backend, **geometry), leaves)


@pytest.mark.parametrize("backend", ["fft", "fft_chunked"])
@pytest.mark.parametrize("wanted", [0, 1])
def test_only_the_wanted_gradient_is_computed_and_it_is_the_same(backend, wanted):
    torch.manual_seed(0)
    leaves = torch.randn(2, 3, 8, 8), torch.randn(3, 3, 5, 5)
    leaves[wanted].requires_grad_()
    gradients = []
    for each in ("spatial", backend):
        y = convolve(*leaves, None, each)
        gradients.append(torch.autograd.grad(y.square().sum(), leaves[wanted])[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


def test_a_second_derivative_by_fft_is_refused():
    x, kernel = torch.randn(1, 1, 8), torch.randn(1, 1, 3, requires_grad=True)
    y = convolve(x, kernel, None, "fft").square().sum()
    with pytest.raises(ValueError, match="differentiable once, got create_graph=True; use the spatial"):
        torch.autograd.grad(y, kernel, create_graph=True)


@pytest.mark.parametrize("backend", ["auto", "fft", "fft_chunked"])
@pytest.mark.parametrize("groups", [1, 4])
def test_an_exported_convolution_serves_every_batch(backend, groups):
    layer = PlainConv(torch.randn(4, 4 // groups, 9), None, backend, groups=groups).eval()
    x = torch.randn(5, 4, 20)
    program = torch.export.export(layer, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(x), layer(x))


@pytest.mark.parametrize("backend", ["fft", "fft_chunked"])
@pytest.mark.parametrize("groups", [1, 4])
def test_export_and_a_whole_compiled_graph_compute_the_same(backend, groups):
    torch.manual_seed(0)
    layer = PlainConv(torch.randn(4, 4 // groups, 5, 3), torch.randn(4), backend, groups=groups).eval()
    x = torch.randn(2, 4, 8, 9)
    with torch.no_grad():
        y = layer(x)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    exported = torch.export.export(layer, (x,)).module()(x)
    torch.testing.assert_close(compiled, y)
    torch.testing.assert_close(exported, y)


def test_causal_padding_shows_no_sample_before_its_time():
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 4)
    kernel = torch.tensor([3.0, 2.0, 1.0]).view(1, 1, 3)  # the last tap is now
    for backend in BACKENDS:
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
    for backend in BACKENDS:
        shifted = convolve(x, kernel, None, backend).flatten()
        torch.testing.assert_close(shifted, torch.tensor([2.0, 3.0, 4.0, 5.0, 0.0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(4,), (3, 0), (-1,), (3, 3, 3, 3), ()])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match="kernel"):
        plain_conv(1, 1, size)


def test_the_output_has_one_type_under_autocast_whatever_the_backend():
    x, kernel = torch.randn(2, 4, 30), torch.randn(4, 4, 7)
    with torch.autocast("cpu", torch.bfloat16):
        types = {convolve(x, kernel, None, backend).dtype for backend in BACKENDS}
    assert types == {torch.bfloat16}


def test_an_empty_axis_and_an_unknown_backend_are_refused():
    with pytest.raises(ValueError, match="at least one sample on every axis, got"):
        convolve(torch.zeros(2, 1, 0, 4), torch.zeros(1, 1, 3, 3))
    with pytest.raises(
        ValueError, match="unknown backend 'fftt'; there are: auto, spatial, fft, fft_chunked"
    ):
        convolve(torch.zeros(2, 1, 4), torch.zeros(1, 1, 3), None, "fftt")
