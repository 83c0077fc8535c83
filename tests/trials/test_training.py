"""One trial: it learns, repeats exactly, resumes exactly, and ends in one of three ways."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from search_spaces.architecture import Architecture
from search_spaces.complexity import complexity
from search_spaces.network import build, kernel_sizes, parameter_groups
from tests.trials.examples import trial, untimed
from trials import checkpoint, plain, record, task, training
from trials.evaluation import predict, score
from trials.learner import Learner
from trials.loading import Loader
from trials.storage import Storage
from trials.task import TaskData


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return task.open_task("digits@rows=400")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_a_small_network_learns_digits_in_three_epochs() -> None:
    of = task.open_task("digits")
    found = training.run_trial(trial(of, epochs=3), of)
    assert found is not None and found.status == "completed"
    assert found.error < of.majority_error - 0.5


def test_flexconv_learns_digits() -> None:
    of = task.open_task("digits")
    found = training.run_trial(trial(of, "flexconv", epochs=8), of)
    assert found is not None and found.error < of.majority_error - 0.5


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_same_seed_same_curve_and_weights(digits: TaskData, tmp_path: Path, space: str) -> None:
    wanted = trial(digits, space, kind="finalist", epochs=3, seed=5)
    one = training.run_trial(wanted, digits, folder=Storage(str(tmp_path / "a")))
    torch.rand(7)  # the state a process is in does not matter
    other = training.run_trial(wanted, digits, folder=Storage(str(tmp_path / "b")))
    assert one is not None and other is not None and len(one.curve) == 3
    assert untimed(one.curve) == untimed(other.curve)
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    different = training.run_trial(trial(digits, space, epochs=3, seed=6), digits)
    assert different is not None and untimed(different.curve) != untimed(one.curve)


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_a_paused_trial_ends_as_the_uninterrupted_one(digits: TaskData, tmp_path: Path, space: str) -> None:
    wanted = trial(digits, space, kind="finalist", epochs=5, seed=3, label_smoothing=0.1)
    whole = training.run_trial(wanted, digits, folder=Storage(str(tmp_path / "whole")))
    told: list[int] = []

    def pause(metrics: record.EpochMetrics) -> record.Verdict:
        told.append(metrics.epoch)
        return "pause" if told in ([1, 2], [1, 2, 1, 2, 3]) else "continue"

    parts = tmp_path / "parts"
    assert training.run_trial(wanted, digits, folder=Storage(str(parts)), report=pause) is None
    assert training.run_trial(wanted, digits, folder=Storage(str(parts)), report=pause) is None
    resumed = training.run_trial(wanted, digits, folder=Storage(str(parts)), report=pause)
    assert whole is not None and resumed is not None and resumed.status == "completed"
    assert told == [1, 2, *[1, 2, 3], *[1, 2, 3, 4, 5]]  # told again, not trained again
    assert untimed(resumed.curve) == untimed(whole.curve)
    assert resumed.training_multiply_adds == whole.training_multiply_adds
    assert_equal(weights(parts), weights(tmp_path / "whole"))
    seconds = [each.seconds_training for each in resumed.curve]
    assert seconds == sorted(seconds) and resumed.seconds_training == seconds[-1]


def test_a_killed_trial_resumes_from_its_last_checkpoint(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, kind="finalist", epochs=4)

    def interrupt(metrics: record.EpochMetrics) -> record.Verdict:
        if metrics.epoch == 3:
            raise KeyboardInterrupt
        return "continue"

    with pytest.raises(KeyboardInterrupt):
        training.run_trial(
            wanted, digits, report=interrupt, folder=Storage(str(tmp_path / "a")), checkpoint_seconds=0
        )
    told: list[int] = []

    def note(metrics: record.EpochMetrics) -> record.Verdict:
        told.append(metrics.epoch)
        return "continue"

    resumed = training.run_trial(wanted, digits, report=note, folder=Storage(str(tmp_path / "a")))
    whole = training.run_trial(wanted, digits, folder=Storage(str(tmp_path / "b")))
    assert told == [1, 2, 3, 4] and resumed is not None and whole is not None
    assert untimed(resumed.curve) == untimed(whole.curve)
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not list((tmp_path / "a").glob(".*"))


@pytest.mark.parametrize("content", [b"", b"PK no checkpoint", None])
def test_a_damaged_checkpoint_is_ignored_with_a_warning(
    digits: TaskData, tmp_path: Path, content: bytes | None
) -> None:
    wanted = trial(digits, epochs=2)
    assert training.run_trial(wanted, digits, folder=Storage(str(tmp_path)), report=lambda _: "pause") is None
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-2000] if content is None else content)
    with pytest.warns(UserWarning, match="damaged.*starts anew"):
        found = training.run_trial(wanted, digits, folder=Storage(str(tmp_path)))
    assert found is not None and found.status == "completed" and len(found.curve) == 2


def test_a_checkpoint_of_another_trial_is_ignored_with_a_warning(digits: TaskData, tmp_path: Path) -> None:
    assert (
        training.run_trial(
            trial(digits, epochs=2), digits, folder=Storage(str(tmp_path)), report=lambda _: "pause"
        )
        is None
    )
    with pytest.warns(UserWarning, match="another trial"):
        found = training.run_trial(trial(digits, epochs=2, seed=1), digits, folder=Storage(str(tmp_path)))
    assert found is not None and len(found.curve) == 2


def test_a_stopped_trial_says_so_and_keeps_no_weights(digits: TaskData, tmp_path: Path) -> None:
    def stop_at_two(metrics: record.EpochMetrics) -> record.Verdict:
        return "stop" if metrics.epoch == 2 else "continue"

    found = training.run_trial(
        trial(digits, epochs=5), digits, report=stop_at_two, folder=Storage(str(tmp_path))
    )
    assert found is not None and found.status == "stopped" and len(found.curve) == 2
    assert not list(tmp_path.iterdir())


def test_stopping_after_the_last_epoch_is_completing(digits: TaskData) -> None:
    found = training.run_trial(trial(digits, epochs=1), digits, report=lambda _: "stop")
    assert found is not None and found.status == "completed"


@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_a_loss_that_is_not_finite_fails_the_trial(digits: TaskData, space: str) -> None:
    found = training.run_trial(trial(digits, space, learning_rate=1e30), digits)
    assert found is not None and found.status == "failed" and math.isinf(found.error)
    assert "loss must be finite" in found.reason.splitlines()[0]
    assert found.training_multiply_adds > 0 and found.seconds > 0  # a failure has its cost
    assert plain.from_plain(record.TrialRecord, plain.to_plain(found)) == found


def test_an_exception_fails_the_trial_with_its_reason(digits: TaskData) -> None:
    def burst(metrics: record.EpochMetrics) -> record.Verdict:
        if metrics.epoch == 2:
            raise OSError("the disk is full")
        return "continue"

    found = training.run_trial(trial(digits, epochs=3), digits, report=burst)
    assert found is not None and found.status == "failed" and len(found.curve) == 2
    assert found.reason.splitlines()[0] == "OSError: the disk is full" and "Traceback" in found.reason


def test_a_design_nobody_can_build_fails_the_trial(digits: TaskData) -> None:
    broken = replace(trial(digits), architecture=Architecture.of("no_family"))
    found = training.run_trial(broken, digits)
    assert found is not None and found.status == "failed" and "no_family" in found.reason.splitlines()[0]


def test_masks_learn_at_their_own_rate(digits: TaskData, tmp_path: Path) -> None:
    def finalist(factor: float) -> record.Trial:
        return trial(digits, "flexconv", kind="finalist", epochs=1, mask_factor=factor)

    torch.manual_seed(0)  # the trial's seed: the network it starts from
    model = build(finalist(0).architecture, digits.shape)
    masks = {id(parameter) for parameter in parameter_groups(model)["masks"]}
    start = {name: value.detach() for name, value in model.named_parameters() if id(value) in masks}
    assert start
    moved = {}
    for factor in (0.0, 0.1, 1.0):
        training.run_trial(finalist(factor), digits, folder=Storage(str(tmp_path / str(factor))))
        end = weights(tmp_path / str(factor))
        moved[factor] = sum(float((end[name] - value).abs().sum()) for name, value in start.items())
    assert moved[0.0] == 0
    assert 0 < moved[0.1] < 0.3 * moved[1.0]

    own = {**dict(finalist(0).architecture.settings), "mask_factor": 1.0}
    designed = replace(finalist(0.1), architecture=Architecture.of("flexnet", **own))
    training.run_trial(designed, digits, folder=Storage(str(tmp_path / "own")))
    first, second = weights(tmp_path / "own"), weights(tmp_path / "1.0")
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_weights_of_a_finalist_give_the_recorded_errors(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, kind="finalist", epochs=2)
    found = training.run_trial(wanted, digits, folder=Storage(str(tmp_path)))
    model = build(wanted.architecture, digits.shape)
    model.load_state_dict(weights(tmp_path))
    assert found is not None
    select, shown = (Loader(rows, digits, torch.device("cpu")) for rows in (digits.select, digits.report))
    assert score(model, select) == (found.select_error, found.curve[-1].select_loss)
    assert score(model, shown).error == found.report_error
    probabilities = predict(model, select)
    assert probabilities.dtype == np.float32 and probabilities.shape == (len(digits.select), 10)
    assert np.mean(probabilities.argmax(axis=1) != digits.select.labels) == found.select_error
    answers = probabilities[np.arange(len(digits.select)), digits.select.labels]
    assert -np.log(answers).mean() == pytest.approx(found.curve[-1].select_loss, rel=1e-5)


def test_the_record_says_what_was_done_and_where(digits: TaskData) -> None:
    found = training.run_trial(trial(digits, "flexconv", epochs=2), digits)
    assert found is not None
    assert (found.rows_train, found.rows_select, found.rows_report) == (320, 40, 40)
    assert found.classes == 10 and found.majority_error == digits.majority_error
    assert len(found.kernel_sizes) == 5 and found.parameters > 1000
    forwards = 3 * 320 + 80
    assert found.training_multiply_adds >= found.multiply_adds * forwards
    assert found.peak_memory_bytes > 50e6 and found.device and found.host
    assert found.software.startswith("python 3.") and "torch" in found.software
    assert found.finished >= found.started
    assert 0 < found.seconds <= found.finished - found.started + 0.1
    assert min(found.seconds_setup, found.seconds_data, found.seconds_training, found.seconds_evaluation) > 0
    assert found.seconds_data < found.seconds_training
    assert plain.from_plain(record.TrialRecord, plain.to_plain(found)) == found


def test_kernels_are_charged_once_for_all_batches_of_a_validation(digits: TaskData) -> None:
    wanted = trial(digits, "flexconv", epochs=1)
    found = training.run_trial(wanted, digits)
    network = Learner(wanted, digits.shape, torch.device("cpu"), 320).model
    step, after = (
        complexity(wanted.architecture, digits.shape, kernel_sizes=sizes)
        for sizes in (kernel_sizes(network, sampled=True), found.kernel_sizes if found else ())
    )
    assert found is not None and found.multiply_adds == after.multiply_adds and after.generation > 0
    rows = 5 * 64 + 40 + 40  # statistics of norms, two halves
    assert found.training_multiply_adds == (
        3 * 5 * (64 * step.multiply_adds + step.generation) + rows * after.multiply_adds + after.generation
    )


def test_peaks_and_costs_are_those_of_all_attempts(digits: TaskData, tmp_path: Path) -> None:
    wanted = trial(digits, epochs=2)
    assert training.run_trial(wanted, digits, folder=Storage(str(tmp_path)), report=lambda _: "pause") is None
    state = torch.load(tmp_path / checkpoint.CHECKPOINT, weights_only=True)
    assert state["ledger"]["peak_memory_bytes"] > 50e6
    state["ledger"] |= {"peak_memory_bytes": 10**15, "peak_device_bytes": 10**16}
    torch.save(state, tmp_path / checkpoint.CHECKPOINT)
    found = training.run_trial(wanted, digits, folder=Storage(str(tmp_path)))
    assert found is not None and (found.peak_memory_bytes, found.peak_device_bytes) == (10**15, 10**16)


def test_waiting_for_an_answer_is_no_cost_of_the_trial(digits: TaskData, tmp_path: Path) -> None:
    def slow(metrics: record.EpochMetrics) -> record.Verdict:
        time.sleep(0.2)
        told.append(metrics.epoch)
        return "pause" if told == [1] else "continue"

    told: list[int] = []
    wanted = trial(digits, epochs=2)
    assert training.run_trial(wanted, digits, report=slow, folder=Storage(str(tmp_path))) is None
    found = training.run_trial(wanted, digits, report=slow, folder=Storage(str(tmp_path)), device_share=0.5)
    assert found is not None and 0.6 <= found.seconds_waiting < 1  # the first epoch was told twice
    parts = found.seconds_setup, found.seconds_data, found.seconds_training, found.seconds_evaluation
    assert found.wall == pytest.approx(sum(parts)) and found.seconds == 0.5 * found.wall
    assert found.wall + found.seconds_waiting <= found.finished - found.started
