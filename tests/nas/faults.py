"""Faults on real processes: a small real run is hurt at a moment that a seed gives, resumed until it is done,
and compared with one that nobody touched.

`python -m tests.nas.faults --count 30 --seed 0` is the soak; with `--write` its table goes to docs/faults.md.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from nas.config import SearchConfig
from nas.run_directory import RunDirectory
from tests.nas.sites import Site, site, title
from trials.record import TrialRecord
from trials.surroundings import commit

ROOT = Path(__file__).parent.parent.parent
MOST_STARTS = 8
HOUR = 3600.0


def plan() -> SearchConfig:
    """12 trials of some seconds, of every kind that may be lost: `nas run tests/nas/faults.py:plan`."""
    return SearchConfig(
        name="faults",
        tasks=("digits",),
        epochs=10,
        defaults=(),
        population=4,
        repeats=0,
        seeds=2,
        search_trials=4,
        search_seeds=1,
        finalist_seeds=1,
        grace_epochs=2,
    )


# ---------------------------------------------------------------------- faults


def kill_worker(here: Site, rng: random.Random) -> None:
    """SIGKILL to the process of a slot."""
    os.kill(_some(here.workers, rng), signal.SIGKILL)


def stall_worker(here: Site, rng: random.Random) -> None:
    """SIGSTOP to the process of a slot; half of them go on some seconds later, if they are still there."""
    worker = _some(here.workers, rng)
    os.kill(worker, signal.SIGSTOP)
    if rng.random() < 0.5:
        time.sleep(rng.uniform(4, 12))
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


def kill_driver(here: Site, rng: random.Random) -> None:
    """SIGKILL to the driver alone."""
    assert here.driver is not None
    here.driver.kill()


def kill_cluster(here: Site, rng: random.Random) -> None:
    """SIGKILL to driver, gcs, raylets and workers at once."""
    here.kill_all()


def kill_node(here: Site, rng: random.Random) -> None:
    """SIGKILL to the raylet of the second node; its workers go with it."""
    raylets = [each for each in here.processes() if title(each).split(" ")[0].endswith("raylet/raylet")]
    os.kill(raylets[-1], signal.SIGKILL)


def preempt(here: Site, rng: random.Random) -> None:
    """SIGTERM to the driver: it should save, and leave with 75."""
    assert here.driver is not None
    here.driver.terminate()


def nothing(here: Site, rng: random.Random) -> None:
    """The fault is in the environment already."""


def fill_disk(here: Site, rng: random.Random) -> None:
    """No room left on the file system of the run directory."""
    here.resize_disk(str(shutil.disk_usage(here.seen_path).used))


STRIKE: dict[str, Callable[[Site, random.Random], None]] = {
    "worker killed": kill_worker,
    "worker stalled": stall_worker,
    "node killed": kill_node,
    "driver killed": kill_driver,
    "cluster killed": kill_cluster,
    "preempted": preempt,
    "disk full": fill_disk,
    "write errors": nothing,
    "clock jumps": nothing,
}
ON_NODES = ("node killed", "driver killed")
"""Those that need a cluster which is not the driver's own."""
FROM_CHECKPOINTS = (
    "worker killed",
    "driver killed",
    "cluster killed",
    "preempted",
    "disk full",
)
"""After these a trial that had a checkpoint must go on from it, if it had not ended when the fault came; on a
node that dies there may be none."""
FROM_WITHIN = ("write errors", "clock jumps")
"""Those that processes do to themselves, counted by them."""


def _some(found: Callable[[], list[int]], rng: random.Random) -> int:
    until = time.monotonic() + 60
    while not (processes := found()):
        assert time.monotonic() < until, "no slot is at work"
        time.sleep(0.1)
    return rng.choice(processes)


