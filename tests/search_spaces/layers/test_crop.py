"""The crop while training, and the kernel kept for evaluation."""

import copy
import io

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from search_spaces.layers.flexconv import REFRESH, FlexConv
from search_spaces.network import freeze

TRAINED = [{"size": (33,), "sigma": 0.2}, {"size": (9, 17)}, {"size": (40,), "causal": True}]


@pytest.mark.parametrize("settings", TRAINED)
def test_a_training_forward_is_the_evaluation_one_while_the_mask_stays_within_the_guard(settings):
    layer = FlexConv(2, 2, **settings)
    x = torch.randn(2, 2, *layer.size)
    before = layer.kernel_size
    for grow in (0.0, 0.007, -0.05):  # the taps are not looked at again
        with torch.no_grad():
            layer.mask.sigma += grow
        layer.train()
        in_training = layer(x)
        torch.testing.assert_close(in_training, layer.eval()(x), rtol=0, atol=1e-5)
    assert layer.kernel_size != before
    assert layer.get_extra_state()[0] == 3


@pytest.mark.parametrize("settings", TRAINED)
def test_taps_are_looked_at_in_the_first_forward_and_every_so_many_after(settings):
    layer = FlexConv(2, 2, **settings)
    x = torch.randn(1, 2, *layer.size)
    layer(x)
    start = layer.sampled_size
    with torch.no_grad():
        layer.mask.sigma.fill_(5.0)
    for _ in range(REFRESH - 1):
        layer(x)
        assert layer.sampled_size == start
    layer(x)
    assert layer.sampled_size == layer.size


@pytest.mark.parametrize("settings", TRAINED)
def test_nothing_is_read_back_in_the_steady_state(settings, monkeypatch):
    layer = FlexConv(2, 2, **settings)
    x = torch.randn(1, 2, *layer.size)
    layer(x)

    def read(*_):
        raise AssertionError("a tensor was read")

    for method in ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, method, read)
    for _ in range(REFRESH - 1):
        layer(x).sum().backward()
    with pytest.raises(AssertionError, match="a tensor was read"):
        layer(x)


