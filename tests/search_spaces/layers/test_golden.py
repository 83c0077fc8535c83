"""Parity with the authors' released layer."""

import numpy as np
import pytest
import torch

from tests.reference import GOLDEN, load_reference, reference_values

FILES = ("flexconv2d_magnet_sigma0075", "flexconv2d_magnet_sigma025")


@pytest.mark.parametrize("backend", ["spatial", "fft"])
@pytest.mark.parametrize("name", FILES)
def test_kernel_output_and_every_gradient_agree_with_the_released_code(name, backend):
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the golden numbers are not beside the repository: {path}")
    layer, arrays = load_reference(path)
    layer.backend = backend
    x = torch.from_numpy(arrays["x"]).requires_grad_()
    y = layer(x)
    y.backward(torch.from_numpy(arrays["dy"]))

    assert layer.kernel_size == arrays["kernel"].shape[2:]
    assert distance(layer.kernel(), arrays["kernel"]) < 1e-5
    assert distance(y, arrays["y"]) < 1e-4
    assert distance(x.grad, arrays["dx"]) < 1e-4
    expected = reference_values(arrays, "grad", len(layer.generator.linears))
    assert expected.keys() == dict(layer.named_parameters()).keys()
    for parameter, gradient in expected.items():
        assert distance(layer.get_parameter(parameter).grad, gradient) < 1e-4, parameter


def distance(ours, theirs):
    """Largest difference, relative to the largest value."""
    ours = ours.detach().numpy()
    return np.abs(ours - theirs.reshape(ours.shape)).max() / np.abs(theirs).max()
