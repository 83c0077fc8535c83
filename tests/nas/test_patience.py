"""Calls that may be given up: at once when told to, and after so many seconds of waiting."""

from __future__ import annotations

import time

import pytest

from nas.patience import OutOfPatience, Patience


def test_told_to_leave_no_call_is_made_however_fast_it_is() -> None:
    made = list[int]()
    told = False
    patience = Patience(60.0, 60.0, leave=lambda: told)
    patience(lambda: made.append(1))
    told = True
    with pytest.raises(OutOfPatience, match="told to leave"):
        patience(lambda: made.append(2))
    assert made == [1]


def test_only_waiting_counts_and_all_of_it_does() -> None:
    patience = Patience(60.0, 0.3, leave=lambda: False)
    time.sleep(0.4)  # other work
    assert patience(lambda: "there") == "there"

    def often() -> None:
        for _ in range(20):
            patience(lambda: time.sleep(0.05))

    with pytest.raises(OutOfPatience, match="takes too long"):
        often()


def test_a_call_that_gives_no_answer_is_given_up_and_one_that_fails_says_why() -> None:
    patience = Patience(0.2, 60.0, leave=lambda: False)
    with pytest.raises(OutOfPatience, match="no answer for 0 s"):
        patience(lambda: time.sleep(2))

    def fails() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        Patience(60.0, 60.0, leave=lambda: False)(fails)
