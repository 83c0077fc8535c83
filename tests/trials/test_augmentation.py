"""Each augmentation does what it says, to each row on its own, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.trials.examples import trial, untimed
from trials import augmentation, recipe, training
from trials.augmentation import BY_NAME, applied, augmented, crop, cutout, flip, noise, shift
from trials.reference import AUGMENTATIONS
from trials.task import TaskData, open_task

ROWS = 64
SHAPES = {1: (ROWS, 2, 40), 2: (ROWS, 2, 16, 24), 3: (ROWS, 1, 8, 8, 16)}
EACH = [(name, axes) for axes, names in augmentation.FITTING.items() for name in sorted(names)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(axes: int) -> Tensor:
    """All values differ and none is 0."""
    shape = SHAPES[axes]
    return torch.randperm(torch.Size(shape).numel(), generator=generator()).float().view(shape) + 1


def variable() -> tuple[Tensor, Tensor]:
    """Series and their lengths, 9 to 40 samples."""
    x, lengths = inputs(1), torch.arange(ROWS) % 32 + 9
    return x.masked_fill(torch.arange(40) >= lengths[:, None, None], torch.nan), lengths


@pytest.mark.parametrize(("name", "axes"), EACH)
def test_rows_keep_their_shape_and_differ_in_what_is_drawn(name: str, axes: int) -> None:
    x = inputs(axes)
    before = x.clone()
    same_row = x[:1].expand_as(x).contiguous()
    y = BY_NAME[name](same_row, generator())
    assert y.shape == x.shape and y.dtype == x.dtype and torch.isfinite(y).all()
    assert len({tuple(row.flatten().tolist()) for row in y}) > 1
    assert torch.equal(BY_NAME[name](same_row, generator()), y)
    assert not torch.equal(BY_NAME[name](same_row, generator(1)), y)
    BY_NAME[name](x, generator())
    assert torch.equal(x, before)


@pytest.mark.parametrize("axes", [2, 3])
def test_crop_moves_by_an_eighth_at_most_and_fills_with_the_mean(axes: int) -> None:
    x = inputs(axes)
    found = set()
    for before, after in zip(x, crop(x, generator())):
        kept = after != 0
        assert torch.isin(after[kept], before).all()
        value = after[kept][0]  # one value tells how far its row moved
        there, here = (torch.nonzero(each == value)[0] for each in (before, after))
        moved = (there - here)[1:].tolist()
        assert all(abs(m) <= n // 8 for m, n in zip(moved, x.shape[2:]))
        rolled = torch.roll(before, [-m for m in moved], dims=list(range(1, 1 + axes)))
        assert torch.equal(after[kept], rolled[kept])
        lost = 1.0
        for m, n in zip(moved, x.shape[2:]):
            lost *= 1 - abs(m) / n
        assert kept.float().mean() == pytest.approx(lost)
        found.add(tuple(moved))
    assert len(found) > 10


def test_crop_leaves_axes_of_fewer_than_8_samples_as_they_are() -> None:
    x = torch.arange(1.0, 1 + ROWS * 1 * 7 * 16).view(ROWS, 1, 1, 7, 16)
    y = crop(x, generator())
    kept = (y != 0).all((1, 2, 3))  # (rows, 16): whole planes, or nothing
    assert torch.equal(kept, (y != 0).any((1, 2, 3))) and set(kept.sum(1).tolist()) == {14, 15, 16}
    thin = torch.ones(ROWS, 1, 1, 1, 1)
    assert torch.equal(crop(thin, generator()), thin)


@pytest.mark.parametrize("axes", [2, 3])
def test_flip_mirrors_the_last_axis_of_half_of_the_rows_and_is_its_own_inverse(axes: int) -> None:
    x = inputs(axes)
    y = flip(x, generator())
    mirrored = [torch.equal(after, before.flip(-1)) for before, after in zip(x, y)]
    assert all(turned or torch.equal(a, b) for turned, a, b in zip(mirrored, x, y))
    assert 16 < sum(mirrored) < 48
    assert torch.equal(flip(y, generator()), x)


@pytest.mark.parametrize("axes", [2, 3])
def test_cutout_sets_one_box_of_a_quarter_of_each_axis_to_the_mean(axes: int) -> None:
    x = inputs(axes)
    y = cutout(x, generator())
    assert torch.equal(y[y != 0], x[y != 0])
    for row in y:
        for channel in row:
            box = torch.nonzero(channel == 0)
            sides = (box.max(0).values - box.min(0).values + 1).tolist()
            assert sides == [n // 4 for n in x.shape[2:]]
            assert len(box) == torch.tensor(sides).prod()


def test_shift_moves_series_by_an_eighth_of_their_own_length_and_keeps_their_ends() -> None:
    x, lengths = variable()
    y = shift(x, generator())
    assert torch.equal(y.isnan(), x.isnan())
    moves = []
    for before, after, length in zip(x, y, lengths.tolist()):
        before, after = before[:, :length], after[:, :length]
        most = length // 8
        (moved,) = (
            m
            for m in range(-most, most + 1)
            if torch.equal(
                after[:, max(m, 0) : length + min(m, 0)], before[:, max(-m, 0) : length - max(m, 0)]
            )
        )
        assert (after == 0).sum() == 2 * abs(moved)
        moves.append(moved)
    assert max(moves) > 2 and min(moves) < -2


def test_shift_is_as_likely_to_any_place() -> None:
    x = torch.ones(4000, 1, 16)
    lost = (shift(x, generator()) == 0).sum((1, 2)).bincount() / len(x)
    assert lost.tolist() == pytest.approx([0.2, 0.4, 0.4], abs=0.03)


def test_noise_has_a_twentieth_of_the_std_and_keeps_ends() -> None:
    x, _ = variable()
    y = noise(x, generator())
    assert torch.equal(y.isnan(), x.isnan())
    added = (y - x)[~x.isnan()]
    assert float(added.std()) == pytest.approx(0.05, rel=0.1) and abs(float(added.mean())) < 0.01


def test_a_trial_applies_what_recipe_and_task_both_name_and_the_inputs_can_take() -> None:
    assert applied(AUGMENTATIONS, ("noise", "flip", "crop"), 2) == ("crop", "flip", "noise")
    assert applied(AUGMENTATIONS, AUGMENTATIONS, 1) == ("shift", "noise")
    assert applied((), AUGMENTATIONS, 3) == ()
    assert applied(("flip",), ("crop",), 2) == ()


def test_labels_stay_and_names_go_in_order() -> None:
    x, labels = inputs(2), torch.arange(ROWS)
    ((found, same),) = augmented([(x, labels)], ("crop", "noise"), generator())
    ours = generator()
    assert torch.equal(found, noise(crop(x, ours), ours)) and same is labels


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"some of crop, flip, cutout, shift, noise, got mixup"):
        recipe.Recipe(augmentation=("crop", "mixup"))
    assert recipe.RECIPES["augmented"].augmentation == AUGMENTATIONS
    assert replace(recipe.AUGMENTED, name="standard", augmentation=()) == recipe.STANDARD


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits@rows=400,augment=crop+noise")


def test_training_rows_alone_are_augmented_and_the_record_says_how(digits: TaskData) -> None:
    plain, changed = (trial(digits, epochs=2, augmentation=names) for names in ((), AUGMENTATIONS))
    one, other = (training.run_trial(each, digits) for each in (plain, changed))
    assert one is not None and other is not None
    assert (one.augmentation, other.augmentation) == ((), ("crop", "noise"))
    assert untimed(one.curve) != untimed(other.curve)
    # with no steps worth the name, only validation rows matter
    still = [
        training.run_trial(replace(each, recipe=replace(each.recipe, learning_rate=1e-30, epochs=1)), digits)
        for each in (plain, changed)
    ]
    first, second = (found.curve[0] for found in still if found is not None)
    assert first.train_loss != second.train_loss
    assert (first.select_loss, first.report_loss) == (second.select_loss, second.report_loss)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize(("name", "axes"), EACH)
def test_an_accelerator_draws_the_same(name: str, axes: int) -> None:
    x = inputs(axes)
    ours = BY_NAME[name](x.cuda(), generator())
    assert torch.equal(ours.cpu(), BY_NAME[name](x, generator()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize(("name", "axes"), EACH)
def test_nothing_waits_for_an_accelerator(name: str, axes: int) -> None:
    x = inputs(axes).cuda()
    BY_NAME[name](x, generator())
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        BY_NAME[name](x, generator())
    finally:
        torch.cuda.set_sync_debug_mode(mode)
