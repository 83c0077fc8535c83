"""What steps a network: groups of parameters, the moving average, precision, statistics of norms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.layers.flexconv import FlexConv
from search_spaces.network import build, kernel_sizes, parameter_groups
from tests.trials.examples import trial, untimed
from trials import record, training
from trials.evaluation import score
from trials.learner import Learner, settle_norms
from trials.loading import Batch, Loader
from trials.recipe import Recipe, learning_rate
from trials.reference import AUGMENTATIONS
from trials.storage import Storage
from trials.task import TaskData, open_task

CPU = torch.device("cpu")
EVERYTHING = {
    "augmentation": ("crop", "flip", "cutout", "noise"),
    "moving_average": 0.8,
    "precision": "bfloat16",
    "label_smoothing": 0.1,
}


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return open_task("digits@rows=400,augment=crop+flip+cutout+noise")


def learner(of: TaskData, space: str = "twin_3x3", **recipe: object) -> Learner:
    return Learner(trial(of, space, **recipe), of.shape, CPU, len(of.train))


def batches(of: TaskData, count: int) -> list[Batch]:
    return list(Loader(of.train, of, CPU).batches(torch.arange(64 * count), 64))


def values(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def test_learning_rate_rises_then_falls_to_zero() -> None:
    standard = Recipe(learning_rate=0.02, warmup=0.1)
    rates = [learning_rate(standard, step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.002 * (i + 1) for i in range(10)])
    assert rates[10] == 0.02 and rates[55] == pytest.approx(0.01) and rates[100] == pytest.approx(0)
    assert learning_rate(Recipe(warmup=0), 0, 10) == Recipe().learning_rate


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_only_weights_are_decayed(digits: TaskData, space: str) -> None:
    """Where the loss has no gradient, decay alone moves parameters."""
    ours = learner(digits, space, weight_decay=0.5, warmup=0.0, learning_rate=0.1, label_smoothing=0.0)
    groups = parameter_groups(ours.model)
    kinds = {id(parameter): kind for kind, group in groups.items() for parameter in group}
    named = {name: kinds[id(parameter)] for name, parameter in ours.model.named_parameters()}
    assert set(named.values()) == (
        {"weights", "undecayed", "masks"} if space == "flexconv" else {"weights", "undecayed"}
    )
    for module in ours.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert {kinds[id(module.weight)], kinds[id(module.bias)]} == {"undecayed"}
    before = values(ours.model)
    inputs, labels = batches(digits, 1)[0]
    ours.model.register_forward_hook(lambda module, arguments, logits: 0 * logits)
    ours.step(inputs, labels)
    for name, value in ours.model.named_parameters():
        expected = before[name] * (1 - 0.1 * 0.5) if named[name] == "weights" else before[name]
        assert torch.allclose(value, expected, rtol=1e-6, atol=0), name


def test_the_moving_average_is_the_one_computed_by_hand(digits: TaskData) -> None:
    ours = learner(digits, "flexconv", moving_average=0.7)
    ours.model.train()
    expected: dict[str, Tensor] = {}
    for inputs, labels in batches(digits, 4):
        ours.step(inputs, labels)
        now = values(ours.model)
        expected = {name: 0.7 * expected.get(name, value) + 0.3 * value for name, value in now.items()}
    for name, value in ours.result.named_parameters():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-6), name
    assert any(not torch.equal(value, now[name]) for name, value in ours.result.named_parameters())


def test_without_a_moving_average_the_weights_are_the_result(digits: TaskData) -> None:
    ours = learner(digits)
    assert ours.result is ours.model


def test_an_average_is_validated_with_its_own_kernels(digits: TaskData) -> None:
    """Kernels generated once for evaluation are made anew after each step."""
    ours = learner(digits, "flexconv", moving_average=0.5, learning_rate=0.1, warmup=0.0)
    rows = Loader(digits.select, digits, CPU)
    for inputs, labels in batches(digits, 3):
        ours.model.train()
        ours.step(inputs, labels)
        found = score(ours.result, rows)
        anew = build(trial(digits, "flexconv").architecture, digits.shape)
        anew.load_state_dict(ours.result.state_dict())
        assert score(anew, rows) == found


def test_finalists_keep_the_average(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, "flexconv", kind="finalist", epochs=2, moving_average=0.5)
    found = training.run_trial(wanted, digits, folder=Storage(str(tmp_path)))
    model = build(wanted.architecture, digits.shape)
    model.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert found is not None and found.kernel_sizes == kernel_sizes(model)
    assert score(model, Loader(digits.select, digits, CPU)) == (
        found.select_error,
        found.curve[-1].select_loss,
    )
    other = training.run_trial(trial(digits, "flexconv", epochs=2), digits)
    assert other is not None and other.curve[-1].train_loss == found.curve[-1].train_loss
    assert other.curve[-1].select_loss != found.curve[-1].select_loss


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_half_precision_is_near_and_kernels_stay_whole(digits: TaskData, space: str) -> None:
    whole, half = (learner(digits, space, precision=each) for each in ("float32", "bfloat16"))
    kinds: set[torch.dtype] = set()
    heads: set[torch.dtype] = set()
    for module in half.model.modules():
        if isinstance(module, FlexConv):
            module.generator.register_forward_hook(lambda module, arguments, out: kinds.add(out.dtype))
        elif isinstance(module, nn.Linear) and module is half.model.get_submodule("head"):
            module.register_forward_hook(lambda module, arguments, out: heads.add(out.dtype))
    losses = []
    for one in (whole, half):
        one.model.train()
        losses.append([float(one.step(*batch)) for batch in batches(digits, 4)])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert heads == {torch.bfloat16}
    assert kinds == ({torch.float32} if space == "flexconv" else set())
    assert all(value.dtype == torch.float32 for value in half.model.parameters())


def test_no_two_seeds_and_purposes_share_a_stream(digits: TaskData) -> None:
    learners = [Learner(trial(digits, seed=seed), digits.shape, CPU, 64) for seed in range(4)]
    streams = [each for one in learners for each in (one.shuffling, one.augmenting)]
    assert len({tuple(torch.rand(4, generator=each).tolist()) for each in streams}) == 8


def test_settled_norms_have_the_statistics_of_the_batches(digits: TaskData) -> None:
    ours = learner(digits, "flexconv")
    ours.model.train()
    some = batches(digits, 4)
    for batch in some:
        ours.step(*batch)
    before, state = values(ours.model), ours.model.state_dict()
    counted = {name: value for name, value in state.items() if name.endswith("_extra_state")}
    norm = next(module for module in ours.model.modules() if isinstance(module, nn.BatchNorm2d))
    seen: list[Tensor] = []
    with norm.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0])):
        assert settle_norms(ours.model, some) == 4 * 64
    assert not any(module.training for module in ours.model.modules())
    assert norm.momentum == 0.1 and norm.running_mean is not None and norm.running_var is not None
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variances = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    assert torch.allclose(norm.running_mean, means, atol=1e-5)
    assert torch.allclose(norm.running_var, variances, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in ours.model.named_parameters())
    after = ours.model.state_dict()
    assert counted and all(torch.equal(after[name], value) for name, value in counted.items())


def test_a_network_without_batch_norms_has_nothing_to_settle(digits: TaskData) -> None:
    assert settle_norms(nn.Linear(3, 2), [(torch.zeros(4, 3), torch.zeros(4))]) == 0


def test_early_validation_is_not_left_behind_by_the_weights() -> None:
    """With running averages this trial's error is above 0.7 after 3 epochs (docs/decisions/0005)."""
    of = open_task("digits")
    found = training.run_trial(
        trial(of, "flexconv", epochs=20), of, report=lambda m: "stop" if m.epoch == 3 else "continue"
    )
    assert found is not None and found.error < 0.3


