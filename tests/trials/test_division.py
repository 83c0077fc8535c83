"""Which rows go where: groups, halves, sizes; and what a digest and moments know of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trials import dataset, splits, task
from trials.division import Chosen, divide
from trials.finding import TASKS
from trials.reading import mean_and_std
from trials.reference import Task


def test_groups_are_never_divided() -> None:
    rng = np.random.default_rng(1)
    labels, groups = rng.integers(3, size=200), rng.integers(12, size=200)
    kept, carved = splits.carve(np.arange(200), labels, groups, least=2, seed=0, name="it")
    assert sorted([*kept, *carved]) == list(range(200))
    assert set(groups[kept]).isdisjoint(groups[carved])
    assert 0.1 < len(carved) / 200 < 0.3
    with pytest.raises(ValueError, match="at least 2 groups"):
        splits.carve(np.arange(200), labels, np.zeros(200), least=2, seed=0, name="it")


def labelled(groups: list[str], count: int = 1) -> dataset.ArrayPart:
    """Rows of 3 classes in turn for every group."""
    rng = np.random.default_rng(0)
    names = np.repeat(groups, 3 * count)
    inputs = rng.normal(size=(len(names), 1, 4)).astype(np.float32)
    return dataset.ArrayPart(inputs, np.arange(len(names)) % 3, names)


def groups_of(chosen: Chosen) -> set[str]:
    assert chosen.groups is not None
    return set(chosen.groups[chosen.rows].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_huge_group_stays_in_training(seed: int) -> None:
    part = labelled(["huge"] * 20 + ["b", "c", "d", "e"])
    data = dataset.Dataset(train=part, class_names=("x", "y", "z"))
    found = divide(data, Task(source="groups", split=seed))
    assert "huge" in groups_of(found.train)
    parts = [groups_of(each) for each in (found.train, found.select, found.report, found.test)]
    assert sum(map(len, parts)) == 5 + len(parts[1] & parts[2])


def test_halves_of_validation_have_groups_of_their_own() -> None:
    part = labelled([f"speaker {i}" for i in range(30)], count=2)
    data = dataset.Dataset(train=part, class_names=("x", "y", "z"))
    found = divide(data, Task(source="groups"))
    assert not groups_of(found.select) & groups_of(found.report) and not found.notes
    assert abs(len(found.select) - len(found.report)) <= 6


def test_groups_that_cannot_be_kept_apart_are_noted() -> None:
    part = labelled(["a", "b", "c"], count=4)
    data = dataset.Dataset(train=part, test=labelled(["a", "b"], count=4), class_names=("x", "y", "z"))
    found = divide(data, Task(source="groups"))
    assert "1 of 1 groups of report rows are also in select rows" in found.notes
    assert any("of 2 groups of test rows are also in training rows" in note for note in found.notes)


def test_a_row_to_select_by_is_never_one_to_report_at_another_size() -> None:
    digits = TASKS["digits"]()
    small, large = (divide(digits, Task(source="digits", rows=rows)) for rows in (100, 700))
    for fewer, more in (
        (small.select, large.select),
        (small.report, large.report),
        (small.train, large.train),
    ):
        assert set(fewer.rows) < set(more.rows)
    assert not set(small.select.rows) & set(large.report.rows)


def test_the_digest_knows_what_a_trial_and_its_test_see() -> None:
    part, other = labelled(["a", "b", "c", "d"], count=5), labelled(["e"], count=7)
    names = ("x", "y", "z")

    def digest(**changed: object) -> str:
        fields = {"train": part, "test": other, "class_names": names} | changed
        TASKS["digest"] = lambda: dataset.Dataset(**fields)
        try:
            return task.open_task("digest").digest
        finally:
            del TASKS["digest"]

    assert digest() == digest()
    assert digest(class_names=names[::-1]) != digest()
    assert digest(test=labelled(["f", "g"], count=3)) != digest()


def test_a_small_deviation_from_a_large_mean_is_kept() -> None:
    clock = 1.7e9 + np.random.default_rng(0).normal(0, 300, (50, 1, 40)).astype(np.float32)
    mean, std = mean_and_std(dataset.moments(clock.astype(np.float32)))
    exact = clock.astype(np.float32).astype(np.float64)
    assert mean[0] == pytest.approx(exact.mean(), rel=1e-12) and std[0] == pytest.approx(
        exact.std(), rel=1e-6
    )
    assert mean_and_std(dataset.moments(np.full((5, 1, 3), 0.1, np.float32)))[1] == (1.0,)


def test_names_do_not_depend_on_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    before = Task(source=str(tmp_path / "link")).name
    (tmp_path / "link").unlink()
    assert before == Task(source=str(tmp_path / "link")).name == "link"


def test_series_in_bytes_keep_their_unit_at_another_rate() -> None:
    plain, halved = (task.open_task(f"mnist5k_sequence@rows=100{size}") for size in ("", ",rate=0.5"))
    assert halved.mean[0] == pytest.approx(plain.mean[0], rel=0.1)
    assert halved.train.inputs.max() < 1.5
