"""A trial paused inside an epoch ends, bit for bit, as one that nobody disturbed; a cancelled one says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from search_spaces.architecture import Architecture
from tests.trials.examples import trial, untimed
from trials import checkpoint, record, soundness, task, training
from trials.reference import AUGMENTATIONS
from trials.storage import Storage
from trials.task import TaskData

EVERYTHING = {
    "augmentation": AUGMENTATIONS,
    "moving_average": 0.9,
    "label_smoothing": 0.1,
    "precision": "bfloat16",
}


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return task.open_task("digits@rows=400,augment=crop+flip+cutout+noise")


def answers(**at: record.Verdict) -> Callable[[], record.Verdict]:
    """Answers "continue", but for the questions named, ``q3="pause"``: counted from 1."""
    count = 0

    def asked() -> record.Verdict:
        nonlocal count
        count += 1
        return at.get(f"q{count}", "continue")

    return asked


def same(one: record.TrialRecord | None, other: record.TrialRecord | None, *folders: Path) -> None:
    """Two trials learned the same and are charged the same, but for the clock."""
    assert one is not None and other is not None and one.status == other.status == "completed"
    assert untimed(one.curve) == untimed(other.curve)
    assert one.training_multiply_adds == other.training_multiply_adds
    assert one.training_executed == pytest.approx(other.training_executed)
    first, second = (load_file(folder / "weights.safetensors") for folder in folders)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def at(folder: Path) -> Storage:
    return Storage(str(folder))


STEPS = 5  # of an epoch: 320 rows; then 5 batches for the statistics of norms, and 1 + 1 of validation


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv", "ccnn"])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
def test_paused_at_any_step_it_ends_as_undisturbed(
    digits: TaskData, tmp_path: Path, space: str, options: dict[str, object]
) -> None:
    wanted = trial(digits, space, kind="finalist", epochs=3, seed=3, **options)
    if space == "ccnn":  # what alone draws from torch's own generator in a step
        settings = {**dict(wanted.architecture.settings), "dropout": 0.3, "width": 16}
        wanted = replace(wanted, architecture=Architecture.of("ccnn", **settings))
    whole = training.run_trial(wanted, digits, folder=at(tmp_path / "whole"))
    parts = tmp_path / "parts"
    pauses = (
        2,
        1,
        1,
        1 + 7 + 3,
        2,
    )  # questions until the next: thrice in the first epoch, twice in the second
    for questions in pauses:
        asked = answers(**{f"q{questions}": "pause"})
        assert training.run_trial(wanted, digits, folder=at(parts), asked=asked) is None
        torch.manual_seed(99)  # the state a process is in does not matter
    same(whole, training.run_trial(wanted, digits, folder=at(parts)), tmp_path / "whole", parts)


def test_paused_in_a_validation_it_validates_again_and_is_charged_once(
    digits: TaskData, tmp_path: Path
) -> None:
    wanted = trial(digits, kind="finalist", epochs=2, seed=1)
    whole = training.run_trial(wanted, digits, folder=at(tmp_path / "whole"))
    parts = tmp_path / "parts"
    asked = answers(q9="pause")  # amid the statistics of norms
    assert training.run_trial(wanted, digits, folder=at(parts), asked=asked) is None
    state = torch.load(parts / checkpoint.CHECKPOINT, weights_only=True)
    assert (state["learner"]["taken"], state["ledger"]["curve"]) == (STEPS, [])
    assert state["ledger"]["seconds_evaluation"] == 0 < state["ledger"]["seconds_training"]
    asked = answers(q7="pause")  # the last batch of the validation: no step is left to take
    assert training.run_trial(wanted, digits, folder=at(parts), asked=asked) is None
    same(whole, training.run_trial(wanted, digits, folder=at(parts)), tmp_path / "whole", parts)


def test_a_long_epoch_is_saved_inside_without_being_asked(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, kind="finalist", epochs=2, moving_average=0.5)
    steps = 0

    def killed() -> record.Verdict:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return "continue"

    for inside in (300.0, 0.0):  # seconds
        steps = 0
        with pytest.raises(KeyboardInterrupt):
            training.run_trial(wanted, digits, folder=at(tmp_path / "a"), asked=killed, inside_seconds=inside)
        assert (tmp_path / "a" / checkpoint.CHECKPOINT).is_file() == (inside == 0)
    told: list[int] = []

    def asked() -> record.Verdict:
        told.append(1)
        return "continue"

    resumed = training.run_trial(wanted, digits, folder=at(tmp_path / "a"), asked=asked)
    whole = training.run_trial(wanted, digits, folder=at(tmp_path / "b"))
    same(whole, resumed, tmp_path / "b", tmp_path / "a")
    assert len(told) == 2 * (STEPS + 7) - 3  # three steps were in the checkpoint


def test_time_between_attempts_and_for_answers_is_not_charged(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, epochs=1)

    def slowly(verdict: record.Verdict) -> record.Verdict:
        time.sleep(0.3)
        return verdict

    began = time.perf_counter()
    assert training.run_trial(wanted, digits, folder=at(tmp_path), asked=lambda: slowly("pause")) is None
    first = time.perf_counter() - began
    time.sleep(0.5)
    began = time.perf_counter()
    found = training.run_trial(wanted, digits, folder=at(tmp_path))
    second = time.perf_counter() - began
    assert found is not None and 0.3 <= found.seconds_waiting < first
    assert found.wall + found.seconds_waiting <= first + second
    assert found.finished - found.started > first + 0.5


def test_a_cancelled_trial_has_failed_and_keeps_what_it_spent(digits: TaskData) -> None:
    for kind in ("asked", "report"):
        found = training.run_trial(
            trial(digits, epochs=3),
            digits,
            asked=answers(q15="cancel" if kind == "asked" else "continue"),
            report=lambda _, kind=kind: "cancel" if kind == "report" else "continue",
        )
        assert found is not None and found.status == "failed" and len(found.curve) == 1
        assert found.reason == "cancelled: asked for by a user" and not found.out_of_memory
        assert found.training_multiply_adds > 0 and soundness.flaw(found) == ""


def test_who_may_be_paused_needs_a_folder(digits: TaskData) -> None:
    found = training.run_trial(trial(digits), digits, asked=answers(q3="pause"))
    assert found is not None and "without a folder cannot be paused" in found.reason.splitlines()[0]


@pytest.mark.parametrize("timed", [True, False])
def test_latency_is_measured_where_it_is_asked_for(digits: TaskData, timed: bool) -> None:
    found = training.run_trial(trial(digits, epochs=1, moving_average=0.5), digits, timed=timed)
    assert found is not None and soundness.flaw(found) == ""
    assert (found.latency_seconds is not None) == timed
    assert not timed or 0 < (found.latency_seconds or 0) < 1
    stopped = training.run_trial(trial(digits, epochs=2), digits, timed=True, report=lambda _: "stop")
    assert stopped is not None and stopped.status == "stopped" and stopped.latency_seconds is None


def test_a_checkpoint_of_before_it_could_be_inside_an_epoch_is_resumed(
    digits: TaskData, tmp_path: Path
) -> None:
    wanted = trial(digits, kind="finalist", epochs=2)
    parts = tmp_path / "parts"
    assert training.run_trial(wanted, digits, folder=at(parts), report=lambda _: "pause") is None
    state = torch.load(parts / checkpoint.CHECKPOINT, weights_only=True)
    for name in ("taken", "losses"):
        del state["learner"][name]
    for name in ("log", "latency_seconds"):
        del state["ledger"][name]
    torch.save(state, parts / checkpoint.CHECKPOINT)
    whole = training.run_trial(wanted, digits, folder=at(tmp_path / "whole"))
    same(whole, training.run_trial(wanted, digits, folder=at(parts)), tmp_path / "whole", parts)


def test_a_checkpoint_that_may_not_be_so_large_costs_its_work_and_no_more(
    digits: TaskData, tmp_path: Path
) -> None:
    wanted = trial(digits, kind="finalist", epochs=1)
    parts = tmp_path / "parts"
    asked = answers(q3="pause")
    with pytest.warns(UserWarning, match="no checkpoint"):
        found = training.run_trial(wanted, digits, folder=at(parts), asked=asked, checkpoint_bytes=1000)
    assert found is None and not parts.exists()
    whole = training.run_trial(wanted, digits, folder=at(tmp_path / "whole"))
    same(whole, training.run_trial(wanted, digits, folder=at(parts)), tmp_path / "whole", parts)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_an_accelerator_goes_on_inside_an_epoch(digits: TaskData, tmp_path: Path, space: str) -> None:
    wanted = trial(digits, space, epochs=2, **EVERYTHING)
    whole = training.run_trial(wanted, digits)
    for questions in (2, 2, 8):
        asked = answers(**{f"q{questions}": "pause"})
        assert training.run_trial(wanted, digits, folder=at(tmp_path), asked=asked) is None
    found = training.run_trial(wanted, digits, folder=at(tmp_path))
    assert whole is not None and found is not None and found.status == "completed", found
    assert found.training_multiply_adds == whole.training_multiply_adds
    losses = [[metrics.train_loss for metrics in each.curve] for each in (found, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