# ---------------------------------------------------------------------- a fault, from beginning to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a fault.

    Attributes:
        codes: exit codes of the drivers, in order.
        continued: trials that were interrupted and went on from a checkpoint.
        struck: times that a process hurt itself.
    """

    kind: str
    seed: int
    codes: list[int]
    continued: int
    struck: int
    seconds: float


def suffer(kind: str, seed: int, folder: Path, undisturbed: RunDirectory) -> Outcome:
    """Run the plan with a fault, go on until it is done, compare.

    Raises:
        AssertionError: something was lost, done twice, or done otherwise.
    """
    rng = random.Random(f"{kind} {seed}")
    began = time.monotonic()
    with site(folder / "disk" / "run", 2 if kind in ON_NODES else 0) as here:
        if kind == "disk full":
            here.small_disk()
        elif kind == "write errors":
            number = rng.choice((errno.EIO, errno.ENXIO))  # the first may pass, the second does not
            here.faults = {"below": str(here.path), "every": rng.randint(5, 20), "errno": number}
        elif kind == "clock jumps":
            here.faults = {"after": rng.uniform(5, 15), "jump": rng.choice([-30, -1, 1, 30]) * HOUR}
        here.start()
        here.wait_for_records(rng.randint(1, 9))
        if not (kind in FROM_CHECKPOINTS and here.wait_for_checkpoints()):
            time.sleep(rng.uniform(0, 1.5))
            here.remember_checkpoints()
        STRIKE[kind](here, rng)
        codes = [here.wait()]
        if codes[-1] != 0:
            here.note_left()
        here.faults = {}
        if kind == "disk full":
            here.resize_disk("200m")
        while codes[-1] != 0 and len(codes) < MOST_STARTS:
            here.start()
            codes.append(here.wait())
        if codes[-1] != 0:
            raise AssertionError(f"not done after exit codes {codes}\n{here.output[-3000:]}")
        continued, struck = check(here, undisturbed), here.struck
        assert struck or kind not in FROM_WITHIN, "the fault never struck"
    seconds = time.monotonic() - began
    return Outcome(kind=kind, seed=seed, codes=codes, continued=continued, struck=struck, seconds=seconds)


def check(here: Site, undisturbed: RunDirectory) -> int:
    """Compare a run with the undisturbed one: how many trials went on from what a checkpoint held.

    Raises:
        AssertionError: with what is wrong.
    """
    (trials, damaged), (records, unreadable) = here.run.read_trials(), here.run.read_records()
    assert not damaged and not unreadable, (damaged, unreadable)
    ended = {record.trial.id: record for record in records}
    assert len(ended) == len(records), "two records of one trial"
    assert set(ended) == {trial.id for trial in trials}, "designs without a record, or records without one"
    for name, record in here.seen.items():
        assert ended[name] == record, f"the record of {name} changed"
    wanted = {record.trial.id: record for record in undisturbed.read_records()[0]}
    count = Counter(record.trial.study for record in wanted.values())
    assert Counter(trial.study for trial in trials) == count, "other numbers of trials"
    for study, many in count.items():
        assert sorted(trial.number for trial in trials if trial.study == study) == list(range(many)), study
    for name, record in wanted.items():
        if record.trial.study.kind == "population" or record.trial.study.space == plan().single:
            assert untimed(ended[name]) == untimed(record), f"{name} differs"
            if record.trial.study.kind == "finalist":
                ours, theirs = (_weights(run, name) for run in (here.run, undisturbed))
                assert ours == theirs, f"the weights of {name} differ"
    assert all(record.status != "failed" for record in records), [r.reason for r in records if r.reason]
    continued = 0
    for name, curve in here.begun.items():
        kept = _seconds(curve)
        again = [metrics.seconds_training for metrics in ended[name].curve[: len(kept)]]
        assert again == kept, f"{name} trained again what its checkpoint held"
        continued += name in here.left or ended[name].attempts > 1
    return continued


def untimed(record: TrialRecord) -> object:
    """What must repeat bit for bit."""
    curve = [replace(m, seconds_data=0.0, seconds_training=0.0, seconds_evaluation=0.0) for m in record.curve]
    return record.trial, record.status, curve, record.test


def _seconds(curve: list[object]) -> list[float]:
    return [float(metrics["seconds_training"]) for metrics in curve]


def _weights(run: RunDirectory, name: str) -> bytes:
    return (run.path / "trials" / name / "weights.safetensors").read_bytes()


def run_undisturbed(folder: Path) -> RunDirectory:
    """The plan, untouched."""
    with site(folder / "run") as here:
        here.start()
        code = here.wait()
        assert code == 0, here.output[-3000:]
    return here.run


# ---------------------------------------------------------------------- the soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/faults.md")
    arguments = parser.parse_args()
    order = list(STRIKE) * (arguments.count // len(STRIKE) + 1)
    lines = [
        "| fault | seed | exit codes | went on from a checkpoint | struck from within | s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    wrong, went_on = 0, set()
    with tempfile.TemporaryDirectory(prefix="nas-faults-") as temporary:
        undisturbed = run_undisturbed(Path(temporary) / "undisturbed")
        for i, kind in enumerate(order[: arguments.count]):
            seed = arguments.seed + i
            try:
                done = suffer(kind, seed, Path(temporary) / str(i), undisturbed)
                codes = ", ".join(map(str, done.codes))
                went_on |= {kind} if done.continued else set()
                what = f"{codes} | {done.continued} | {done.struck} | {done.seconds:.0f}"
            except Exception as error:  # also of the harness: the others are still done
                wrong += 1
                said = (str(error).splitlines() or [""])[0].replace("|", "/")
                what = f"WRONG: {type(error).__name__}: {said} | | |"
                traceback.print_exc()
            lines.append(f"| {kind} | {seed} | {what} |")
            print(lines[-1], flush=True)
    for kind in {*order[: arguments.count]} & {*FROM_CHECKPOINTS} - went_on:
        wrong += 1
        lines.append(f"| {kind} | all | WRONG: no trial ever went on from its checkpoint | | | |")
        print(lines[-1], flush=True)
    if arguments.write:
        _write(lines, arguments.count, wrong)
    sys.exit(1 if wrong else 0)


def _write(lines: list[str], count: int, wrong: int) -> None:
    page = ROOT / "docs" / "faults.md"
    head, _, _ = page.read_text().partition("## The soak")
    said = (
        f"{count} faults, {wrong} wrong; {date.today()}, commit {commit()}. "
        "Disk full: a tmpfs of the run's own, in a mount namespace, made as small as what lies in it."
    )
    page.write_text(f"{head}## The soak\n\n{said}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