@pytest.mark.parametrize("settings", TRAINED)
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(settings):
    def fresh():
        torch.manual_seed(0)
        return FlexConv(2, 2, **settings)

    whole, first, second = fresh(), fresh(), FlexConv(2, 2, **settings)
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 2, *[20] * len(whole.size), generator=generator) for _ in range(20)]

    def steps(layer, batches, state=None):
        optimiser = torch.optim.AdamW(layer.parameters(), lr=0.02)
        if state is not None:
            layer.load_state_dict(state[0])
            optimiser.load_state_dict(state[1])
        losses = []
        for x in batches:
            loss = (layer(x) - x.roll(3, -1)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses, copy.deepcopy((layer.state_dict(), optimiser.state_dict()))

    expected, end = steps(whole, batches)
    before, state = steps(first, batches[:11])  # between two looks at the mask
    after, again = steps(second, batches[11:], state)
    assert before + after == expected
    assert all(torch.equal(value, again[0][name]) for name, value in end[0].items())


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("settings", TRAINED)
def test_a_forward_repeated_for_its_backward_is_the_same_and_not_counted(settings, reentrant):
    def train(repeated):
        torch.manual_seed(0)
        layer = FlexConv(2, 2, **settings)
        optimiser = torch.optim.SGD(layer.parameters(), lr=1e-3)
        x = torch.randn(4, 2, *[20] * len(layer.size), requires_grad=True)
        for _ in range(REFRESH + 3):
            y = checkpoint(layer, x, use_reentrant=reentrant) if repeated else layer(x)
            optimiser.zero_grad()
            (y - x.roll(3, -1)).square().mean().backward()
            optimiser.step()
        return layer.state_dict()

    plain, repeated = train(False), train(True)
    assert all(value.isfinite().all() for value in plain.values())
    assert all(torch.equal(value, repeated[name]) for name, value in plain.items())


@pytest.mark.parametrize(("before", "after"), [(33, 9), (9, 33)])
@pytest.mark.parametrize("causal", [False, True])
def test_weights_trained_on_one_grid_train_on_another(before, after, causal):
    trained = FlexConv(2, 2, (before,), sigma=0.3, causal=causal)
    x = torch.randn(2, 2, 40)
    trained(x)
    other = FlexConv(2, 2, (after,), sigma=0.5, causal=causal)
    other(x)
    other.load_state_dict(trained.state_dict())
    in_training = other(x)
    in_training.sum().backward()
    torch.testing.assert_close(in_training, other.eval()(x), rtol=0, atol=1e-5)


class Counted(FlexConv):
    generated = 0

    def kernel(self):
        self.generated += 1
        return super().kernel()


def _another_type(layer):
    layer.double()


def _loaded(layer):
    layer.load_state_dict(FlexConv(2, 2, (9, 9)).state_dict())


def _stepped(optimiser, **settings):
    def change(layer):
        with torch.enable_grad():
            layer(torch.randn(1, 2, 9, 9)).sum().backward()
        getattr(torch.optim, optimiser)(layer.parameters(), lr=0.1, **settings).step()

    return change


def _looked_at_before_the_step(layer):
    x = torch.randn(1, 2, 9, 9)
    with torch.enable_grad():
        layer(x).sum().backward()
    layer(x)
    torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True).step()


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.mask.sigma.mul_(2.0),
        lambda layer: layer.gain.mul_(2.0),
        lambda layer: setattr(layer, "crop", (3, 3)),
        lambda layer: setattr(layer.generator.output, "bias", torch.nn.Parameter(torch.ones(4))),
        _another_type,
        _loaded,
        _stepped("SGD"),
        _stepped("AdamW", fused=True),
        _looked_at_before_the_step,
        _stepped("AdamW", foreach=True),
    ],
)
def test_in_evaluation_the_kernel_is_made_once_and_again_when_anything_changes(change):
    layer = Counted(2, 2, (9, 9)).eval()
    x = torch.randn(1, 2, 9, 9)
    with torch.no_grad():
        layer.generated = 0
        for _ in range(3):
            before = layer(x)
        assert layer.generated == 1
        change(layer)
        after = layer(x.to(layer.gain.dtype))
        exact = layer.freeze()(x.to(layer.gain.dtype))
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, exact)


def test_a_kernel_made_for_evaluation_stays_out_of_copies_gradients_and_exports():
    layer = FlexConv(2, 2, (9, 9)).eval()
    x = torch.randn(1, 2, 9, 9)
    with torch.inference_mode():
        layer(x)
    with torch.no_grad():
        layer(x)
        other = copy.deepcopy(layer)
        other.mask.sigma.mul_(2.0)
        torch.testing.assert_close(other(x), other.freeze()(x))
        torch.testing.assert_close(layer(x), layer.freeze()(x))
        file = io.BytesIO()
        torch.save(layer, file)
    layer(x).sum().backward()
    assert layer.mask.sigma.grad.any()
    program = torch.export.export(freeze(layer), (x,))
    torch.testing.assert_close(program.module()(x), layer(x))
    assert file.tell() < 60_000


@pytest.mark.parametrize(
    ("taps", "message"),
    [((11, 3), "at most the grid's"), ((3,), "at most the grid's"), ((4, 3), "odd"), ((0, 3), "positive")],
)
def test_a_crop_that_no_kernel_can_have_is_refused(taps, message):
    layer = FlexConv(1, 1, (9, 9))
    with pytest.raises(ValueError, match=message):
        layer.crop = taps
    assert layer.crop is None


@pytest.mark.parametrize("settings", [{"mask": None}, {}])
def test_nothing_is_kept_for_evaluation_while_training(settings):
    layer = FlexConv(2, 2, (9, 9), **settings)
    layer.crop = (5, 5)
    x = torch.randn(1, 2, 9, 9)
    with torch.no_grad():
        before = layer(x)
        layer.generator.output.bias.data += 1.0  # leaves no trace
        assert not torch.equal(layer(x), before)
