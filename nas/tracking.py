"""Trials as MLflow shows them.

One experiment per run of the product; in it a parent run per study and a child per trial. All of it
follows from trials and records: putting the same thing twice adds nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, starmap
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from nas.datasets import described
from nas.mlflow_client import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowException,
    Param,
    Run,
    RunTag,
    client_of,
)
from nas.run_directory import RunInfo
from nas.tracked import (
    Closing,
    final,
    parameters,
    point,
    record_parameters,
    record_tags,
    run_task,
    shown,
    study_tags,
    summary_tags,
    trial_tags,
)
from nas.tracked_files import LONGEST_PARAMETER, LONGEST_TAG, digest, files_of, fitting
from search_spaces.architecture import Option
from trials.record import EpochMetrics, Study, Trial, TrialRecord
from trials.storage import Storage

T = TypeVar("T")
PARENT = "mlflow.parentRunId"
STATUS = {
    "running": "RUNNING",
    "waiting": "SCHEDULED",
    "completed": "FINISHED",
    "stopped": "KILLED",
    "failed": "FAILED",
}
"""What MLflow calls the states of a trial, by our word, which is its tag `nas.status`. A stopped trial is not
shown as a complete one."""
OPEN = (STATUS["running"], STATUS["waiting"])
MOST = (800, 100, 100)
"""Metrics, parameters and tags a call; MLflow takes 1,000 things, 100 parameters and 100 tags."""
QUICK = 3.0
"""Seconds: a call that failed so soon is made again at once, one that took longer only some time later."""
SUMMARY = "comparison"
NOTE = """A comparison of design spaces. `tags.nas.level = 'trial'` shows trials, `'study'` their parents,
`'comparison'` the report; see also `nas.task`, `nas.space`, `nas.kind`, `nas.status`, `nas.finalist`."""


@dataclass(slots=True)
class _Run:
    """What MLflow has of a study or a trial.

    Attributes:
        id: MLflow's.
        status: MLflow's.
        epoch: the last one that it has with all metrics.
        parameters: how many it has.
        files: digest of its artifacts once all of them are there.
    """

    id: str
    status: str = "RUNNING"
    epoch: int = 0
    parameters: int = 0
    files: str = ""


class _Seen(NamedTuple):
    """A run as it was listed. Of two of one name the one of more `weight` stays: ended, larger, older."""

    run: _Run
    parent: str
    weight: tuple[bool, int, int]
    chosen: bool


class Store:
    """An experiment in an MLflow tracking store. For one thread at a time.

    Args:
        uri: of the store: ``sqlite:///...`` or a server's.
        experiment: its name; made if it is not there.
        artifacts: local folder for artifacts, None to leave that to the server.
        folder: of a trial by its id, whose predictions become artifacts; None: they do not.
        info: of the run as it is now: what gives designs their numbers and tasks their digest.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifacts: Path | None,
        folder: Callable[[str], Storage] | None = None,
        info: Callable[[], RunInfo | None] = lambda: None,
    ) -> None:
        self._folder, self._info = folder, info
        self._client = client_of(uri)
        self.experiment_id = self._experiment(experiment, artifacts)
        self._runs: dict[str, _Run] = {}  # by name of study or trial
        self._chosen: set[str] = set()  # trials that are marked so
        self._doubtful: set[str] = set()  # names of which a run may have been made without our hearing of it
        self.tidy()

    def tidy(self) -> None:
        """Look at what is there. Of two runs of one name, of which one seemed not to be made, one goes."""
        found: dict[str, list[_Seen]] = {}
        for run in self._listed():
            found.setdefault(run.data.tags.get("nas.name", ""), []).append(_seen(run))
        found.pop("", None)
        parents = {each.parent for runs in found.values() for each in runs}
        instead: dict[str, str] = {}  # runs that go, and which stay
        for name, runs in found.items():
            best, *others = sorted(runs, key=lambda each: (each.run.id in parents, each.weight), reverse=True)
            for other in others:
                _twice(partial(self._client.delete_run, other.run.id))
                instead[other.run.id] = best.run.id
            found[name] = [best]
            self._runs[name] = best.run
            if best.chosen:
                self._chosen.add(name)
        for [seen] in found.values() if instead else ():
            if seen.parent in instead:
                _twice(partial(self._client.set_tag, seen.run.id, PARENT, instead[seen.parent]))

    def add(self, trial: Trial, curve: Sequence[EpochMetrics], started: float) -> None:
        """A trial runs: the run of it, made if it is not there, and epochs of its curve that are new.

        Args:
            trial: the trial.
            curve: epochs in their order; those sent before are passed over.
            started: Unix time.
        """
        run, values = self._begun(trial, started)
        self._state(run, "running")
        fresh = [each for each in shown(curve, ended=False) if each.epoch > run.epoch]
        self._send(run, _points(fresh, started), values)
        run.epoch = fresh[-1].epoch if fresh else run.epoch

    def wait(self, trial: Trial, started: float, running: bool = False) -> None:
        """A trial has no record yet, and runs nowhere unless `running` says so."""
        run, values = self._begun(trial, started)
        self._send(run, [], values)
        self._state(run, "running" if running else "waiting")

    def end(self, record: TrialRecord) -> None:
        """A record: the rest of its curve, final figures and status, files."""
        trial, at = record.trial, round(record.finished * 1000)
        run = self._runs.get(trial.id)
        if run is None or run.status in OPEN:
            run, values = self._begun(trial, record.started)
            grid = {each.epoch for each in shown(record.curve, ended=False)}
            rest = [e for e in shown(record.curve, ended=True) if e.epoch > run.epoch or e.epoch not in grid]
            metrics = _points(rest, record.started)
            metrics += [Metric(key, value, at, 0) for key, value in final(record).items()]
            self._send(run, metrics, {**values, **record_parameters(record)}, record_tags(record))
            self._end(run, record.status, at)
        if not run.files and (files := files_of(record, self._folder)):
            self._keep(run, files)

    def finish(self, closing: Closing) -> None:
        """Bring parents up to date, and keep the report as artifacts of a summary run."""
        for summary in closing.studies:
            run = self._study(summary.study, summary.finished)
            tags = summary_tags(summary)
            self._send(run, [], {}, tags | {"nas.status": "completed"} if summary.done else tags)
            if summary.done:
                self._end(run, "completed", round(summary.finished * 1000))
            else:
                self._state(run, "waiting")
        for name in closing.chosen - self._chosen & self._runs.keys():
            self._send(self._runs[name], [], {}, {"nas.chosen": "true"})
            self._chosen.add(name)
        run = self._runs.get(SUMMARY) or self._create(SUMMARY, {"nas.level": "comparison"}, closing.began)
        if digest(closing.files) != run.files:
            self._keep(run, closing.files)
        if closing.done:
            self._send(run, [], {}, {"nas.status": "completed"})
            self._end(run, "completed", round(closing.finished * 1000))
        else:
            self._state(run, "waiting")

    def _begun(self, trial: Trial, started: float) -> tuple[_Run, dict[str, Option]]:
        """The run of a trial, made if it is not there, and the parameters that it lacks."""
        run = self._runs.get(trial.id)
        if run is None:
            tags = {PARENT: self._study(trial.study, started).id, **trial_tags(trial)}
            run = self._create(trial.id, tags, started)
        info = self._info()
        values = parameters(trial, info)
        if run.parameters >= len(values):
            return run, {}
        if (task := run_task(trial.study.task, info)) is not None:
            data = DatasetInput(Dataset(**described(task)), [InputTag("mlflow.data.context", "training")])
            _twice(partial(self._client.log_inputs, run.id, [data]))
        return run, values

    def _study(self, study: Study, started: float) -> _Run:
        run = self._runs.get(study.name)
        return run or self._create(study.name, {**study_tags(study), "nas.level": "study"}, started)

    def _create(self, name: str, tags: Mapping[str, str], started: float) -> _Run:
        """Make a run. A call that failed may have made one, or do so yet: `tidy` removes what came late."""
        short, _ = fitting({**tags, "nas.name": name, "nas.status": "running"}, LONGEST_TAG, "tags")
        for last in (False, True):
            if name in self._doubtful and (known := self._found(name)) is not None:
                run = _known(known)
                break
            began = time.monotonic()
            try:
                made = self._client.create_run(
                    self.experiment_id, start_time=round(started * 1000), tags=short, run_name=name
                )
                run = _Run(id=made.info.run_id)
                break
            except Exception:
                self._doubtful.add(name)
                if last or time.monotonic() - began > QUICK:
                    raise
        self._runs[name] = run
        return run

    def _found(self, name: str) -> Run | None:
        query = f"tags.`nas.name` = '{name}'"
        found = _twice(partial(self._client.search_runs, [self.experiment_id], query, max_results=1))
        return found[0] if found else None

    def _send(
        self,
        run: _Run,
        metrics: Sequence[Metric],
        values: Mapping[str, Option],
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """As many calls as it takes; a call may be made again, since MLflow keeps one of equal things."""
        short, _ = fitting({key: str(value) for key, value in values.items()}, LONGEST_PARAMETER, "params")
        said, _ = fitting(tags, LONGEST_TAG, "tags")
        points, params, words = iter(metrics), starmap(Param, short.items()), starmap(RunTag, said.items())
        while True:
            some = list(islice(points, MOST[0])), list(islice(params, MOST[1])), list(islice(words, MOST[2]))
            if not any(some):
                return
            _twice(partial(self._client.log_batch, run.id, some[0], some[1], some[2]))
            run.parameters += len(some[1])

    def _state(self, run: _Run, word: str) -> None:
        if run.status != STATUS[word]:
            _twice(partial(self._client.set_tag, run.id, "nas.status", word))
            _twice(partial(self._client.update_run, run.id, STATUS[word]))
            run.status = STATUS[word]

    def _end(self, run: _Run, word: str, at: int) -> None:
        if run.status != STATUS[word]:
            _twice(partial(self._client.set_terminated, run.id, STATUS[word], at))
            run.status = STATUS[word]

    def _keep(self, run: _Run, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.id, folder)
        _twice(partial(self._client.set_tag, run.id, "nas.files", digest(files)))
        run.files = digest(files)

    def _experiment(self, name: str, artifacts: Path | None) -> str:
        location = artifacts.resolve().as_uri() if artifacts else None
        for last in (False, True):
            if (known := _twice(partial(self._client.get_experiment_by_name, name))) is not None:
                return str(known.experiment_id)
            try:
                return self._client.create_experiment(name, location, tags={"mlflow.note.content": NOTE})
            except MlflowException:  # someone was quicker, or it was made and we were not told
                if last:
                    raise
        raise AssertionError("the last attempt returned or raised")

    def _listed(self) -> Iterator[Run]:
        token = None
        while True:
            find = partial(self._client.search_runs, [self.experiment_id], max_results=1000)
            page = _twice(partial(find, page_token=token))
            yield from page
            if not (token := page.token):
                return


def _known(run: Run) -> _Run:
    return _Run(
        id=run.info.run_id,
        status=run.info.status,
        epoch=int(run.data.metrics.get("epoch", 0)),
        parameters=len(run.data.params),
        files=run.data.tags.get("nas.files", ""),
    )


def _seen(run: Run) -> _Seen:
    size = len(run.data.metrics) + len(run.data.params)
    return _Seen(
        run=_known(run),
        parent=run.data.tags.get(PARENT, ""),
        weight=(run.info.status not in OPEN, size, -run.info.start_time),
        chosen="nas.chosen" in run.data.tags,
    )


def _points(curve: Sequence[EpochMetrics], started: float) -> list[Metric]:
    metrics = []
    for each in curve:
        at, values = point(each, started)
        metrics += [Metric(key, value, at, each.epoch) for key, value in values.items()]
    return metrics


def _twice(call: Callable[[], T]) -> T:
    """The result of a call that may be made again: once at once, if it failed quickly."""
    began = time.monotonic()
    try:
        return call()
    except Exception:
        if time.monotonic() - began > QUICK:
            raise
        return call()
