"""Trials as MLflow shows them.

One experiment per run of the product; in it a parent run per study and a child per trial. All of it
follows from trials and records: putting the same thing twice adds nothing.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, starmap
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from nas.datasets import described
from nas.mlflow_client import (
    QUICK,
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowException,
    Param,
    Run,
    RunTag,
    client_of,
    twice,
)
from nas.run_directory import RunInfo
from nas.tracked import (
    Closing,
    StudySummary,
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
from nas.tracked_runs import NOTED, OPEN, PARENT, STATUS, Seen, Tracked, seen_in, tracked
from nas.writer import Refused
from search_spaces.architecture import Option
from trials.record import EpochMetrics, Study, Trial, TrialRecord
from trials.storage import Storage

T = TypeVar("T")
MOST = (800, 100, 100)
"""Metrics, parameters and tags a call; MLflow takes 1,000 things, 100 parameters and 100 tags."""
PAGE = 200
"""Runs that are asked for at once, so that a loaded server answers in time."""
SUMMARY = "comparison"
NONE: Mapping[str, str] = MappingProxyType({})
NOTE = """A comparison of design spaces. `tags.nas.level = 'trial'` shows trials, `'study'` their parents,
`'comparison'` the report; see also `nas.task`, `nas.space`, `nas.kind`, `nas.status`, `nas.finalist`."""


class Store:
    """An experiment in an MLflow tracking store. For one thread at a time, but `end` may run side by side.

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
        self._runs: dict[str, Tracked] = {}  # by name of study or trial
        self._making = threading.Lock()  # of parents, which trials share
        self._chosen: set[str] = set()  # trials that are marked so
        self._doubtful: set[str] = set()  # names of which a run may have been made without our hearing of it
        self.tidy()

    def tidy(self) -> None:
        """Look at what is there. Of two runs of one name (one seemed not to be made) an empty one goes."""
        found: dict[str, list[Seen]] = {}
        for run in self._listed():
            found.setdefault(run.data.tags.get("nas.name", ""), []).append(seen_in(run))
        found.pop("", None)
        parents = {each.parent for runs in found.values() for each in runs}
        instead: dict[str, str] = {}  # runs that go, and which stay
        for name, runs in found.items():
            best, *others = sorted(runs, key=lambda each: (each.run.id in parents, each.weight), reverse=True)
            instead |= {other.run.id: best.run.id for other in others if other.empty}
            self._runs[name] = best.run
            if best.chosen:
                self._chosen.add(name)
        for seen in (each for runs in found.values() for each in runs):
            if seen.parent in instead and seen.run.id not in instead:
                twice(partial(self._client.set_tag, seen.run.id, PARENT, instead[seen.parent]))
        for empty in instead:
            twice(partial(self._client.delete_run, empty))

    def add(self, trial: Trial, curve: Sequence[EpochMetrics], started: float) -> None:
        """A trial runs: the run of it, made if it is not there, and epochs of its curve that are new.

        Args:
            trial: the trial.
            curve: epochs in their order; those sent before are passed over.
            started: Unix time.
        """
        run, values = self._begun(trial, started)
        self._state(run, "running")
        self._state(self._study(trial.study, started), "running")
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
            tags = record_tags(record)
            bring = run is None and trial.id not in self._doubtful  # else its tags may be older
            run, values = self._begun(trial, record.started, tags if bring else NONE)
            grid = {each.epoch for each in shown(record.curve, ended=False)}
            rest = [e for e in shown(record.curve, ended=True) if e.epoch > run.epoch or e.epoch not in grid]
            metrics = _points(rest, record.started)
            metrics += [Metric(key, value, at, 0) for key, value in final(record).items()]
            self._send(run, metrics, {**values, **record_parameters(record)}, NONE if bring else tags)
            self._end(run, record.status, at)
        if not run.files and (files := files_of(record, self._folder)):
            self._keep(run, files)

    def finish(self, closing: Closing) -> None:
        """Bring parents up to date, and keep the report as artifacts of a summary run.

        Raises:
            Refused: something was refused; the rest is there.
        """
        steps = [partial(self._conclude, summary) for summary in closing.studies]
        chosen = closing.chosen - self._chosen & self._runs.keys()
        steps += [partial(self._choose, name) for name in chosen]
        steps.append(partial(self._sum_up, closing))
        refused = None
        for step in steps:
            try:
                step()
            except Refused as error:
                refused = error
        if refused is not None:
            raise refused

    def _conclude(self, summary: StudySummary) -> None:
        run = self._study(summary.study, summary.finished)
        tags = summary_tags(summary)
        self._send(run, [], {}, tags | {"nas.status": "completed"} if summary.done else tags)
        if summary.done:
            self._end(run, "completed", round(summary.finished * 1000))
        else:
            self._state(run, "waiting")

    def _choose(self, name: str) -> None:
        self._send(self._runs[name], [], {}, {"nas.chosen": "true"})
        self._chosen.add(name)

    def _sum_up(self, closing: Closing) -> None:
        run = self._runs.get(SUMMARY) or self._create(SUMMARY, {"nas.level": "comparison"}, closing.began)
        if digest(closing.files) != run.files:
            self._keep(run, closing.files)
        if closing.done:
            self._send(run, [], {}, {"nas.status": "completed"})
            self._end(run, "completed", round(closing.finished * 1000))
        else:
            self._state(run, "waiting")

    def _begun(
        self, trial: Trial, started: float, more: Mapping[str, str] = NONE
    ) -> tuple[Tracked, dict[str, Option]]:
        """The run of a trial, made with `more` tags if it is not there, and the parameters that it lacks."""
        run = self._runs.get(trial.id)
        if run is None:
            tags = {PARENT: self._study(trial.study, started).id, **trial_tags(trial), **more}
            run = self._create(trial.id, tags, started)
        info = self._info()
        values = parameters(trial, info)
        if run.parameters >= len(values):
            return run, {}
        if (task := run_task(trial.study.task, info)) is not None:
            data = DatasetInput(Dataset(**described(task)), [InputTag("mlflow.data.context", "training")])
            twice(partial(self._client.log_inputs, run.id, [data]))
        return run, values

    def _study(self, study: Study, started: float) -> Tracked:
        with self._making:
            run = self._runs.get(study.name)
            return run or self._create(study.name, {**study_tags(study), "nas.level": "study"}, started)

    def _create(self, name: str, tags: Mapping[str, str], started: float) -> Tracked:
        """Make a run. A call that failed may have made one, or do so yet: `tidy` removes what came late."""
        short, _ = fitting({"nas.name": name, "nas.status": "running", **tags}, LONGEST_TAG, "tags")
        for last in (False, True):
            if name in self._doubtful and (known := self._found(name)) is not None:
                run = tracked(known)
                break
            began = time.monotonic()
            try:
                made = self._client.create_run(
                    self.experiment_id, start_time=round(started * 1000), tags=short, run_name=name
                )
                run = Tracked(id=made.info.run_id)
                break
            except Exception:
                self._doubtful.add(name)
                if last or time.monotonic() - began > QUICK:
                    raise
        self._runs[name] = run
        return run

    def _found(self, name: str) -> Run | None:
        query = f"tags.`nas.name` = '{name}'"
        found = twice(partial(self._client.search_runs, [self.experiment_id], query, max_results=1))
        return found[0] if found else None

    def _send(
        self,
        run: Tracked,
        metrics: Sequence[Metric],
        values: Mapping[str, Option],
        tags: Mapping[str, str] = NONE,
    ) -> None:
        """As many calls as it takes; a call may be made again, since MLflow keeps one of equal things."""
        short, _ = fitting({key: str(value) for key, value in values.items()}, LONGEST_PARAMETER, "params")
        said, _ = fitting(tags, LONGEST_TAG, "tags")
        points, params, words = iter(metrics), starmap(Param, short.items()), starmap(RunTag, said.items())
        while True:
            some = list(islice(points, MOST[0])), list(islice(params, MOST[1])), list(islice(words, MOST[2]))
            if not any(some):
                break
            twice(partial(self._client.log_batch, run.id, some[0], some[1], some[2]))
        run.parameters = max(run.parameters, len(short))  # all of them, else they are sent again

    def _state(self, run: Tracked, word: str) -> None:
        if run.status != STATUS[word]:
            twice(partial(self._client.set_tag, run.id, "nas.status", word))
            twice(partial(self._client.update_run, run.id, STATUS[word]))
            run.status = STATUS[word]

    def _end(self, run: Tracked, word: str, at: int) -> None:
        if run.status != STATUS[word]:
            twice(partial(self._client.set_terminated, run.id, STATUS[word], at))
            run.status = STATUS[word]

    def _keep(self, run: Tracked, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.id, folder)
        twice(partial(self._client.set_tag, run.id, "nas.files", digest(files)))
        run.files = digest(files)

    def _experiment(self, name: str, artifacts: Path | None) -> str:
        location = artifacts.resolve().as_uri() if artifacts else None
        for last in (False, True):
            if (known := twice(partial(self._client.get_experiment_by_name, name))) is not None:
                if known.lifecycle_stage != "active":
                    raise MlflowException(
                        f"experiment {name!r} is deleted: mlflow experiments restore -x {known.experiment_id}"
                    )
                return str(known.experiment_id)
            try:
                return self._client.create_experiment(name, location, tags={NOTED: NOTE})
            except MlflowException:  # someone was quicker, or it was made and we were not told
                if last:
                    raise
        raise AssertionError("the last attempt returned or raised")

    def _listed(self) -> Iterator[Run]:
        token = None
        while True:
            find = partial(self._client.search_runs, [self.experiment_id], max_results=PAGE)
            page = twice(partial(find, page_token=token))
            yield from page
            if not (token := page.token):
                return


def _points(curve: Sequence[EpochMetrics], started: float) -> list[Metric]:
    metrics = []
    for each in curve:
        at, values = point(each, started)
        metrics += [Metric(key, value, at, each.epoch) for key, value in values.items()]
    return metrics
