"""Control tasks are what their docstrings say; training on them is slow and ends as they were built."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from search_spaces import SPACES, build
from trials import controls, recipe, record, task, training
from trials.dataset import ArrayPart, Dataset
from trials.finding import CONTROLS

TEMPLATES = {
    "order_sequence": controls.EVENTS_1D,
    "order_sequence_near": controls.EVENTS_1D,
    "order_image": controls.EVENTS_2D,
    "pattern_sequence": controls.PATTERNS_1D,
    "pattern_image": controls.PATTERNS_2D,
}


def parts(dataset: Dataset) -> list[ArrayPart]:
    found = [dataset.train, dataset.validation, dataset.test]
    return [part for part in found if isinstance(part, ArrayPart)]


@pytest.mark.parametrize("name", CONTROLS)
def test_sizes_balance_and_disjoint_rows(name: str) -> None:
    found = parts(task.TASKS[name]())
    assert [part.size for part in found] == [2000, 500, 500]
    for part in found:
        assert np.bincount(part.labels()).tolist() == [part.size // 2] * 2
    rows = np.concatenate([part.all_inputs.reshape(part.size, -1) for part in found])
    assert len(np.unique(rows, axis=0)) == 3000
    opened = task.open_task(name)
    assert (opened.seen_in_test, opened.seen_in_validation, opened.augmentations) == (0, 0, ())


@pytest.mark.parametrize("name", CONTROLS)
def test_partners_are_in_one_half_of_validation(name: str) -> None:
    """Else a design without reach that is lucky on one half is unlucky on the other by as much."""
    opened = task.open_task(name)
    for half in (opened.select, opened.report):
        assert len(half) == 250 and np.bincount(half.labels).tolist() == [125, 125]
        np.testing.assert_array_equal(half.index[0::2] + 1, half.index[1::2])


@pytest.mark.parametrize("name", CONTROLS)
def test_the_same_every_time(name: str) -> None:
    draw = inspect.unwrap(task.TASKS[name])  # not the one in memory
    for one, other in zip(parts(draw()), parts(draw())):
        np.testing.assert_array_equal(one.all_inputs, other.all_inputs)


def matches(inputs: NDArray[np.float32], template: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of the one channel with a template at every place: (rows, *places)."""
    axes = tuple(range(1, template.ndim + 1))
    windows = sliding_window_view(inputs[:, 0], template.shape, axis=axes)
    return np.tensordot(windows, template, axes=template.ndim)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_matched_filter_reads_the_label(name: str) -> None:
    for part in parts(task.TASKS[name]()):
        found = [matches(part.all_inputs, template) for template in TEMPLATES[name]]
        if name.startswith("order"):
            # columns of the best match of either event
            first, second = (
                np.unravel_index(f.reshape(part.size, -1).argmax(1), f.shape[1:])[-1] for f in found
            )
            answers = second < first
            distance = {"order_sequence": 48, "order_sequence_near": 32, "order_image": 16}[name]
            assert np.mean(np.abs(first - second) == distance) > 0.98
        else:
            answers = np.subtract(*(f.reshape(part.size, -1).max(1) for f in found)) < 0
        assert np.mean(answers != part.labels()) < 0.01


def test_the_marked_values_read_the_label_of_adding() -> None:
    for part in parts(controls.adding()):
        values, marks = part.all_inputs[:, 0], part.all_inputs[:, 1]
        assert (
            (marks.sum(1) == 2).all()
            and (marks[:, :32].sum(1) == 1).all()
            and set(np.unique(marks)) == {0, 1}
        )
        assert values.min() >= 0 and values.max() <= 1
        np.testing.assert_array_equal((values * marks).sum(1) > 1, part.labels() == 1)
        # a receptive field of 1 and an average over positions are enough
        pooled = 64 * np.maximum(values + marks - 1, 0).mean(1)
        assert np.mean((pooled > 1) != part.labels()) < 0.005
        # the mean of all values says a little: 0.44, +- 4 standard deviations of 250 independent pairs
        assert abs(np.mean((values.mean(1) > 0.5) != part.labels()) - 0.444) < 4 * 0.5 / np.sqrt(250)