IMAGES = "digits@rows=200,augment=crop+flip+cutout+noise"
SERIES = "tests.trials.examples:ringing"
"""Of variable length."""


@pytest.mark.parametrize(
    ("source", "space"),
    [(IMAGES, "twin_3x3"), (IMAGES, "flexconv"), (IMAGES, "ccnn"), (SERIES, "flexconv"), (SERIES, "ccnn")],
)
def test_with_every_option_a_resumed_trial_ends_as_the_uninterrupted_one(
    tmp_path: Path, source: str, space: str
) -> None:
    of = open_task(source)
    options = {**EVERYTHING, "augmentation": AUGMENTATIONS}
    wanted = trial(of, space, kind="finalist", epochs=4, seed=3, **options)
    if space == "ccnn":  # what alone draws from torch's own generator in a step
        settings = {**dict(wanted.architecture.settings), "dropout": 0.3, "width": 16}
        wanted = replace(wanted, architecture=Architecture.of("ccnn", **settings))
    told: list[int] = []

    def pause(metrics: record.EpochMetrics) -> record.Verdict:
        told.append(metrics.epoch)
        return "pause" if told in ([1], [1, 1, 2, 3]) else "continue"

    assert training.run_trial(wanted, of, folder=Storage(str(tmp_path / "parts")), report=pause) is None
    assert training.run_trial(wanted, of, folder=Storage(str(tmp_path / "parts")), report=pause) is None
    torch.manual_seed(99)  # the state a process is in does not matter
    resumed = training.run_trial(wanted, of, folder=Storage(str(tmp_path / "parts")), report=pause)
    whole = training.run_trial(wanted, of, folder=Storage(str(tmp_path / "whole")))
    assert told == [1, 1, 2, 3, 1, 2, 3, 4]
    assert whole is not None and resumed is not None and resumed.status == "completed"
    assert untimed(resumed.curve) == untimed(whole.curve)
    assert resumed.training_multiply_adds == whole.training_multiply_adds
    assert resumed.augmentation == (("shift", "noise") if of.shape.variable else EVERYTHING["augmentation"])
    parts, all_of_it = (load_file(tmp_path / name / "weights.safetensors") for name in ("parts", "whole"))
    assert parts.keys() == all_of_it.keys()
    assert all(torch.equal(parts[name], all_of_it[name]) for name in parts)


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv", "tcn_standard"])
def test_series_of_variable_length_learn_with_every_option(space: str) -> None:
    of = open_task(SERIES)
    assert of.shape.variable
    wanted = trial(of, space, epochs=6, **{**EVERYTHING, "augmentation": ("shift", "noise")})
    found = training.run_trial(wanted, of)
    assert found is not None and found.status == "completed", found
    assert found.augmentation == ("shift", "noise") and found.error < of.majority_error - 0.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"moving_average": 1.0},
        {"precision": "float16"},
        {"norm_batches": 0},
        {"label_smoothing": 1.0},
        {"gradient_clip": 0.0},
    ],
)
def test_a_recipe_refuses_numbers_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(Recipe(), **wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_an_accelerator_learns_digits(space: str, options: dict[str, object]) -> None:
    of = open_task("digits@augment=crop+noise")
    found = training.run_trial(trial(of, space, epochs=8, **options), of)
    assert found is not None and found.status == "completed", found
    assert found.error < of.majority_error - 0.5 and found.peak_device_bytes
