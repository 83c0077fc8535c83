"""Trials over a Ray cluster: the only file that knows Ray.

Ray Tune keeps one long trial per slot, in one kept process: it places the slot on a node and gives it its
share of a device. What a slot trains is not Tune's business: the slot asks the board, an actor beside the
driver that holds the `Schedule` and writes the run directory, for one design after another. A slot that dies
is not started again; another one is, as for nodes that join. (Why: docs/decisions/0001-slots.md.)
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

os.environ.update(
    {  # read when Ray is imported; a user's own values win
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
        "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # all slots start at once
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_AUTH_MODE": "token",  # also to a cluster that was started by hand
        "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread that is left when Ray ends would start another
        "TUNE_DISABLE_AUTO_INIT": "1",
    }
    | dict(os.environ)
)

import ray
from ray import tune
from ray._private import utils as _utils
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.address import refuse_dead
from nas.board import SILENT_SECONDS, Board
from nas.config import SearchConfig
from nas.ending import how_it_ended
from nas.interrupt import Asked, Ended, put_back
from nas.lease import Lease
from nas.messages import Event, News
from nas.placement import Place, Placement, share_in_time, slots_on
from nas.probe import facts
from nas.requests import Steering
from nas.run_directory import RunDirectory
from nas.shipping import ship
from nas.slot import POLL_SECONDS, Gone, end_process, work
from nas.tracking_place import without_credentials
from search_spaces.space import TaskShape
from trials.record import TrialRecord
from trials.reference import Task

TRAIN = "nas.finalists:train_and_test"
LEAVE_SECONDS = 30.0
"""How long running trials have to save themselves once a run is to end."""
KILL_SECONDS = 5.0
STORE_BYTES = 200_000_000  # of Ray's object store on this machine; trials read their data from files
SLOW_SECONDS = 10.0  # between slots where one after another dies at once
NODE_SECONDS = 180.0  # that a cluster of others may take to get a node on which a trial has room


class _Slots(Searcher):
    """Suggests to Tune one more slot while the cluster can hold more: nodes may join and leave."""

    def __init__(self, board: Any, cpus: int, share: float) -> None:
        super().__init__()
        self._board, self.cpus, self.share = board, cpus, share
        self._live: dict[str, int] = {}
        self._number, self._next = 0, 0.0
        self.wanted = self.room()
        self.over = False

    def room(self) -> int:
        """Slots that the nodes of the cluster can hold."""
        return sum(slots_on(there, self.cpus, self.share) for there in _nodes())

    def suggest(self, trial_id: str) -> Any:
        if self.over and not self._live:
            return Searcher.FINISHED  # for good, so not while the run may still grow
        if self.over or len(self._live) >= self.wanted or time.monotonic() < self._next:
            return None
        self._live[trial_id] = self._number
        self._number += 1
        return {"slot": self._live[trial_id]}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        slot = self._live.pop(trial_id)
        slow, self.over = _ask(self._board, "lost" if error else "ended", slot)
        self._next = time.monotonic() + SLOW_SECONDS if slow else 0.0

    def save(self, checkpoint_path: str) -> None: ...
    def restore(self, checkpoint_path: str) -> None: ...


class _Quiet(TrialProgressCallback):
    """Tune would print a line for every slot; the run shows its own progress."""

    def _print(self, msg: str) -> None: ...
    def log_result(self, trial: object, result: object, error: bool = False) -> None: ...


def execute(
    config: SearchConfig,
    tasks: tuple[Task, ...],
    shapes: dict[str, TaskShape],
    directory: RunDirectory,
    *,
    lease: Lease,
    asked: Asked,
    address: str | None,
    gpus_per_trial: float | Literal["auto"] | None,
    train: str = TRAIN,
    silent_seconds: float = SILENT_SECONDS,
    node_seconds: float = NODE_SECONDS,
    on_start: Callable[[int, list[TrialRecord]], None],
    on_news: Callable[[list[Event], int], None],
    on_tick: Callable[[Steering], None] = lambda steering: None,
    say: Callable[[str], None],
) -> Ended:
    """Run what is left of a run.

    Args:
        config, tasks, shapes, directory: the run; the directory is started and held.
        lease: that holds it.
        asked: whether a signal asks it to end.
        address: of a running cluster, None to start one on this machine (or use RAY_ADDRESS).
        gpus_per_trial: share of an accelerator for each trial; "auto": by what trials were measured to need;
            None: a whole one where there are any.
        train: what takes a trial from its beginning to its record (`nas.slot.Train`), as ``module:function``.
        silent_seconds: a slot that gave no sign for so long is ended and its trial given to another.
        node_seconds: how long a cluster that is not started here is waited for until it has a fitting node.
        on_start: called once with the number of slots and the records that were there already.
        on_news: called a few times a second with new events and the number of planned trials.
        on_tick: called as often, to steer the run.
        say: one line for the user.

    Raises:
        ValueError: the cluster cannot be reached or is too small for one trial, no node can run one, or the
            run directory cannot be written; running trials have then saved themselves where they could.
        RuntimeError: the slots cannot work at all, five trials failed of one cause, or the run is in other
            hands.
    """
    folder = Path.cwd()  # a submitted job's is laid out anew once it connects
    waits = ray.is_initialized() or (address or os.environ.get("RAY_ADDRESS", "local")) != "local"
    ours = _connect(address, say)
    storage = tempfile.mkdtemp(prefix="nas-tune-")
    board, over = None, threading.Event()
    try:
        patience = node_seconds if waits else 0
        share = share_in_time(_nodes, config.cpus_per_trial, gpus_per_trial, patience, asked, say)
        if asked.how:
            return Ended(how=asked.how)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(Board)
        board = actor.options(num_cpus=0, scheduling_strategy=here).remote(silent_seconds)
        placement = Placement(None if gpus_per_trial == "auto" else share)
        directory = directory.absolute()
        run = (config, tasks, shapes, directory, lease, placement, facts(), folder)
        started = board.start.remote(*run)
        given = {
            "board": board,
            "directory": directory,
            "threads": config.cpus_per_trial,
            "accelerated": share > 0,
            "train": train,
        }
        function = tune.with_parameters(_slot, **given)
        threading.Thread(target=_pause_once, args=(asked, board, over), daemon=True).start()
        ended = None
        slots = _Slots(board, config.cpus_per_trial, share)
        while ended is None:  # again where a larger plan came when Tune had just ended
            slots.over = False
            tuner = _tuner(slots, function, tempfile.mkdtemp(dir=storage))
            ended = _watch(tuner, slots, board, started, directory, asked, on_start, on_news, on_tick, say)
            on_start = _nothing
        return ended
    except Gone:
        raise RuntimeError("the board died; go on with --resume") from None
    finally:
        over.set()
        if ours:
            ray.shutdown()
        elif board is not None:
            ray.kill(board)  # slots that are still there end
        shutil.rmtree(storage, ignore_errors=True)


def _nothing(slots: int, records: list[TrialRecord]) -> None: ...


def _pause_once(asked: Asked, board: Any, over: threading.Event) -> None:
    """Tell the board of a signal at once, whatever the driver is at."""
    while not over.wait(POLL_SECONDS):
        if asked.how:
            with suppress(Exception, Gone):  # the driver sees for itself that the board is gone
                _ask(board, "pause")
            return


def _tuner(slots: _Slots, function: Any, storage: str) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(function, {"cpu": slots.cpus, "gpu": slots.share}),
        tune_config=tune.TuneConfig(search_alg=slots, num_samples=-1),
        run_config=tune.RunConfig(
            name="slots",
            storage_path=storage,
            verbose=0,
            callbacks=[_Quiet()],
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )


def _slot(slot: dict[str, int], board: Any, **given: Any) -> None:
    work(slot["slot"], ray.get_runtime_context().get_node_id(), partial(_ask, board), **given)


def _ask(board: Any, method: str, *arguments: Any) -> Any:
    return _got(getattr(board, method).remote(*arguments))


def _got(answer: Any) -> Any:
    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError as error:
        raise Gone from error


def _watch(
    tuner: tune.Tuner,
    slots: _Slots,
    board: Any,
    started: Any,
    directory: RunDirectory,
    asked: Asked,
    on_start: Callable[[int, list[TrialRecord]], None],
    on_news: Callable[[list[Event], int], None],
    on_tick: Callable[[Steering], None],
    say: Callable[[str], None],
) -> Ended | None:
    """Pass news on until every slot has ended, or has not long after it should have."""
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            tuner.fit()
        except BaseException as error:  # also SystemExit, which a thread would swallow
            failure.append(error)

    fitting = threading.Thread(target=fit, daemon=True)
    fitting.start()
    _got(started)
    on_start(slots.wanted, directory.read_records()[0])
    steering = Steering(partial(_ask, board))
    ending: float | None = None
    looked = time.monotonic()
    while True:
        alive = fitting.is_alive()
        if time.monotonic() - looked > 2:
            slots.wanted, looked = slots.room(), time.monotonic()
        news: News = _ask(board, "news", slots.wanted)
        on_news(list(news.events), news.total)
        for line in news.lines:
            say(line)
        if not alive or (ending is not None and time.monotonic() - ending > LEAVE_SECONDS):
            break
        for slot, place in news.stalled:
            say(f"a slot on {place.host} (process {place.process}) gives no sign: another is started")
            _kill(place)
            _ask(board, "lost", slot)
        on_tick(steering)
        slots.over = news.done
        leaves = asked.how or steering.why or news.error or (news.done and not news.running)
        ending = (ending or time.monotonic()) if leaves else None
        fitting.join(POLL_SECONDS)
    return how_it_ended(news, asked.how, steering.why, failure)


def _nodes() -> list[dict[str, float]]:
    """What each node of the cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _kill(place: Place) -> None:
    """End a process on its node; a node that does not answer is left to Ray."""
    there = NodeAffinitySchedulingStrategy(place.node, soft=False)
    kill: Any = ray.remote(end_process)
    killing = kill.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    ray.wait([killing.remote(place.process)], timeout=KILL_SECONDS)


