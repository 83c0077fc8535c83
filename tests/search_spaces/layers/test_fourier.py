"""Lengths of transforms, and what a training step by FFT holds in memory."""

import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from search_spaces.layers.convolution import convolve
from search_spaces.layers.costs import fast_length, transform_lengths


class PeakMemory(TorchDispatchMode):
    """Most bytes of tensors alive at once; scratch inside an operation is not seen."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage)
                weakref.finalize(storage, self.release, storage.nbytes())
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
        return result

    def release(self, count):
        self.now -= count


def peak_of_a_training_step(x, kernel, backend, groups):
    with PeakMemory() as memory:
        leaves = torch.randn(x, requires_grad=True), torch.randn(kernel, requires_grad=True)
        convolve(*leaves, None, backend, groups=groups).square().mean().backward()
    return memory.peak


@pytest.mark.parametrize(
    ("x", "kernel", "groups"),
    [
        ((16, 32, 32, 32), (32, 32, 5, 5), 1),
        ((16, 32, 32, 32), (32, 1, 17, 17), 32),
        ((16, 32, 1024), (32, 32, 83), 1),
        ((16, 32, 1024), (32, 1, 83), 32),
        ((8, 16, 16, 16, 16), (16, 16, 7, 7, 7), 1),
        ((8, 16, 16, 16, 16), (16, 1, 7, 7, 7), 16),
    ],
)
def test_fft_takes_at_most_three_times_the_memory_and_1_3_times_in_pieces(x, kernel, groups):
    spatial, whole, pieces = (
        peak_of_a_training_step(x, kernel, backend, groups) for backend in ("spatial", "fft", "fft_chunked")
    )
    assert whole < 3 * spatial
    assert pieces < 1.3 * spatial


def test_transforms_are_no_longer_than_what_may_not_wrap_around():
    assert transform_lengths([32, 1024], [4, 1023]) == [36, 2048]
    assert transform_lengths([8], [100]) == [16]  # taps beyond the whole input are cut off


def test_fast_lengths_are_multiples_of_4_of_small_primes():
    assert [fast_length(n) for n in (1, 4, 34, 65, 1106, 1299)] == [4, 4, 36, 72, 1120, 1344]


@pytest.mark.parametrize("backend", ["fft", "fft_chunked"])
@pytest.mark.parametrize("groups", [1, 2])
def test_an_empty_batch_has_an_empty_output_and_no_gradient(backend, groups):
    x, kernel = torch.zeros(0, 2, 6, requires_grad=True), torch.ones(2, 2 // groups, 3, requires_grad=True)
    y = convolve(x, kernel, None, backend, groups=groups)
    assert y.shape == (0, 2, 6)
    y.sum().backward()
    assert torch.equal(kernel.grad, torch.zeros_like(kernel))
