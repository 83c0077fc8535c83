"""A run is begun, grown and killed in between; others ask its holder for more, for less, or to stop."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from nas import compare, requests
from nas.config import SearchConfig
from nas.lease import LeaseLost, take
from nas.open_space import open_spaces
from nas.requests import Request
from nas.run_directory import Growth, RunDirectory
from nas.running import _prepared, _there
from nas.schedule import Schedule
from nas.steering import Reins, stop, write_plan
from search_spaces.space import TaskShape
from tests.nas.builders import record
from tests.nas.clusters import started
from tests.nas.runs import SMALL, begun, schedule_of
from tests.nas.test_cli import nas
from trials.record import Trial
from trials.reference import Task
from trials.storage import Storage

if TYPE_CHECKING:
    from nas.requests import Steering

SINGLE = replace(SMALL, spaces=("flexconv",), defaults=())
MORE = replace(SINGLE, tasks=("digits", "digits_sequence"), spaces=("flexconv", "twin"), population=9)


def prepare(path: Path, config: SearchConfig, out: io.StringIO | None = None) -> Reins:
    """What `run` does before the first trial."""
    directory, console = RunDirectory(path), Console(file=out or io.StringIO(), width=200)
    plan, info = _prepared(directory, _there(directory), config, True, None, console)
    with take(directory.storage, print) as lease:
        write_plan(directory, plan, info, lease)
        return Reins(directory, plan, info, lease, console)


def holds(directory: RunDirectory, config: SearchConfig) -> bool:
    """Whether the directory covers the configuration and knows exactly its tasks and spaces."""
    info = directory.info()
    assert info is not None
    names = {(task.name, space) for task in config.the_tasks() for space in config.all_spaces}
    assert {(space.task, space.reference) for space in info.spaces} == names
    assert [task.name for task in info.tasks] == [task.name for task in config.the_tasks()]
    return directory.config() == config


def test_a_run_grows_by_a_larger_configuration_and_stays_so(tmp_path: Path) -> None:
    directory, out = prepare(tmp_path, SINGLE).directory, io.StringIO()
    first = directory.info()
    assert holds(directory, SINGLE)
    directory.put_record(record("flexconv"))
    prepare(tmp_path, MORE)
    grown = directory.info()
    assert holds(directory, MORE) and first is not None and grown is not None
    changes = ("tasks with digits_sequence", "spaces with twin", "population from 4 to 9")
    assert (first.grown, grown.grown) == ((), (Growth(ended=1, changes=changes),))
    assert (grown.id, grown.created, grown.tasks[0]) == (first.id, first.created, first.tasks[0])
    prepare(tmp_path, SINGLE, out)
    assert holds(directory, MORE) and directory.info() == grown
    assert f"population is 9 there and 4 here: the plan of {tmp_path} stands" in out.getvalue()
    compare(tmp_path)
    said = f"The plan has grown: when 1 trial had ended, {'; '.join(changes)}."
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert said in text and "as the run has grown to" in text and "before the first trial" not in text


@pytest.mark.parametrize("again", [SINGLE, MORE])
@pytest.mark.parametrize("there", [None, SINGLE])
@pytest.mark.parametrize("writes", [0, 1])
def test_a_driver_killed_while_it_writes_the_plan_leaves_a_run_that_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: SearchConfig | None,
    writes: int,
    again: SearchConfig,
) -> None:
    if there is not None:
        prepare(tmp_path, there)
    put, left = Storage.put, [writes]

    def some(self: Storage, name: str, data: bytes) -> None:
        if name in ("config.json", "run.json"):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        put(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", some)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path, MORE)
    begun_with_more = there is None and writes == 1
    prepare(tmp_path, again)
    assert holds(RunDirectory(tmp_path), MORE if begun_with_more else again)
    info = RunDirectory(tmp_path).info()
    assert info is not None and len(info.grown) <= 1  # not told again by the driver that repeats it


def test_a_run_is_not_continued_by_accident_nor_with_another_configuration(tmp_path: Path) -> None:
    directory = prepare(tmp_path, SINGLE).directory
    console = Console(file=io.StringIO())
    with pytest.raises(ValueError, match="already holds this run; continue it with --resume"):
        _prepared(directory, _there(directory), MORE, False, None, console)
    with pytest.raises(
        ValueError, match=f"{tmp_path} holds a run of another configuration: epochs is 3 there"
    ):
        _prepared(directory, _there(directory), replace(MORE, epochs=4), True, None, console)


def test_data_that_changed_are_refused(tmp_path: Path) -> None:
    directory = prepare(tmp_path, SINGLE).directory
    text = (tmp_path / "run.json").read_text()
    info = directory.info()
    assert info is not None
    (tmp_path / "run.json").write_text(text.replace(info.tasks[0].digest, "0ther"))
    with pytest.raises(ValueError, match=r"rows of the task digits@rows=200 changed since .* began: 0ther"):
        prepare(tmp_path, MORE)
    (tmp_path / "run.json").write_text(text.replace('"designs": 1,', '"designs": 7,'))
    with pytest.raises(ValueError, match="the designs of the space flexconv changed"):
        prepare(tmp_path, MORE)


def test_what_was_asked_before_the_run_began_is_carried_out_first(tmp_path: Path) -> None:
    reins, out = prepare(tmp_path, SINGLE), io.StringIO()
    storage = reins.directory.storage
    grow = requests.leave(storage, Request(what="grow", by="me", config=MORE))
    bad = requests.leave(storage, Request(what="grow", by="you", config=replace(SINGLE, epochs=7)))
    lost = requests.leave(
        storage, Request(what="grow", by="you", config=replace(SINGLE, tasks=("digits", "lost.py:task")))
    )
    halt = requests.leave(storage, Request(what="stop", by="me"))
    with take(storage, print) as lease:
        console = Console(file=out, width=200)
        reins = Reins(reins.directory, reins.config, reins.info, lease, console)
        reins.before()
    assert reins.config == MORE and holds(reins.directory, MORE) and reins.info == reins.directory.info()
    assert reins.stopped == "asked for by me"
    assert requests.answered(storage, grow, 0) and requests.answered(storage, halt, 0)
    with pytest.raises(ValueError, match="epochs is 3 there and 7 here"):
        requests.answered(storage, bad, 0)
    with pytest.raises(ValueError, match=r"it cannot be done there: .*there is no file .*/lost\.py"):
        requests.answered(storage, lost, 0)
    assert "what you asked for is refused: it cannot be done there: epochs is 3" in out.getvalue()


def test_what_was_asked_after_the_last_trial_is_carried_out_or_dropped(tmp_path: Path) -> None:
    reins, out = prepare(tmp_path, SINGLE), io.StringIO()
    storage = reins.directory.storage
    with take(storage, print) as lease:
        reins = Reins(reins.directory, reins.config, reins.info, lease, Console(file=out, width=200))
        assert not reins.after()
        grow = requests.leave(storage, Request(what="grow", by="me", config=MORE))
        requests.leave(storage, Request(what="stop", by="you"))
        assert reins.after() and not reins.after()
    assert reins.config == MORE and holds(reins.directory, MORE)
    assert requests.answered(storage, grow, 0) and requests.pending(storage) == ({}, [])
    assert "nothing runs any more: what you asked for (stop) is dropped" in out.getvalue()


def test_what_users_code_says_is_masked_where_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_TOKEN", "hunter2hunter2")
    (tmp_path / "code.py").write_text(
        "import os\ndef task(): raise OSError('refused: ' + os.environ['DATA_TOKEN'])\n"
    )
    reins, out = prepare(tmp_path / "run", SINGLE), io.StringIO()
    storage = reins.directory.storage
    grown = replace(SINGLE, tasks=(*SINGLE.tasks, f"{tmp_path}/code.py:task"))
    name = requests.leave(storage, Request(what="grow", by="you", config=grown))
    with take(storage, print) as lease:
        Reins(reins.directory, reins.config, reins.info, lease, Console(file=out, width=200)).before()
    kept = storage.get(name)
    assert kept is not None and b"refused: ***" in kept and b"hunter2" not in kept
    assert "refused: ***" in out.getvalue() and "hunter2" not in out.getvalue()


class Hand:
    """Steers a schedule as `nas.search.Steering` does, without a cluster."""

    def __init__(self, schedule: Schedule, broken: bool = False) -> None:
        self.schedule, self.broken = schedule, broken

    def pause(self, why: str) -> None:
        self.schedule.paused = True

    def cancel(self, trial_id: str) -> bool:
        return self.schedule.cancel(trial_id)

    def grow(self, config: SearchConfig, tasks: tuple[Task, ...], shapes: dict[str, TaskShape]) -> None:
        if self.broken:
            raise ValueError("the board cannot make it")
        spaces = {
            (task.name, name): space
            for task in tasks
            for name, space in open_spaces(config, shapes[task.name]).items()
        }
        self.schedule = self.schedule.grown(config, tasks, spaces, shapes)


def test_the_holder_does_what_is_asked_between_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.steering.LOOK_SECONDS", 0.0)
    schedule, reins = schedule_of(SINGLE, tmp_path), prepare(tmp_path, SINGLE)
    storage, trial = reins.directory.storage, schedule.next(0)
    assert isinstance(trial, Trial)
    with take(storage, print) as lease:
        reins = Reins(reins.directory, reins.config, reins.info, lease, Console(file=io.StringIO()))
        broken, hand = Hand(schedule, broken=True), Hand(schedule)

        def asked(request: Request, steering: Hand) -> bool:
            name = requests.leave(storage, request)
            reins.tick(cast("Steering", steering))
            return requests.answered(storage, name, 0)

        with pytest.raises(ValueError, match="the board cannot make it"):
            asked(Request(what="grow", by="me", config=MORE), broken)
        assert reins.config == SINGLE and holds(reins.directory, SINGLE)
        before = schedule.total
        assert asked(Request(what="grow", by="me", config=MORE), hand)
        assert holds(reins.directory, MORE) and reins.config == MORE and hand.schedule.total > 2 * before
        assert asked(Request(what="cancel", by="me", trial=trial.id), hand)
        assert hand.schedule.asked(trial) == "cancel"
        (kept,) = requests.pending(storage)[0].values()  # a driver that dies now leaves it to the next one
        assert kept.accepted and kept.trial == trial.id
        hand.schedule.again(0)
        reins.tick(cast("Steering", hand))
        assert requests.pending(storage) == ({}, [])
        with pytest.raises(ValueError, match=r"digits\.x\.0 neither runs nor waits to go on"):
            asked(Request(what="cancel", by="me", trial="digits.x.0"), hand)
        assert asked(Request(what="stop", by="me"), hand) and hand.schedule.paused
        storage.put("lease/000009.json", b"{}")
        lease._confirmed -= 40  # as if it had not been confirmed for so long
        requests.leave(storage, Request(what="grow", by="me", config=replace(MORE, population=10)))
        with pytest.raises(LeaseLost):
            reins.tick(cast("Steering", hand))
    assert RunDirectory(tmp_path).config() == MORE


def test_stopping_what_does_not_run_is_refused(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    with pytest.raises(ValueError, match=f"nobody runs {tmp_path}: there is nothing to stop"):
        stop(str(tmp_path))
    with take(directory.storage, print):
        with pytest.raises(ValueError, match=r"has no trial 'digits\.twin\.search\.0\.0003'; "):
            stop(str(tmp_path), "digits.twin.search.0.0003")
        with pytest.raises(ValueError, match=r"did not stop the run within 0 s and is no longer asked to"):
            stop(str(tmp_path), patience=0.2)
        assert requests.pending(directory.storage) == ({}, [])

        def carry_out() -> None:
            while not (found := requests.pending(directory.storage)[0]):
                time.sleep(0.05)
            for name in found:
                requests.done(directory.storage, name)

        answering = threading.Thread(target=carry_out)
        answering.start()
        assert stop(str(tmp_path)) == f"{tmp_path} is stopping: running trials save themselves where they can"
        answering.join()


SETTINGS = (
    "rows=none epochs=40 repeats=0 seeds=1 search_trials=0 finalist_seeds=0 controls= defaults= transfer=0"
)
RUN = ["run", "smoke", "--tasks", "digits", "--run-dir", "run"]
RUN += [word for setting in SETTINGS.split() for word in ("--set", setting)]


def start(folder: Path, *more: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return started([sys.executable, "-c", "from nas.cli import main; main()", *RUN, *more], cwd=folder)


def running(directory: RunDirectory, ended: int) -> str:
    """A trial that runs, once so many have ended."""
    while True:
        records = {record.trial.id for record in directory.read_records()[0]}
        open_ones = {trial.id for trial in directory.read_trials()[0]} - records
        if len(records) >= ended and open_ones:
            return min(open_ones)
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_second_driver_makes_the_first_one_grow(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with start(tmp_path, "--set", "population=6") as first:
        running(directory, 1)
        larger = ("--tasks", "digits,digits_sequence@rows=300", "--set", "population=8", "--resume")
        second = nas(*RUN, *larger, cwd=tmp_path)
        assert second.returncode == 0, second.stdout + second.stderr
        assert "it is asked to take on what is new" in second.stdout
        assert "it has taken that on" in second.stdout and "another process runs run" in second.stdout
        same = nas(*RUN, *larger, cwd=tmp_path)
        assert same.returncode == 2 and f"process {first.pid} on" in same.stderr, same.stdout + same.stderr
        other = nas(*RUN, *larger, "--set", "epochs=2", cwd=tmp_path)
        assert other.returncode == 2 and "epochs is 40 there and 2 here" in other.stderr
        output, _ = first.communicate(timeout=400)
    assert first.returncode == 0, output
    assert "the run has grown, as asked for by process" in output
    assert "18/18 trials ended" in output
    records = directory.read_records()[0]
    assert len(records) == len({record.trial.id for record in records}) == 2 * (8 + 1)
    info = directory.info()
    assert info is not None
    assert [task.anchors != () for task in info.tasks] == [True] * 2, "fitted when all trials had ended"
    assert len(directory.storage.names("lease/")) == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_trial_is_cancelled_and_a_run_stopped_from_outside(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with start(tmp_path, "--set", "population=30") as driver:
        name = running(directory, 2)
        done = nas("stop", "run", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{name} is cancelled\n"), done.stderr
        while (content := directory.storage.get(f"trials/{name}/record.json")) is None:
            time.sleep(0.1)
        assert b'"reason": "cancelled: asked for by a user"' in content
        again = nas("stop", "run", name, cwd=tmp_path)
        assert again.returncode == 2 and f"{name} has ended; there is nothing to stop" in again.stderr
        running(directory, 4)
        done = nas("stop", "run", cwd=tmp_path)
        said = "run is stopping: running trials save themselves where they can\n"
        assert (done.returncode, done.stdout) == (0, said), done.stderr
        output, _ = driver.communicate(timeout=200)
    assert driver.returncode == 0, output
    assert "ended: stopped (asked for by process" in output
    assert "go on with the same command, --run-dir run and --resume" in output
    records = directory.read_records()[0]
    assert 4 <= len(records) < 31
    failed = [record for record in records if record.status == "failed"]
    assert [record.trial.id for record in failed] == [name]
    assert (tmp_path / "run" / "report.html").exists()
    refused = nas("stop", "run", cwd=tmp_path)
    assert refused.returncode == 2 and "nobody runs run: there is nothing to stop" in refused.stderr