def gap_between_partners(name: str, space: str, kernel: int | None = None) -> float:
    """Largest difference between an untrained network's answers to two partners, over the answers' spread."""
    opened = task.open_task(name)
    drawn = SPACES[space](opened.shape)
    values = {c.name: c.options[0] if kernel is None else kernel for c in drawn.choices}
    torch.manual_seed(0)
    network = build(drawn.decode(values), opened.shape)
    inputs = torch.from_numpy(parts(task.TASKS[name]())[1].all_inputs[:100])
    network.train()
    with torch.no_grad():
        network(inputs)  # running statistics of norms, so that ReLUs are used
        answers = network.eval()(inputs)
    partners = answers.reshape(50, 2, 2)
    return float((partners[:, 0] - partners[:, 1]).abs().max() / answers.std(0).max())


@pytest.mark.parametrize(
    ("name", "kernel", "seen", "blind"),
    [
        ("order_sequence", 5, 21, True),
        ("order_sequence", 17, 81, False),
        ("order_sequence_near", 5, 21, True),
        ("order_sequence_near", 17, 81, False),
        ("order_image", 3, 11, True),
        ("order_image", 9, 41, False),
        ("pattern_sequence", 3, 11, False),
    ],
)
def test_partners_are_alike_to_networks_without_reach(name: str, kernel: int, seen: int, blind: bool) -> None:
    assert 5 * kernel - 4 == seen
    gap = gap_between_partners(name, "twin", kernel)
    assert gap < 1e-4 if blind else gap > 1e-2


def test_an_untrained_flexconv_sees_the_near_events_only() -> None:
    assert gap_between_partners("order_sequence", "flexconv") < 0.01
    assert gap_between_partners("order_sequence_near", "flexconv") > 0.05


def trained(name: str, space: str, kernel: int | None = None, epochs: int = 8) -> record.TrialRecord:
    """A design with one kernel size (or the only design), at the rates of its space."""
    opened = task.open_task(name)
    drawn = SPACES[space](opened.shape)
    values = {choice.name: kernel or choice.options[0] for choice in drawn.choices}
    found = training.run_trial(
        record.Trial(
            study=record.Study(task=opened.name, space=space, kind="population"),
            number=0,
            task=opened.task,
            architecture=drawn.decode(values),
            values=values,
            recipe=replace(recipe.STANDARD.for_space(space), epochs=epochs),
            seed=0,
        ),
        opened,
    )
    assert found is not None and found.status == "completed", found
    return found


def validation_error(found: record.TrialRecord) -> float:
    """Of both halves, which are equally large."""
    return (found.curve[-1].select_error + found.curve[-1].report_error) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["order_sequence", "order_sequence_near", "order_image"])
def test_without_reach_training_ends_at_chance(name: str) -> None:
    assert abs(validation_error(trained(name, "twin", 3)) - 0.5) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("order_sequence", 17),
        ("order_sequence_near", 17),
        ("order_image", 9),
        ("pattern_sequence", 3),
        ("pattern_image", 3),
    ],
)
def test_with_the_reach_needed_training_ends_near_zero(name: str, kernel: int) -> None:
    assert validation_error(trained(name, "twin", kernel)) < 0.1


@pytest.mark.slow
def test_adding_needs_no_reach() -> None:
    assert validation_error(trained("adding", "twin", 3, epochs=20)) < 0.1


@pytest.mark.slow
def test_flexconv_grows_to_the_near_events_and_finds_the_pattern() -> None:
    near = trained("order_sequence_near", "flexconv")
    assert validation_error(near) < 0.1
    first, last = (
        sum(size for (size,) in metrics.kernel_sizes) for metrics in (near.curve[0], near.curve[-1])
    )
    assert last > first
    assert validation_error(trained("pattern_sequence", "flexconv")) < 0.1


@pytest.mark.slow
def test_flexconv_does_not_find_the_far_events() -> None:
    """Its masks start too narrow to feel them, and shrink: a limit of the design, not of the task."""
    far = trained("order_sequence", "flexconv", epochs=20)
    assert validation_error(far) > 0.4
    first, last = (sum(size for (size,) in metrics.kernel_sizes) for metrics in (far.curve[0], far.curve[-1]))
    assert last < first
