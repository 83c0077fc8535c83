"""The board without a cluster: who is taken for dead, and what stops a run."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.board import ARRIVING, MAX_PROBES, MAX_STILLBORN, Board
from nas.config import SearchConfig
from nas.ending import Ended, how_it_ended
from nas.lease import take
from nas.messages import Order
from nas.placement import Place, Placement
from nas.probe import facts
from nas.run_directory import RunDirectory
from nas.slot import work
from nas.tracking_place import without_credentials
from tests.nas.runs import SMALL, begun
from trials.record import TrialRecord
from trials.synthetic import run_trial
from trials.task import open_task

HERE = Place(node="n", host="h", process=os.getpid())


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """A slot forgets MLflow's variables, and this process needs them again."""
    with without_credentials():
        yield


@contextmanager
def board_in(
    path: Path,
    silent_seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    config: SearchConfig = SMALL,
) -> Iterator[Board]:
    directory = begun(path, config)
    shapes = {task.name: open_task(task).shape for task in SMALL.the_tasks()}
    with take(directory.storage, print) as lease:
        board = Board(silent_seconds, clock)
        run = (config, config.the_tasks(), shapes, directory, lease, Placement(0.0), facts(), Path.cwd())
        board.start(*run)
        yield board


def order_of(board: Board, slot: int) -> Order:
    if (answer := board.next(slot, HERE)) == "probe":
        board.probed(slot, HERE, facts())
        answer = board.next(slot, HERE)
    assert isinstance(answer, Order)
    return answer


def trained(order: Order) -> TrialRecord:
    record = run_trial(order.trial, open_task(order.trial.task))
    assert record is not None
    return record


def test_a_silent_slot_is_named_and_its_trial_is_anothers(tmp_path: Path) -> None:
    now = 0.0
    with board_in(tmp_path, silent_seconds=3, clock=lambda: now) as board:
        order = order_of(board, 0)
        other = order_of(board, 1)
        while not (stalled := board.news(2).stalled):
            board.alive(1)
            assert now <= 3
            now += 0.5
        assert now > 3 and stalled == ((0, HERE),)
        assert board.lost(0) == (False, False)
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


def test_a_process_that_never_gets_ready_is_named_too_but_has_longer(tmp_path: Path) -> None:
    now = 0.0
    with board_in(tmp_path, silent_seconds=1, clock=lambda: now) as board:
        board.arrived(0, HERE)
        board.arrived(1, HERE)
        order_of(board, 1)
        while not (stalled := board.news(2).stalled):
            board.alive(1)
            assert now <= ARRIVING
            now += 0.5
        assert now > ARRIVING - 1 and stalled == ((0, HERE),)
        assert board.lost(0) == (False, False)
        assert board.next(0, HERE) is None  # it wakes up
        board.arrived(2, HERE)
        board.next(2, HERE)
        while not (stalled := board.news(2).stalled):  # like any other from here on
            board.alive(1)
            now += 0.5
        assert now < ARRIVING + 3 and stalled == ((2, HERE),)


def test_while_the_board_slept_nobody_was_silent(tmp_path: Path) -> None:
    now = 0.0
    with board_in(tmp_path, silent_seconds=1.2, clock=lambda: now) as board:
        order_of(board, 0)
        board.news(1)
        now = 1000.0
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

        methods = []

        def ask(method: str, *arguments: Any) -> Any:
            methods.append(method)
            return getattr(board, method)(*pickle.loads(pickle.dumps(arguments)))

        work(0, "n", ask, RunDirectory(tmp_path), 1, False, "tests.nas.standins:unwritable")
        assert "arrived" in methods
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
        board.probed(1, HERE, facts("there is no disk"))
        assert board.next(1, HERE) in ("wait", None)
        news = board.news(1)
        assert news.lines == ("h is left out: there is no disk",)
        with pytest.raises(ValueError, match="no node can run a trial: h: there is no disk"):
            raise news.error or AssertionError


OTHER = Place(node="m", host="bad", process=os.getpid())


