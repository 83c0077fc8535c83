"""The board without a cluster: who is taken for dead, and what stops a run."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas.board import Board, Order
from nas.lease import take
from nas.placement import Place, Placement
from nas.probe import facts
from nas.run_directory import RunDirectory
from nas.slot import work
from tests.nas.runs import SMALL, begun
from trials.record import TrialRecord
from trials.synthetic import run_trial
from trials.task import open_task

HERE = Place(node="n", host="h", process=os.getpid())


@contextmanager
def board_in(path: Path, silent_seconds: float = 60.0) -> Iterator[Board]:
    directory = begun(path)
    shapes = {task.name: open_task(task).shape for task in SMALL.the_tasks()}
    with take(directory.storage, print) as lease:
        board = Board(silent_seconds)
        run = (SMALL, SMALL.the_tasks(), shapes, directory, lease, Placement(0.0), facts(), Path.cwd())
        board.start(*run)
        yield board


def order_of(board: Board, slot: int) -> Order:
    if (answer := board.next(slot, HERE)) == "probe":
        board.probed(slot, facts())
        answer = board.next(slot, HERE)
    assert isinstance(answer, Order)
    return answer


def trained(order: Order) -> TrialRecord:
    record = run_trial(order.trial, open_task(order.trial.task))
    assert record is not None
    return record


def test_a_silent_slot_is_named_and_its_trial_is_anothers(tmp_path: Path) -> None:
    with board_in(tmp_path, silent_seconds=0.3) as board:
        order = order_of(board, 0)
        other = order_of(board, 1)
        until = time.monotonic() + 10
        while not (stalled := board.news(2).stalled):
            board.alive(1)
            assert time.monotonic() < until
            time.sleep(0.01)
        assert stalled == ((0, HERE),)
        assert board.lost(0) == (True, False)
        again = order_of(board, 2)
        assert again.trial == order.trial and other.trial != order.trial
        board.finish(2, trained(again))
        written = RunDirectory(tmp_path).read_records()[0]
        assert [record.attempts for record in written] == [2]

        assert board.alive(0) == ("", "gone")  # it wakes up
        assert board.report(0, order.trial, written[0].curve[0]) == "gone"
        board.finish(0, trained(order))
        assert board.next(0, HERE) is None
        assert RunDirectory(tmp_path).read_records()[0] == written


def test_while_the_board_slept_nobody_was_silent(tmp_path: Path) -> None:
    with board_in(tmp_path, silent_seconds=1.2) as board:
        order_of(board, 0)
        board.news(1)
        time.sleep(1.5)
        assert not board.news(1).stalled  # at most a second of it counts


def test_a_pause_reaches_a_running_trial_by_its_pulse(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order = order_of(board, 0)
        assert board.alive(0) == (order.trial.id, "continue")
        board.pause()
        assert board.alive(0) == (order.trial.id, "pause")
        board.finish(0, None)
        assert board.next(0, HERE) is None and board.news(1).done
        assert not RunDirectory(tmp_path).read_records()[0]


def test_what_a_slot_cannot_write_pauses_the_run_and_costs_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "1")  # a slot sets them for its whole process
    with board_in(tmp_path) as board:
        other = order_of(board, 1)

        def ask(method: str, *arguments: Any) -> Any:
            return getattr(board, method)(*pickle.loads(pickle.dumps(arguments)))

        work(0, "n", ask, RunDirectory(tmp_path), 1, False, "tests.nas.standins:unwritable")
        with pytest.raises(ValueError, match=r"run cannot be written \(.*\); mend that and go on with"):
            raise board.news(2).error or AssertionError
        assert board.alive(1) == (other.trial.id, "pause")
        board.finish(1, None)
    found = RunDirectory(tmp_path).read()
    assert len(found.trials) == 2 and not found.records
    with board_in(tmp_path) as board:
        assert {order_of(board, slot).trial.id for slot in (0, 1)} == {trial.id for trial in found.trials}


def test_a_run_in_other_hands_gets_nothing_more(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order = order_of(board, 0)
        board._lease.release()
        board.finish(0, trained(order))
        assert board.alive(0) == ("", "gone")
        with pytest.raises(RuntimeError, match="no longer holds"):
            raise board.news(1).error or AssertionError
        assert not RunDirectory(tmp_path).read_records()[0]


def test_a_node_is_looked_at_once_and_by_another_if_that_slot_dies(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        assert board.next(0, HERE) == "probe"
        assert board.next(1, HERE) == "wait"
        board.lost(0)
        assert board.next(1, HERE) == "probe"
        board.probed(1, facts("there is no disk"))
        assert board.next(1, HERE) in ("wait", None)
        news = board.news(1)
        assert news.left_out == ("h is left out: there is no disk",)
        with pytest.raises(ValueError, match="no node can run a trial: h: there is no disk"):
            raise news.error or AssertionError
