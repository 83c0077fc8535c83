"""Which finalist is taken, and what is said of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nas.exporting.choosing import Choice, best, front, how_chosen
from tests.nas.builders import record


def test_the_best_is_that_with_the_least_of_what_was_asked() -> None:
    records = [
        record(number=i, error=error, kind="finalist", test_error=error, multiply_adds=cost)
        for i, (error, cost) in enumerate([(0.1, 900), (0.3, 100), (0.2, 500), (0.25, 600), (0.2, 500)])
    ]
    assert best(records).multiply_adds == 900
    assert best(records, "multiply-adds").multiply_adds == 100
    assert [r.trial.number for r in front(records)] == [1, 2, 0]
    with pytest.raises(ValueError, match="no latency on record"):
        best(records, "latency")


def test_latencies_of_different_devices_are_not_compared() -> None:
    one, other = (
        replace(record(number=i, kind="finalist"), latency_seconds=seconds, device="A")
        for i, seconds in enumerate((2e-3, 1e-3))
    )
    assert best([one, other], "latency") is other
    for device, named in (("B", "A, B"), ("", "A, an unknown device")):
        with pytest.raises(ValueError, match=f"one model of device, .* on {named}; use by multiply-adds"):
            best([one, replace(other, device=device)], "latency")


def test_the_card_says_what_the_network_was_chosen_by() -> None:
    finalist = replace(
        record(kind="finalist", multiply_adds=12_345), latency_seconds=0.004, device="a processor"
    )

    def said(by: Any, among: int = 3) -> str:
        return how_chosen(finalist, Choice(by=by, among=among))

    assert "among 3 finalists by its select error" in said("error")
    assert "the fewest multiply-adds, 12,345, not for its error" in said("multiply-adds")
    assert "4.00 ms a row on a processor, not for its error" in said("latency")
    assert "none of them has both a smaller select error and fewer multiply-adds" in said("front")
    assert said("latency", 1) == "It was the only finalist to choose from."