def test_a_node_whose_processes_die_looking_is_left_out(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order_of(board, 0)
        for slot in range(1, 1 + MAX_PROBES):
            assert board.next(slot, OTHER) == "probe"
            assert board.next(90 + slot, OTHER) == "wait"
            board.lost(90 + slot)  # that one was not looking
            board.lost(slot)
        assert board.next(9, OTHER) == "wait"
        news = board.news(3)
        assert news.lines == ("bad is left out: 3 processes died while they opened the tasks there",)
        assert news.error is None and isinstance(board.next(10, HERE), Order)


def test_slots_that_die_at_once_end_a_run_only_where_none_works(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order_of(board, 0)
        died = [board.lost(slot)[0] for slot in range(1, 2 * MAX_STILLBORN)]
        assert died == [False] * (MAX_STILLBORN - 1) + [True] * MAX_STILLBORN
        assert board.news(3).error is None
        board.lost(0)
        died = [board.lost(slot)[0] for slot in range(100, 100 + MAX_STILLBORN)]
        assert died[-1]
        with pytest.raises(RuntimeError, match="20 processes died before they could ask for a trial"):
            raise board.news(3).error or AssertionError


def test_a_node_that_cannot_import_is_left_out_by_name(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order_of(board, 0)
        board.probed(1, OTHER, facts("ModuleNotFoundError: No module named 'torch'"))
        assert board.next(1, OTHER) == "wait"
        news = board.news(2)
        assert news.lines == ("bad is left out: ModuleNotFoundError: No module named 'torch'",)
        assert news.error is None


def error_of_a_slot(path: Path, accelerated: bool, train: str) -> str:
    """What a run ends with whose only slot cannot work, and ends."""
    with board_in(path) as board:
        run = (0, "n", lambda method, *given: getattr(board, method)(*given), begun(path), 1, accelerated)
        slot = threading.Thread(target=work, args=(*run, train))
        slot.start()
        until = time.monotonic() + 60
        while (error := board.news(1).error) is None and time.monotonic() < until:
            time.sleep(0.05)
        slot.join(60)
        assert not slot.is_alive()
        assert isinstance(error, ValueError)
        return str(error)


def test_a_slot_that_cannot_import_what_it_trains_with_says_so_of_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # put back afterwards
    error = error_of_a_slot(tmp_path, accelerated=False, train="lost.module:train")
    assert "ModuleNotFoundError: No module named 'lost'" in error
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"  # no share of one


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees an accelerator here")
def test_a_slot_with_a_share_of_an_accelerator_that_is_not_there_trains_on_no_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # put back afterwards
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # as Ray sets it for one device
    error = error_of_a_slot(tmp_path, accelerated=True, train="tests.nas.standins:closed_form")
    assert "accelerators" in error and "--gpus-per-trial 0" in error
    assert not RunDirectory(tmp_path).read_records()[0]


def test_a_run_that_grew_when_its_slots_had_ended_goes_on_with_new_ones(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        news = board.news(1)
        assert how_it_ended(news, "", "", []) is None
        assert how_it_ended(news, "preempted", "", []) == Ended(how="preempted")
        assert how_it_ended(news, "", "asked", []) == Ended(how="stopped", reason="asked")
        with pytest.raises(RuntimeError, match="no trial can run: OSError"):
            how_it_ended(news, "", "", [OSError("full")])


def test_a_run_whose_hours_are_over_is_done_without_a_slot_to_say_so(tmp_path: Path) -> None:
    with board_in(tmp_path, config=replace(SMALL, max_hours=1e-9)) as board:
        news = board.news(1)
        assert news.done and news.running == 0 and "max_hours" in news.over


def test_nodes_are_looked_at_again_when_the_run_has_grown(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        board.finish(0, trained(order_of(board, 0)))
        assert board.next(1, OTHER) == "probe"
        more = replace(SMALL, tasks=("digits", "digits_sequence"))
        board.grow(more, more.the_tasks(), {task.name: open_task(task).shape for task in more.the_tasks()})
        board.probed(1, OTHER, facts())  # it looked at the old tasks only
        assert board.next(1, OTHER) == "probe"
        assert board.next(0, HERE) == "probe"
        board.probed(0, HERE, facts("there is no digits_sequence"))
        assert board.next(0, HERE) == "wait"


def test_a_cancelled_trial_that_pauses_is_written_only_with_the_lease(tmp_path: Path) -> None:
    with board_in(tmp_path) as board:
        order = order_of(board, 0)
        assert board.cancel(order.trial.id)
        board._lease.release()
        board.finish(0, None)
        assert not RunDirectory(tmp_path).read_records()[0]
        with pytest.raises(RuntimeError, match="no longer holds"):
            raise board.news(1).error or AssertionError
