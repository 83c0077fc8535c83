"""Parity with the authors' released layers."""

import numpy as np
import pytest
import torch

from search_spaces.layers.flexconv import SeparableFlexConv
from tests.reference import GOLDEN, load_reference, reference_values
from trials.isolation import isolated

FILES = (
    "flexconv2d_magnet_sigma0075",
    "flexconv2d_magnet_sigma025",
    "flexconv2d_siren",
    "flexconv1d_causal_magnet_sigma0075",
    "ccnn1d_causal_separable_magnet_sigma0075",
)


ACCELERATOR = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator"),
    ],
)


@pytest.mark.parametrize("device", ["cpu", ACCELERATOR])
@pytest.mark.parametrize("backend", ["spatial", "fft", "auto"])
@pytest.mark.parametrize("name", FILES)
def test_kernel_output_and_every_gradient_agree_with_the_released_code(name, backend, device):
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the golden numbers are not beside the repository: {path}")
    layer, arrays = load_reference(path)
    flexible = layer.depthwise if isinstance(layer, SeparableFlexConv) else layer
    flexible.backend = backend
    layer.to(device)
    x = torch.from_numpy(arrays["x"]).to(device).requires_grad_()
    with isolated(seed=0):  # float32 is float32, not TF32, as in a trial
        y = layer(x)
        y.backward(torch.from_numpy(arrays["dy"]).to(device))

    assert layer.kernel().shape == arrays["kernel"].shape
    assert distance(layer.kernel(), arrays["kernel"]) < 1e-5
    assert distance(y, arrays["y"]) < 1e-4
    assert distance(x.grad, arrays["dx"]) < 1e-4
    expected = reference_values(arrays, "grad", layer)
    assert expected.keys() == dict(layer.named_parameters()).keys()
    for parameter, gradient in expected.items():
        assert distance(layer.get_parameter(parameter).grad, gradient) < 1e-4, parameter


@pytest.mark.parametrize(
    ("name", "taps"),
    [("flexconv2d_magnet_sigma025", (17, 17)), ("flexconv1d_causal_magnet_sigma0075", (83,))],
)
def test_our_crop_is_that_of_the_paper(name, taps):
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the golden numbers are not beside the repository: {path}")
    layer, _ = load_reference(path)
    layer.crop = None
    assert layer.kernel_size == taps


def test_a_file_of_the_same_families_that_is_not_among_the_golden_ones(tmp_path):
    """CCNN, 2-D, separable, SIREN, one width negative: its second axis is multiplied by the first width."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    widths = np.array([0.3, -0.2], dtype=np.float32)
    maps = {0: (6, 2), 2: (6, 6)}
    arrays = {"x": draw(1, 3, 9, 9), "y": draw(1, 4, 9, 9), "param/train_length": np.array([11], np.int32)}
    for i, shape in maps.items():
        arrays |= {f"param/Kernel.kernel_net.{i}.weight": draw(*shape, 1, 1) / 3}
        arrays |= {f"param/Kernel.kernel_net.{i}.bias": draw(shape[0])}
        arrays |= {f"param/Kernel.kernel_net.{i}.omega_0": np.array([5.0], np.float32)}
    arrays |= {"param/Kernel.output_linear.weight": draw(3, 6, 1, 1), "param/bias": draw(3)}
    arrays |= {"param/Kernel.output_linear.bias": draw(3), "param/channel_mixer.bias": draw(4)}
    arrays |= {"param/channel_mixer.weight": draw(4, 3, 1, 1), "param/mask_width_param": widths}
    arrays |= {"param/mask_mean_param": np.zeros(2, np.float32)}
    rows, columns = np.linspace(-1, 1, 11)[2:9], np.linspace(-1, 1, 11)[3:8]
    kernel = np.zeros((1, 3, 7, 5))
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            h = np.array([y, x])
            for k in maps:
                weight = arrays[f"param/Kernel.kernel_net.{k}.weight"][..., 0, 0]
                h = np.sin(5 * (weight @ h + arrays[f"param/Kernel.kernel_net.{k}.bias"]))
            value = arrays["param/Kernel.output_linear.weight"][..., 0, 0] @ h
            mask = np.exp(-0.5 * (y**2 / (0.04 + 1e-8) + x**2 / (0.09 + 1e-8)))
            kernel[0, :, i, j] = mask * (value + arrays["param/Kernel.output_linear.bias"])
    np.savez(tmp_path / "other.npz", **arrays, kernel=kernel.astype(np.float32))

    layer, found = load_reference(tmp_path / "other.npz")
    assert distance(layer.kernel(), found["kernel"]) < 1e-5
    assert layer(torch.from_numpy(found["x"])).shape == (1, 4, 9, 9)


def distance(ours, theirs):
    """Largest difference, relative to the largest value."""
    ours = ours.detach().cpu().numpy()
    return np.abs(ours - theirs.reshape(ours.shape)).max() / np.abs(theirs).max()
