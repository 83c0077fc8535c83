"""Trials in a real MLflow store: nested, complete, never twice, and never in the way."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from nas.reading import Found
from nas.run_directory import RunDirectory, RunInfo, RunSpace, RunTask
from nas.tracked import Closing, closing
from nas.tracking import PARENT, Store
from nas.writer import Writer
from search_spaces.space import TaskShape
from tests.nas.builders import record
from tests.nas.mlflow_servers import Store as AnyStore
from tests.nas.mlflow_views import runs_of, views_of
from trials.recipe import AUGMENTED, STANDARD
from trials.record import TrialRecord
from trials.reference import Task


@pytest.fixture
def uri(tracking_store: AnyStore) -> str:
    """Of each kind of store by turns; each test uses an experiment of its own."""
    return tracking_store.uri


def a_few() -> list[TrialRecord]:
    return [
        record(number=0, error=0.1),
        record(number=1, error=0.2, kind="search", status="stopped"),
        replace(record(number=2, status="failed"), reason="ValueError: no\nTraceback ..."),
        record(number=3, error=0.05, kind="finalist", test_error=0.07),
        record(number=4, error=0.04, kind="long", recipe=STANDARD.lengthened(4)),
    ]


def test_a_transferred_design_says_where_it_comes_from_and_how(uri: str, tmp_path: Path) -> None:
    one = record(kind="transfer", selected_from="speech.twin.search.0.0007")
    study = replace(one.trial.study, source="speech", by="fraction")
    one = replace(one, trial=replace(one.trial, study=study))
    Store(uri, "carried", tmp_path).end(one)
    runs = runs_of(uri, "carried")
    for run in (runs["digits.twin.transfer.0.speech.fraction"], runs[one.trial.id]):
        assert (run.data.tags["nas.source"], run.data.tags["nas.by"]) == ("speech", "fraction")
    assert runs[one.trial.id].data.params["selected_from"] == "speech.twin.search.0.0007"


def test_trials_are_children_of_their_study_with_parameters_curves_and_status(
    uri: str, tmp_path: Path
) -> None:
    store = Store(uri, "shown", tmp_path)
    for each in a_few():
        store.end(each)
    runs = runs_of(uri, "shown")
    for each in a_few():
        run, parent = runs[each.trial.id], runs[each.trial.study.name]
        assert run.data.tags[PARENT] == parent.info.run_id
        assert run.data.tags["nas.kind"] == each.trial.study.kind
        assert run.data.tags["nas.status"] == each.status
        assert run.data.params["seed"] == str(each.trial.seed)
        assert run.data.params["epochs"] == str(each.trial.recipe.epochs)
        assert run.data.params["learning_rate"] == str(each.trial.recipe.learning_rate)
    statuses = [runs[each.trial.id].info.status for each in a_few()]
    assert statuses == ["FINISHED", "KILLED", "FAILED", "FINISHED", "FINISHED"]
    finalist = a_few()[3]
    shown = {k: v for k, v in runs[finalist.trial.id].data.metrics.items() if k.startswith("test_")}
    assert shown == pytest.approx(
        {
            "test_error": 0.07,
            "test_error_low": 0.035,
            "test_error_high": 0.14,
            "test_loss": 1.0,
            "test_loss_low": 0.9,
            "test_loss_high": 1.1,
            "test_balanced_accuracy": 0.93,
            "test_balanced_accuracy_low": 0.86,
            "test_balanced_accuracy_high": 0.965,
            "test_auroc": 0.9954,
        }
    )
    history = MlflowClient(tracking_uri=uri).get_metric_history(
        runs[finalist.trial.id].info.run_id, "select_error"
    )
    assert [(m.step, m.value) for m in history] == [(e.epoch, e.select_error) for e in finalist.curve]


def test_the_whole_recipe_and_what_was_applied_of_it_are_shown(uri: str, tmp_path: Path) -> None:
    recipe = replace(AUGMENTED, moving_average=0.9, precision="bfloat16")
    done = replace(
        record(number=0, recipe=recipe),
        augmentation=("shift", "noise"),
        training_executed=1.5e9,
        peak_device_bytes=2**30,
        device_share=0.25,
    )
    store = Store(uri, "recipe", tmp_path)
    for each in (done, record(number=1)):
        store.end(each)
    shown, plain = (runs_of(uri, "recipe")[r.trial.id].data for r in (done, record(number=1)))
    for field in fields(recipe):
        if field.name not in ("name", "augmentation", "per_space"):
            assert shown.params[field.name] == str(getattr(recipe, field.name))
    assert (shown.params["recipe"], "per_space" in shown.params) == ("augmented", False)
    assert shown.params["augmentation"] == "crop+flip+cutout+shift+noise"
    assert shown.params["augmentation_applied"] == "shift+noise"
    assert (plain.params["augmentation"], plain.params["augmentation_applied"]) == ("none", "none")
    wanted = {"training_executed": 1.5e9, "peak_device_bytes": 2**30, "device_share": 0.25}
    assert {name: shown.metrics[name] for name in wanted} == wanted
    assert "peak_device_bytes" not in plain.metrics and plain.metrics["device_share"] == 1


def test_putting_the_records_again_adds_nothing(uri: str, tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(uri, "twice", tmp_path)
        for each in a_few():
            store.end(each)
    runs = runs_of(uri, "twice")
    client = MlflowClient(tracking_uri=uri)
    for each in a_few():
        history = client.get_metric_history(runs[each.trial.id].info.run_id, "train_loss")
        assert len(history) == len(each.curve)


def test_live_epochs_and_the_record_make_one_curve(uri: str, tmp_path: Path) -> None:
    done = record(number=7)
    store = Store(uri, "live", tmp_path)
    store.add(done.trial, done.curve[:1], done.started)
    store = Store(uri, "live", tmp_path)  # a resumed run
    store.end(done)
    runs = runs_of(uri, "live")
    history = MlflowClient(tracking_uri=uri).get_metric_history(runs[done.trial.id].info.run_id, "epoch")
    assert [metric.step for metric in history] == [metrics.epoch for metrics in done.curve]


def test_predictions_are_an_artifact_of_their_finalist(uri: str, tmp_path: Path) -> None:
    finalist, other = a_few()[3], a_few()[0]
    file = tmp_path / "trials" / finalist.trial.id / "predictions.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PAR1")
    store = Store(uri, "predictions", tmp_path / "artifacts", RunDirectory(tmp_path).folder)
    for each in (finalist, other):
        store.end(each)
    runs, client = runs_of(uri, "predictions"), MlflowClient(tracking_uri=uri)
    found = {
        each.trial.id: [file.path for file in client.list_artifacts(runs[each.trial.id].info.run_id)]
        for each in (finalist, other)
    }
    assert found == {finalist.trial.id: ["predictions.parquet"], other.trial.id: []}


def ending(records: list[TrialRecord], files: dict[str, bytes], planned: dict[str, int]) -> Closing:
    found = Found(trials=[each.trial for each in records], damaged=[], records=records, unreadable=[])
    return closing(found, planned, files)


def test_the_report_is_an_artifact_of_a_summary_run_and_parents_end_with_their_trials(
    uri: str, tmp_path: Path
) -> None:
    store = Store(uri, "report", tmp_path / "artifacts")
    few = [a_few()[0], a_few()[1]]
    for each in few:
        store.end(each)
    population, search = (each.trial.study.name for each in few)
    last = ending(few, {"report.html": b"<p>", "figures/01.svg": b"<svg>"}, {population: 1, search: 2})
    store.finish(last)
    runs = runs_of(uri, "report")
    client = MlflowClient(tracking_uri=uri)
    listed = client.list_artifacts(runs["comparison"].info.run_id)
    assert [artifact.path for artifact in listed] == ["figures", "report.html"]
    states = [runs[name].info.status for name in (population, search, "comparison")]
    assert states == ["FINISHED", "SCHEDULED", "SCHEDULED"]
    assert [runs[name].data.tags["nas.status"] for name in (population, search)] == ["completed", "waiting"]
    assert runs[population].data.tags["nas.best"] == few[0].trial.id
    store.finish(ending(few, {"report.html": b"<p>"}, {population: 1, search: 1}))
    runs = runs_of(uri, "report")
    assert [runs[name].info.status for name in (search, "comparison")] == ["FINISHED", "FINISHED"]


def test_the_writer_passes_everything_on_and_prints_nothing(
    uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    writer = Writer(lambda: Store(uri, "writer", tmp_path), said.append)
    for each in a_few():
        writer.epoch(each.trial, None)
        for metrics in each.curve:
            writer.epoch(each.trial, metrics)
        writer.ended(each)
    assert writer.close(None)
    assert {each.trial.id for each in a_few()} < set(runs_of(uri, "writer"))
    assert said == [] and capfd.readouterr().out == ""


def test_an_unreachable_server_is_said_once_and_blocks_nobody(tmp_path: Path) -> None:
    said: list[str] = []
    writer = Writer(lambda: Store("http://127.0.0.1:9", "nobody", None), said.append)
    began = time.perf_counter()
    for each in a_few():
        writer.epoch(each.trial, None)
        writer.ended(each)
    assert time.perf_counter() - began < 0.5
    assert not writer.close(None, patience=1.0)
    assert len([line for line in said if "MLflow is behind" in line]) == 1
    assert "--rebuild" in said[-1]


def test_texts_that_are_too_long_for_mlflow_are_artifacts_and_nothing_is_cut(
    uri: str, tmp_path: Path
) -> None:
    one = record(number=0)
    wide = replace(one.trial, values={"text": "v" * 6001, "just": "j" * 6000})
    long = replace(one, trial=wide, status="failed", reason="ValueError: no\n" + "r" * 8000, log=("a", "b"))
    store = Store(uri, "long", tmp_path / "artifacts")
    store.end(long)
    Store(uri, "long", tmp_path / "artifacts").end(long)
    run, view = runs_of(uri, "long")[one.trial.id], views_of(uri, "long")[one.trial.id]
    assert view.params["choice_just"] == "j" * 6000
    assert view.params["choice_text"] == "6,001 characters, see the artifact params/choice_text.txt"
    assert view.tags["nas.reason"].endswith("see the artifact tags/nas.reason.txt")
    assert view.files == ("log.txt", "params/choice_text.txt", "tags/nas.reason.txt")
    client = MlflowClient(tracking_uri=uri)
    for path, text in (("params/choice_text.txt", "v" * 6001), ("tags/nas.reason.txt", long.reason)):
        found = client.download_artifacts(run.info.run_id, path, str(tmp_path))
        assert Path(found).read_text() == text


def test_the_task_is_a_data_set_of_every_trial(uri: str, tmp_path: Path) -> None:
    info = RunInfo(
        id="00000000",
        created=0.0,
        version="0",
        tracking_uri=None,
        recipe=STANDARD,
        tasks=(
            RunTask(
                task=Task(source="s3://me:secret@host/bucket/digits?token=secret"),
                shape=TaskShape(extent=(8, 8), channels=1, classes=10),
                mean=(0.0,),
                std=(1.0,),
                digest="d" * 64,
            ),
        ),
        spaces=(RunSpace(task="digits", reference="twin", name="twin", designs=1024),),
    )
    one = record(task=info.tasks[0].name)
    for _ in range(2):
        Store(uri, "data", tmp_path / "artifacts", info=lambda: info).end(one)
    [(name, digest, source)] = views_of(uri, "data")[one.trial.id].data
    assert (name, digest, source) == (one.trial.study.task, "d" * 36, '{"uri": "s3://host/bucket/digits"}')


def test_an_ended_trial_of_a_long_curve_keeps_its_first_last_and_best_epoch(uri: str, tmp_path: Path) -> None:
    recipe = replace(STANDARD, epochs=5003)
    one = record(number=0, recipe=recipe)
    curve = list(one.curve)
    curve[4320] = replace(curve[4320], select_error=0.01)
    one = replace(one, curve=tuple(curve))
    store = Store(uri, "thinned", tmp_path / "artifacts")
    store.add(one.trial, curve[:3001], one.started)
    Store(uri, "thinned", tmp_path / "artifacts").end(one)
    run = runs_of(uri, "thinned")[one.trial.id]
    history = MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, "select_error")
    steps = sorted(metric.step for metric in history)
    assert len(steps) == len(set(steps)) < 2400
    assert steps[:1000] == [*range(1, 1000), 1000] and {4321, 5003} < set(steps)
    assert run.data.metrics["select_error"] == one.select_error
