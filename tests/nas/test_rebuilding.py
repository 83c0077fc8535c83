"""A store filled from the records is the one that was filled while the run went on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from nas.lease import take
from nas.rebuilding import IN_A_ROW, rebuild_into
from nas.run_directory import RunDirectory, RunInfo
from nas.running import run
from nas.tracking import Store as TrackingStore
from nas.tracking_place import experiment_of, tracking_address
from tests.nas.clusters import started
from tests.nas.mlflow_servers import Server, Store, without_mlflow
from tests.nas.mlflow_views import View, views_of
from tests.nas.outages import trials
from tests.nas.runs import SMALL
from tests.nas.test_cli import nas
from tests.nas.test_stores import NAS
from tests.nas.written import write
from trials.plain import dumps
from trials.recipe import STANDARD
from trials.record import TrialRecord

pytestmark = pytest.mark.slow  # a whole run, and every kind of store


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that trained real networks and showed them in SQLite while it went on."""
    path = tmp_path_factory.mktemp("shown") / "run"
    config = replace(SMALL, defaults=(), controls=(), population=3, search_trials=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert run(config, run_dir=path, console=Console(quiet=True)).finished
    return RunDirectory(path)


def live(directory: RunDirectory) -> dict[str, View]:
    info = directory.info()
    assert info is not None
    return views_of(tracking_address(directory, info), experiment_of(directory, info))


def rebuilt(directory: RunDirectory, uri: str) -> dict[str, View]:
    rebuild_into(str(directory), uri, lambda line: None)
    info = directory.info()
    assert info is not None
    return views_of(uri, experiment_of(directory, info))


def test_a_rebuilt_store_is_the_live_one_and_twice_adds_nothing(
    shown: RunDirectory, tracking_store: Store
) -> None:
    before = live(shown)
    assert rebuilt(shown, tracking_store.uri) == before
    assert rebuilt(shown, tracking_store.uri) == before


def test_rebuilding_into_the_store_of_the_run_changes_nothing(shown: RunDirectory) -> None:
    before = live(shown)
    info = shown.info()
    assert info is not None
    assert rebuilt(shown, tracking_address(shown, info)) == before


def test_who_holds_a_run_shows_it(shown: RunDirectory) -> None:
    with take(shown.storage, print), pytest.raises(ValueError, match=r"process \d+ .* shows it in .* itself"):
        rebuild_into(str(shown), None, print)


def test_every_level_is_there_with_what_the_pages_filter_by(shown: RunDirectory) -> None:
    views = live(shown)
    records, _ = shown.read_records()
    summary = views["comparison"]
    assert {"report.html", "report.md", "tables/trials.parquet", "tables/trials.csv"} <= set(summary.files)
    assert any(path.startswith("figures/") for path in summary.files) and summary.status == "FINISHED"
    for record in records:
        view, parent = views[record.trial.id], views[record.trial.study.name]
        assert (view.parent, parent.parent, parent.status) == (record.trial.study.name, None, "FINISHED")
        assert view.tags["nas.level"] == "trial" and parent.tags["nas.level"] == "study"
        convolutions = record.kernel_sizes
        assert view.params["depth"] == str(len(convolutions)) and float(view.params["bits"]) >= 0
        if record.trial.study.space == "twin":
            shown_sizes = [view.params[f"kernel_{i + 1}"] for i in range(len(convolutions))]
            assert shown_sizes == [str(max(size)) for size in convolutions]
        [(name, digest, source)] = view.data
        assert name == record.trial.study.task and "uri" in json.loads(source)
        assert record.digest.startswith(digest) and len(digest) == 36
        times = [at for key, step, _, at in view.points if key == "select_error"]
        assert times == [round(each.at * 1000) for each in record.curve]
        assert {"system/processors", "system/memory_megabytes"} <= {key for key, *_ in view.points}
    chosen = {name for name, view in views.items() if "nas.chosen" in view.tags}
    finalists = [record.trial for record in records if record.trial.study.kind == "finalist"]
    assert chosen == {trial.selected_from for trial in finalists if trial.selected_from}
    assert {name for name, view in views.items() if view.tags.get("nas.finalist") == "true"} == {
        trial.id for trial in finalists
    }


def test_what_has_no_record_yet_waits_and_goes_on_in_the_same_run(
    shown: RunDirectory, tmp_path: Path
) -> None:
    """The records of a run that was interrupted, then all of them."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    whole = live(shown)
    copy = RunDirectory(tmp_path / "run")
    for name in shown.storage.names():
        if not name.startswith(("lease/", "mlartifacts/", "mlflow.db")):
            content = shown.storage.get(name)
            assert content is not None
            copy.storage.put(name, content)
    record = next(each for each in shown.read_records()[0] if each.trial.study.kind == "search")
    name = f"trials/{record.trial.id}/record.json"
    content = copy.storage.get(name)
    assert content is not None
    copy.storage.remove(name)
    part = rebuilt(copy, uri)
    view, parent = part[record.trial.id], part[record.trial.study.name]
    assert (view.status, view.tags["nas.status"]) == ("SCHEDULED", "waiting")
    assert view.params and not view.points
    assert parent.status == part["comparison"].status == "SCHEDULED"
    copy.storage.put(name, content)
    again = rebuilt(copy, uri)
    assert again == whole


def test_the_command_says_where_and_how_many(shown: RunDirectory, tmp_path: Path) -> None:
    done = nas("show", str(shown), "--rebuild", "--tracking-uri", f"sqlite:///{tmp_path}/x.db", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    count = len(shown.read_trials()[0])
    assert f"{count} trials are in sqlite:///{tmp_path}/x.db, experiment small" in done.stdout
    refused = nas("show", str(shown), "--rebuild", "--tracking-uri", "http://127.0.0.1:9", cwd=tmp_path)
    assert refused.returncode == 2 and "repeat the command" in refused.stderr
    assert "Traceback" not in refused.stderr
    alone = nas("show", str(shown), "--tracking-uri", f"sqlite:///{tmp_path}/x.db", cwd=tmp_path)
    assert alone.returncode == 2 and "--rebuild" in alone.stderr


def test_a_trial_that_the_store_does_not_take_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = written(tmp_path / "run", 30)
    whole = rebuilt(directory, f"sqlite:///{tmp_path / 'whole.db'}")
    uri, end, calls = f"sqlite:///{tmp_path / 'part.db'}", TrackingStore.end, Counter[str]()
    bad = sorted(record.trial.id for record in directory.read_records()[0])[7]

    def failing(store: TrackingStore, record: TrialRecord) -> None:
        calls[record.trial.id] += 1
        if record.trial.id == bad:
            raise OSError("no space left for its artifacts")
        end(store, record)

    monkeypatch.setattr(TrackingStore, "end", failing)
    with pytest.raises(ValueError, match="no space left for its artifacts; repeat the command"):
        rebuild_into(str(directory), uri, lambda line: None)
    assert set(calls.values()) == {1, 2} and calls[bad] == 2  # once more, on its own
    info = directory.info()
    assert info is not None
    assert whole.keys() - views_of(uri, experiment_of(directory, info)).keys() == {bad}
    monkeypatch.undo()
    assert rebuilt(directory, uri) == whole


def test_a_store_that_takes_nothing_is_not_asked_for_every_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, calls = written(tmp_path / "run", 60), list[str]()

    def failing(store: TrackingStore, record: TrialRecord) -> None:
        calls.append(record.trial.id)
        raise OSError("away")

    monkeypatch.setattr(TrackingStore, "end", failing)
    with pytest.raises(ValueError, match="away; repeat the command"):
        rebuild_into(str(directory), f"sqlite:///{tmp_path / 'part.db'}", lambda line: None)
    assert IN_A_ROW <= len(calls) < 60


def test_studies_begin_with_their_first_trial(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", 30)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    rebuild_into(str(directory), uri, lambda line: None)
    client = MlflowClient(tracking_uri=uri)
    (experiment,) = [each.experiment_id for each in client.search_experiments() if each.name != "Default"]
    began = {run.info.run_name: run.info.start_time for run in client.search_runs([experiment])}
    for study in {record.trial.study for record in directory.read_records()[0]}:
        first = min(r.started for r in directory.read_records()[0] if r.trial.study == study)
        assert began[study.name] == round(1000 * first)


def written(path: Path, count: int) -> RunDirectory:
    """A run of closed-form trials on disk."""
    directory = write(path, trials(count=count))
    info = RunInfo(
        id="0" * 8, created=0.0, version="0", tracking_uri=None, recipe=STANDARD, tasks=(), spaces=()
    )
    directory.put("run.json", dumps(info))
    return directory


def test_a_rebuild_that_is_killed_and_repeated_is_a_whole_one(own_server: Server, tmp_path: Path) -> None:
    """Several trials are on their way when it is killed, each at another call."""
    directory = written(tmp_path / "run", 90)
    command = [*NAS, "show", "run", "--rebuild", "--tracking-uri", own_server.uri]
    client, cut = MlflowClient(tracking_uri=own_server.uri), 0
    for share in (10, 40):
        with started(command, tmp_path, without_mlflow()) as process:
            while (there := runs_in(client)) < share:
                assert process.poll() is None
            process.kill()
            process.wait()
        cut += there < 90
    assert cut == 2
    whole = rebuilt(directory, f"sqlite:///{tmp_path / 'whole.db'}")
    assert len(whole) > 90 and rebuilt(directory, own_server.uri) == whole


def runs_in(client: MlflowClient) -> int:
    experiments = [each.experiment_id for each in client.search_experiments()]
    return len(client.search_runs(experiments, max_results=200))