def _connect(address: str | None, say: Callable[[str], None]) -> bool:
    """Attach to Ray, or start it here; whether it is ours to leave."""
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS", "local")
    refuse_dead(address)
    if os.environ["RAY_AUTH_MODE"] != "token":
        say(f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']}: whoever reaches this cluster's ports can use it")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    here = address == "local"
    with tempfile.TemporaryDirectory(prefix="nas-code-") as code, _as_a_guest(here), without_credentials():
        if ships := not here and "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # a submitted job has code
            ship(Path(code))
        try:
            ray.init(
                address=address,
                include_dashboard=False if here else None,
                object_store_memory=STORE_BYTES if here else None,
                runtime_env={"working_dir": code} if ships else None,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=True,
            )
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            said = str(error).strip().splitlines()[0]
            raise ValueError(f"no Ray cluster lets us in at {address}: {said}") from error
    return True


@contextmanager
def _as_a_guest(here: bool) -> Iterator[None]:
    """While Ray starts it leaves our signals alone, and its agents here have no HTTP server.

    For the port of that server they would wait for seconds.
    """
    before = _utils.get_dashboard_dependency_error, _utils.set_sigterm_handler
    if here:
        _utils.get_dashboard_dependency_error = lambda: ImportError("not wanted")
    _utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        _utils.get_dashboard_dependency_error, _utils.set_sigterm_handler = before
        put_back()
