"""Spaces that are only described: a few designs each, compared beside the rest, part of no verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from nas import SearchConfig, compare, run
from nas.efficiency import compare_records
from nas.efficiency.sentences import verdict_text
from nas.growing import merged
from tests.nas.builders import PLAN, around, population, seeds, spread
from tests.nas.runs import WHOLE, drive, schedule_of

DESCRIBED = replace(WHOLE, controls=(), long=0, described=("resnet", "tcn"), described_designs=3)


def test_they_get_their_designs_and_nothing_else_and_only_where_they_can_be_made(tmp_path: Path) -> None:
    config = replace(DESCRIBED, population=4)
    trials = drive(schedule_of(config, tmp_path))
    found = Counter((t.study.task, t.study.space, t.study.kind) for t in trials)
    assert {key: n for key, n in found.items() if key[1] in ("resnet", "tcn")} == {
        ("digits@rows=200", "resnet", "population"): 3,
        ("digits_sequence@rows=200", "resnet", "population"): 3,
        ("digits_sequence@rows=200", "tcn", "population"): 3,  # series only
    }
    designs = [t.architecture.id for t in trials if t.study.space == "tcn"]
    assert len(set(designs)) == 3
    task = {t.task: t for t in compare(tmp_path).tasks}
    assert [s.space for s in task["digits@rows=200"].spaces] == ["twin", "resnet"]
    assert [s.space for s in task["digits_sequence@rows=200"].spaces] == ["twin", "resnet", "tcn"]


@pytest.mark.parametrize(("number", "size"), [(24, 500), (120, 500), (8, 8)])  # also enough, also a census
def test_they_change_no_verdict_no_sentence_and_no_number_of_another_space(number: int, size: int) -> None:
    usual = [*seeds(around(0.1)), *population(spread(0.1))]
    without = compare_records(usual, PLAN)
    best = population(spread(0.001, number), "resnet", device="another", multiply_adds=10**9)
    beside = compare_records(
        [*usual, *best], replace(PLAN, described=("resnet",)), {("digits", "resnet"): size}
    )
    (before,), (after,) = without.tasks, beside.tasks
    assert (before.verdict, before.sentences) == (after.verdict, after.sentences)
    assert before.spaces == after.searched and after.spaces[1].space == "resnet"
    assert after.spaces[1].designs == number and after.spaces[1].seconds is None  # another device
    assert (before.notes, before.fronts, before.margin) == (after.notes, after.fronts, after.margin)
    assert without.overall == beside.overall


def test_alone_they_carry_no_verdict() -> None:
    records = [*seeds(around(0.1)), *population(spread(0.1))]  # as many designs as a verdict would need
    found = compare_records(records, replace(PLAN, searched=(), described=("twin",)))
    (task,) = found.tasks
    assert task.verdict == verdict_text(task) == "cannot say" and "cannot say on 1" in found.overall
    assert task.sentences[0].count("no space to search was planned") == 1


def test_a_run_grows_by_them() -> None:
    usual = replace(DESCRIBED, described=())
    grown = merged(usual, replace(DESCRIBED, described_designs=5))
    assert grown.described == ("resnet", "tcn") and grown.described_designs == 5
    more = replace(DESCRIBED, described_designs=9)
    assert merged(grown, more).described_designs == 9 and merged(more, grown).described_designs == 9
    with pytest.raises(ValueError, match="twin is one of spaces there and of described here"):
        merged(usual, replace(DESCRIBED, spaces=("flexconv",), described=("twin",)))


def test_a_single_design_is_refused(tmp_path: Path) -> None:
    config = SearchConfig(name="one", tasks=("digits",), described=("resnet_20",))
    with pytest.raises(ValueError, match=r"resnet_20 has one on digits; name it in --set defaults="):
        run(config, run_dir=tmp_path / "run")
