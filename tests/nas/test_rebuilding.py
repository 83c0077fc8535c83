"""A store filled from the records is the one that was filled while the run went on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nas.rebuilding import rebuild_into
from nas.run_directory import RunDirectory
from nas.running import run
from nas.tracking_place import experiment_of, tracking_address
from tests.nas.mlflow_servers import Store
from tests.nas.mlflow_views import View, views_of
from tests.nas.runs import SMALL
from tests.nas.test_cli import nas


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
    trials = len(shown.read_trials()[0])
    assert f"{trials} trials are in sqlite:///{tmp_path}/x.db, experiment small" in done.stdout
    refused = nas("show", str(shown), "--rebuild", "--tracking-uri", "http://127.0.0.1:9", cwd=tmp_path)
    assert refused.returncode == 2 and "repeat the command" in refused.stderr
    assert "Traceback" not in refused.stderr
    alone = nas("show", str(shown), "--tracking-uri", f"sqlite:///{tmp_path}/x.db", cwd=tmp_path)
    assert alone.returncode == 2 and "--rebuild" in alone.stderr
