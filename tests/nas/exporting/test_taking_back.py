"""An export folder is a design again; one that a stranger made is refused before memory is taken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nas import export
from nas.open_space import open_space
from nas.run_directory import RunDirectory
from search_spaces import SPACES, Architecture, TaskShape, build
from search_spaces.space import Option
from tests.nas.exporting.runs import trained_run
from tests.nas.runs import SMALL, drive, schedule_of
from tests.trials import examples
from trials import checkpoint
from trials.continuing import begin_with
from trials.exported import Design, on_task, read_design, write_design, write_manifest
from trials.recipe import STANDARD
from trials.storage import Storage
from trials.task import open_task

DIGITS = "digits@rows=200"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return trained_run(tmp_path_factory.mktemp("run") / "run", (DIGITS, "flexconv"), epochs=6)


@pytest.fixture(scope="module")
def folder(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(str(run), to=tmp_path_factory.mktemp("out") / "my net").path


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(folder, tmp_path / "changed"))


def test_weights_and_design_are_rebuilt_with_build_alone(folder: Path) -> None:
    design = read_design(folder)
    network = build(design.architecture, design.shape)
    network.load_state_dict(load_file(folder / "model.safetensors"))


def test_the_folder_is_a_space_of_one_design_on_any_task(folder: Path) -> None:
    design = read_design(folder)
    for shape in (design.shape, TaskShape(extent=(100,), channels=2, classes=3)):
        space = open_space(str(folder), shape)
        assert space.single and space.size == 1 and space.like == "flexconv"
        assert space.name == f"my-net-{design.architecture.id[:6]}"
        build(space.decode({}), shape)


def test_a_run_trains_the_design_as_a_default_at_the_rates_of_its_space(folder: Path, tmp_path: Path) -> None:
    config = replace(SMALL, tasks=("digits_sequence",), spaces=("flexconv",), defaults=(str(folder),))
    handed_out = drive(schedule_of(config, tmp_path / "run"))
    design = read_design(folder)
    ours = [trial for trial in handed_out if trial.study.space == f"my-net-{design.architecture.id[:6]}"]
    assert sorted(trial.study.kind for trial in ours) == ["finalist"] + ["population"] * config.seeds
    single = next(trial for trial in handed_out if trial.study.space == "flexconv")
    for trial in ours:
        assert trial.architecture == design.architecture
        assert trial.recipe == single.recipe != STANDARD.for_space("unknown")


@pytest.mark.parametrize("name", SPACES)
def test_designs_of_every_space_are_carried_to_other_axes(name: str) -> None:
    source = TaskShape(extent=(64,), channels=1, classes=4)
    space = SPACES[name](source)
    values = {choice.name: choice.options[-1] for choice in space.choices}
    architecture = space.decode({k: v for k, v in values.items() if _asked(name, source, k, values)})
    design = Design(
        architecture=architecture,
        shape=source,
        mean=(0.0,),
        std=(1.0,),
        class_names=("a", "b", "c", "d"),
        task="t",
        space=name,
        trial="x",
        learning_rate=0.01,
        weight_decay=0.0,
    )
    shorter = TaskShape(extent=(33,), channels=3, classes=2)
    image = TaskShape(extent=(12, 9), channels=1, classes=5)
    for shape in (source, shorter, *(() if architecture.family == "tcn" else (image,))):  # a TCN is of series
        build(on_task(design, shape, name), shape)


def _asked(space: str, shape: TaskShape, name: str, values: dict[str, Option]) -> bool:
    (choice,) = (each for each in SPACES[space](shape).choices if each.name == name)
    return choice.active(values)


def trials(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trials", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.slow
def test_the_design_is_trained_on_another_task_and_the_weights_go_on_on_their_own(
    run: RunDirectory, folder: Path, tmp_path: Path
) -> None:
    done = trials(str(folder), "--task", "digits_sequence@rows=100", "--to", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = trials(str(folder), "--task", DIGITS, "--weights", "--to", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = {
        path.parent.name.split(".")[1]: json.loads(path.read_text())
        for path in tmp_path.glob("out/trials/*/record.json")
    }
    design = read_design(folder)
    fresh, continued = records["external"], records["continued"]
    assert Architecture.from_dict(fresh["trial"]["architecture"]) == design.architecture
    assert continued["trial"]["selected_from"] == design.trial
    assert continued["trial"]["recipe"]["learning_rate"] == design.learning_rate
    (original,) = run.read_records()[0]
    began, ended = original.curve[0].train_loss, original.curve[-1].train_loss
    assert abs(continued["curve"][0]["train_loss"] - ended) < 0.3 * (began - ended)
    done = trials(str(folder), "--task", "digits_sequence@rows=100", "--weights", "--to", "out", cwd=tmp_path)
    assert done.returncode == 2 and "leave --weights out" in done.stderr
    assert not list(tmp_path.glob("out/trials/digits_sequence*continued*")), "nothing is begun"
    done = trials(str(folder), "--to", "out", cwd=tmp_path)
    assert done.returncode == 2 and "give one with --task" in done.stderr


def test_weights_go_on_only_with_the_same_classes_and_if_they_are_sound(
    changed: Path, tmp_path: Path
) -> None:
    task = open_task(DIGITS)
    design = read_design(changed)
    wanted = replace(examples.trial(task), architecture=design.architecture)
    here = Storage(str(tmp_path / "trial"))
    begin_with(changed, wanted, task, here)
    there = load_file(changed / "model.safetensors")
    begun = checkpoint.load(here, wanted)
    assert begun is not None
    assert all(torch.equal(begun["learner"]["model"][name], values) for name, values in there.items())

    name = next(name for name, values in there.items() if values.ndim > 1)
    unsound = {
        f"must be finite, got NaN or infinity in {name}": {**there, name: there[name] * torch.nan},
        f"{name} must be": {**there, name: there[name][:1].clone()},
        "more is in one alone": {**there, "more": torch.zeros(1)},
        f"{name} is in one alone": {key: values for key, values in there.items() if key != name},
    }
    for said, tensors in unsound.items():
        save_file(tensors, changed / "model.safetensors")
        write_manifest(changed)
        with pytest.raises(ValueError, match=said):
            begin_with(changed, wanted, task, here)
    save_file(there, changed / "model.safetensors")
    write_manifest(changed)
    full = tmp_path / "full"
    full.write_text("a file where the trial's folder should be")
    with pytest.raises(OSError, match=r"cannot be put into .*, so training would not go on from them"):
        begin_with(changed, wanted, task, Storage(str(full)))
    write_design(changed, replace(design, class_names=(*design.class_names[:2], "three", "2")))
    write_manifest(changed)
    with pytest.raises(ValueError, match=r"label 2 is 'three' there, '2' in .*; leave --weights out"):
        begin_with(changed, wanted, task, here)


HUGE: list[tuple[str, dict[str, object], str]] = [
    ("flexnet", {"width": 10**9, "kernels": [3, 3, 3], "factors": [1.0]}, "parameters"),
    ("resnet", {"blocks": [10**12], "widths": [4], "strides": [1], "kernels": [3, 3]}, "blocks and layers"),
    ("cell", {"cells": 10**9, "width": 4, "stages": 1}, "blocks and layers, got"),
    ("flexnet", {"width": {}, "kernels": 3}, "setting must be a JSON scalar"),
    ("nothing", {}, "unknown family 'nothing'"),
    ("ccnn", {"kernels": [3] * 5000, "width": 1}, "blocks and layers, got"),
    ("tcn", {"kernels": [3] * 4, "width": 4, "growth": 10**4000}, "numbers of a design are at most"),
]


@pytest.mark.parametrize(("family", "settings", "said"), HUGE, ids=[said for *_, said in HUGE])
def test_a_network_of_absurd_size_is_refused_before_memory_is_taken(
    changed: Path, family: str, settings: dict[str, object], said: str
) -> None:
    about = json.loads((changed / "architecture.json").read_text())
    about["architecture"] = {"family": family, "settings": settings}
    (changed / "architecture.json").write_text(json.dumps(about))
    write_manifest(changed)
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        read_design(changed)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_an_input_of_absurd_size_is_refused_before_its_cost_is_counted(changed: Path) -> None:
    about = json.loads((changed / "architecture.json").read_text())
    about["shape"]["extent"] = [10**15 + 1] * len(about["shape"]["extent"])
    (changed / "architecture.json").write_text(json.dumps(about))
    write_manifest(changed)
    with pytest.raises(ValueError, match="an input may have"):
        read_design(changed)


def test_a_manifest_without_the_design_is_refused(changed: Path) -> None:
    manifest = json.loads((changed / "manifest.json").read_text())
    del manifest["files"]["model.safetensors"]
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"does not list model\.safetensors"):
        read_design(changed)


def test_a_space_that_ships_is_no_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "flexconv")
    monkeypatch.chdir(tmp_path)
    shape = read_design(folder).shape
    assert open_space("flexconv", shape).name == "flexconv"
    assert open_space("./flexconv", shape).name.startswith("flexconv-")


@pytest.mark.parametrize("text", ["[" * 100_000, " " * 2**19, '{"a": ' * 900 + "1" + "}" * 900, "{", "\xff"])
def test_json_that_is_no_design_is_refused_in_one_line(changed: Path, text: str) -> None:
    (changed / "architecture.json").write_text(text, encoding="latin-1")
    write_manifest(changed)
    with pytest.raises(ValueError, match=r"architecture\.json") as said:
        read_design(changed)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "-x"])
def test_a_manifest_names_nothing_outside_its_folder(changed: Path, name: str) -> None:
    manifest = json.loads((changed / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 0, "sha256": ""}
    (changed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="must list plain file names"):
        read_design(changed)


def test_a_link_in_place_of_a_file_is_refused(changed: Path, tmp_path: Path) -> None:
    (changed / "model.onnx").rename(tmp_path / "elsewhere")
    (changed / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"model\.onnx must be a plain file"):
        read_design(changed)


@pytest.mark.parametrize("name", ["manifest.json", "architecture.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_refused_at_once(
    changed: Path, tmp_path: Path, name: str, kind: str
) -> None:
    path = (changed / name).rename(tmp_path / "elsewhere")
    if kind == "link":
        (changed / name).symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(changed / name)
    else:
        (changed / name).mkdir()
    script = "import sys, pathlib, trials.exported as e; e.read_design(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(  # a process of its own, since opening a pipe would wait without an end
        [sys.executable, "-c", script, str(changed)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and f"{name} must be a plain file" in done.stderr


def test_a_file_that_is_larger_than_listed_is_not_read(changed: Path) -> None:
    os.truncate(changed / "model.onnx", 2**40)  # takes no room
    with pytest.raises(ValueError, match=r"model\.onnx is damaged"):
        read_design(changed)


def test_a_design_whose_words_are_paths_names_no_path(changed: Path) -> None:
    design = read_design(changed)
    write_design(changed, design)
    odd = changed.rename(changed.with_name("..odd,name;"))
    write_manifest(odd)
    space = open_space(str(odd), design.shape)
    assert space.name == f"-odd-name--{design.architecture.id[:6]}"
