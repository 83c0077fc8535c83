"""Real trials on a real Ray cluster of this machine: kept workers, killed workers, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig
from nas.interrupt import Asked
from nas.lease import take
from nas.messages import Event
from nas.requests import Steering
from nas.run_directory import RunDirectory, RunInfo, RunTask
from nas.search import execute
from tests.nas.clusters import descendants, let_in, started
from tests.nas.runs import SMALL, TRIALS, begun
from trials.plain import dumps
from trials.record import TrialRecord
from trials.task import open_task

ROOT = Path(__file__).parent.parent.parent


def run_all(config: SearchConfig, path: Path, expected: str = "finished", **options: Any) -> list[Event]:
    """Everything that happened in a run, on a cluster of this machine unless the options say otherwise."""
    directory, happened = begun(path, config), []
    tasks = [open_task(each) for each in config.the_tasks()]
    given: dict[str, Any] = {"address": None, "gpus_per_trial": None, "say": print}
    with take(directory.storage, print) as lease:
        ended = execute(
            config,
            config.the_tasks(),
            {task.name: task.shape for task in tasks},
            directory,
            lease=lease,
            asked=Asked(),
            on_start=lambda slots, records: None,
            on_news=lambda events, total: happened.extend(events),
            **given | options,
        )
    assert ended.how == expected, ended
    return happened


def test_every_trial_ends_with_a_record_in_kept_workers(tmp_path: Path) -> None:
    events = run_all(SMALL, tmp_path)
    records = [content for what, _, content in events if isinstance(content, TrialRecord)]
    assert len(records) == TRIALS
    assert {record.status for record in records} <= {"completed", "stopped"}
    assert len({record.process for record in records}) <= (os.cpu_count() or 1)
    assert sorted(RunDirectory(tmp_path).read_records()[0], key=lambda r: r.trial.id) == sorted(
        records, key=lambda r: r.trial.id
    )
    finalists = [record for record in records if record.trial.study.kind == "finalist"]
    assert [record.test.rows for record in finalists if record.test is not None] == [359] * 4
    assert not list(tmp_path.glob("trials/*/checkpoint.pt"))


def test_a_broken_design_fails_with_its_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "from search_spaces import Architecture, Choice, Space\n"
        "def broken(shape):\n"
        "    return Space(name='broken', choices=(Choice(name='a', options=(1, 2)),),\n"
        "                 assemble=lambda values: Architecture.of('no such family', **values))\n"
    )
    config = replace(
        SMALL, spaces=("flexconv", f"{source}:broken"), defaults=(), population=2, repeats=0, search_trials=2
    )
    events = run_all(config, tmp_path / "run")
    records = [content for _, _, content in events if isinstance(content, TrialRecord)]
    failed = [record for record in records if record.trial.study.space == "broken"]
    assert len(failed) == 4  # population and search; a search without a result has no finalist
    assert {record.status for record in failed} == {"failed"}
    assert all("no such family" in record.reason.splitlines()[0] for record in failed)
    assert {r.status for r in records if r.trial.study.space == "flexconv"} == {"completed"}


def test_a_node_with_other_data_than_the_run_began_with_gets_no_trial(tmp_path: Path) -> None:
    config = replace(SMALL, spaces=("flexconv",), defaults=(), search_trials=0, finalist_seeds=0)
    data = open_task(config.the_tasks()[0])
    began = RunTask(task=data.task, shape=data.shape, mean=data.mean, std=data.std, digest="0ther")
    info = RunInfo(
        id="00000000",
        created=0.0,
        version="0",
        tracking_uri=None,
        recipe=config.the_recipe(),
        tasks=(began,),
        spaces=(),
    )
    RunDirectory(tmp_path / "run").put("run.json", dumps(info))
    (tmp_path / "run" / "config.json").write_text(dumps(config))
    said = (
        f"no node can run a trial: .*the data of {data.task} on .* are not those .*{data.digest}, in .*0ther"
    )
    with pytest.raises(ValueError, match=said):
        run_all(config, tmp_path / "run")
    assert not RunDirectory(tmp_path / "run").read_trials()[0]


DRIVER = """
import sys, json
from pathlib import Path
from typing import Any
from nas.config import SearchConfig
from nas.running import run
from trials.plain import from_plain
config = from_plain(SearchConfig, json.loads(Path(sys.argv[1]).read_text()))
result = run(config, run_dir=sys.argv[2], resume=True)
sys.exit({'finished': 0, 'preempted': 75}.get(result.ended.how, 130))
"""

LONGER = replace(SMALL, rows=None, epochs=12, search_trials=3, defaults=())


def start_driver(tmp_path: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    (tmp_path / "config.json.in").write_text(dumps(LONGER))
    files = [str(tmp_path / "config.json.in"), str(tmp_path / "run")]
    return started([sys.executable, "-c", DRIVER, *files], cwd=ROOT)


def wait_for(path: Path, pattern: str, count: int, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while len(list(path.glob(pattern))) < count:
        assert time.monotonic() < until, f"no {count} files {pattern}"
        time.sleep(0.05)


def without_times(record: TrialRecord) -> object:
    curve = [replace(m, seconds_data=0.0, seconds_training=0.0, seconds_evaluation=0.0) for m in record.curve]
    return record.trial, record.status, curve, record.test


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "user signal"])  # killed and preempted: test_faults.py
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, how: str) -> None:
    with start_driver(tmp_path) as driver:
        wait_for(tmp_path / "run", "trials/*/record.json", 3)
        if how == "interrupt":
            os.killpg(driver.pid, signal.SIGINT)
        else:
            os.kill(driver.pid, signal.SIGUSR1)
        output, _ = driver.communicate(timeout=120)
    before = RunDirectory(tmp_path / "run").read_records()[0]
    assert driver.returncode == (130 if how == "interrupt" else 75), output
    assert "Traceback" not in output
    assert "running trials save themselves where they can" in output
    ended = {record.trial.id for record in before}
    running = {trial.id for trial in RunDirectory(tmp_path / "run").read_trials()[0]} - ended
    assert running
    assert all((tmp_path / "run/trials" / name / "checkpoint.pt").exists() for name in running)
    with start_driver(tmp_path) as driver:
        output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, output
    directory = RunDirectory(tmp_path / "run")
    records = {record.trial.id: record for record in directory.read_records()[0]}
    assert set(records) == {trial.id for trial in directory.read_trials()[0]}
    assert all(records[record.trial.id] == record for record in before)  # nothing was trained twice

    (tmp_path / "undisturbed").mkdir()
    with start_driver(tmp_path / "undisturbed") as driver:
        driver.communicate(timeout=240)
    undisturbed = RunDirectory(tmp_path / "undisturbed" / "run").read_records()[0]
    population = [record for record in undisturbed if record.trial.study.kind == "population"]
    assert population
    for record in population:
        assert without_times(records[record.trial.id]) == without_times(record)


FEW = replace(
    SMALL,
    spaces=("flexconv", "twin"),
    defaults=(),
    population=4,
    repeats=0,
    search_trials=0,
    finalist_seeds=0,
)
"""Four trials of the twin and two of the single design."""


@pytest.mark.slow
def test_a_stopped_worker_is_ended_and_its_trial_goes_on_elsewhere(tmp_path: Path) -> None:
    said: list[str] = []
    stopped: list[int] = []

    def stop_one(steering: Steering) -> None:
        kept = list(tmp_path.glob("trials/*/checkpoint.json"))
        if kept and not stopped:
            stopped.append(workers()[0])
            os.kill(stopped[0], signal.SIGSTOP)

    config = replace(FEW, epochs=12)
    run_all(
        config,
        tmp_path,
        train="tests.nas.standins:slow",
        silent_seconds=12.0,
        on_tick=stop_one,
        say=said.append,
    )
    assert any(f"(process {stopped[0]}) gives no sign" in line for line in said)
    with pytest.raises(ProcessLookupError):
        os.kill(stopped[0], 0)
    records = RunDirectory(tmp_path).read_records()[0]
    assert len(records) == 6 and {record.status for record in records} == {"completed"}
    assert all(len(record.curve) == 12 for record in records)
    again = [record for record in records if record.attempts == 2]
    assert len(again) == 1 and again[0].process != stopped[0]
    assert stopped[0] not in {record.process for record in records if record.attempts == 2}


def workers() -> list[int]:
    """Processes of slots on clusters that this process started."""
    names = {pid: Path(f"/proc/{pid}/cmdline") for pid in descendants(os.getpid())}
    return [pid for pid, name in names.items() if b"ImplicitFunc" in name.read_bytes()]


def test_a_trial_without_memory_is_tried_once_more_and_alone(tmp_path: Path) -> None:
    run_all(FEW, tmp_path, train="tests.nas.standins:out_of_memory")
    twins = {
        r.trial.number: r for r in RunDirectory(tmp_path).read_records()[0] if r.trial.study.space == "twin"
    }
    assert [(twins[number].status, twins[number].attempts) for number in range(3)] == [
        ("completed", 2),
        ("failed", 2),
        ("completed", 1),
    ]
    assert twins[1].reason.startswith("MemoryError: no room")
    assert twins[0].co_residents == 0


@pytest.mark.slow
def test_a_checkpoint_that_is_too_large_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []

    def pause(steering: Steering) -> None:
        if list(tmp_path.glob("trials/*/record.json")):
            steering.pause("enough")

    config = replace(LONGER, checkpoint_gb=1e-6)
    run_all(config, tmp_path, "stopped", on_tick=pause, say=said.append)
    (line,) = said
    assert line.startswith("no checkpoint of trial") and "checkpoint_gb leaves a trial" in line
    assert not list(tmp_path.glob("trials/*/checkpoint.pt"))


def test_ray_that_is_already_up_stays_up(tmp_path: Path) -> None:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=50)
    try:
        said: list[str] = []
        run_all(FEW, tmp_path, train="tests.nas.standins:closed_form")
        assert ray.is_initialized()
        assert ray.get(ray.put("still there")) == "still there"
        with pytest.raises(
            ValueError, match=r"--gpus-per-trial 0.5 asks for accelerators and the cluster has"
        ):
            run_all(FEW, tmp_path / "b", gpus_per_trial=0.5, node_seconds=0)
        with pytest.raises(ValueError, match="one trial needs 3 processors and 0 accelerators"):
            run_all(replace(FEW, cpus_per_trial=3), tmp_path / "c", node_seconds=1, say=said.append)
        assert len(said) == 1 and said[0].startswith("waiting up to 1 s for a node: one trial needs 3")
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_run_ends_although_a_slot_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_IMPORT", str(tmp_path / "imported"))
    monkeypatch.setattr("nas.search.LEAVE_SECONDS", 2.0)
    run_all(FEW, tmp_path / "run", train="tests.nas.hanging:closed_form")
    assert len(RunDirectory(tmp_path / "run").read_records()[0]) == 6


@pytest.mark.slow
def test_a_cluster_that_a_run_starts_refuses_who_has_no_token(tmp_path: Path) -> None:
    import ray

    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    without = kept | {"HOME": str(tmp_path)}
    got_in: list[bool] = []

    def knock(steering: Steering) -> None:
        if not got_in:
            address = ray.get_runtime_context().gcs_address
            for mode in ("token", "disabled"):
                got_in.append(let_in(address, without | {"RAY_AUTH_MODE": mode}))
            token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.environ["RAY_AUTH_TOKEN"]}
            got_in.append(let_in(address, without | token))

    run_all(FEW, tmp_path / "run", train="tests.nas.standins:closed_form", on_tick=knock)
    assert got_in == [False, False, True]


@pytest.mark.slow
def test_the_only_slot_is_replaced_if_it_never_gets_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_IMPORT", str(tmp_path / "imported"))
    said: list[str] = []
    alone = replace(FEW, cpus_per_trial=os.cpu_count() or 1)
    run_all(
        alone, tmp_path / "run", train="tests.nas.hanging:closed_form", silent_seconds=6.0, say=said.append
    )
    assert len(RunDirectory(tmp_path / "run").read_records()[0]) == 6
    assert len(said) == 1 and said[0].endswith("gives no sign: another is started")


@pytest.mark.slow
def test_a_run_that_grows_once_its_slots_have_ended_goes_on(tmp_path: Path) -> None:
    grown = replace(FEW, population=FEW.population + 2)
    shapes = {task.name: open_task(task).shape for task in FEW.the_tasks()}
    asked_for: list[SearchConfig] = []

    def grow(steering: Steering) -> None:
        if not asked_for:
            wait_for(tmp_path, "trials/*/record.json", 6)
            time.sleep(3)  # the slots end meanwhile, and Tune after them
            steering.grow(grown, grown.the_tasks(), shapes)
            asked_for.append(grown)

    run_all(FEW, tmp_path, train="tests.nas.standins:closed_form", on_tick=grow)
    assert len(RunDirectory(tmp_path).read_records()[0]) == 8


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_run_again(tmp_path: Path) -> None:
    with start_driver(tmp_path) as driver:
        wait_for(tmp_path / "run", "trials/*/record.json", 3)
        record = RunDirectory(tmp_path / "run").read_records()[0][0]
        os.kill(record.process, signal.SIGKILL)
        output, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, output
    records = RunDirectory(tmp_path / "run").read_records()[0]
    assert {each.status for each in records} <= {"completed", "stopped"}
    assert len({each.process for each in records}) > (os.cpu_count() or 1)
