"""What `nas export` does, from Python: one finalist, or the whole front, each into a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nas.exporting.choosing import By, Choice, best, finalists, finalists_of_task, front, task_of
from nas.exporting.folder import drafted
from nas.logged_models import register as register_model
from nas.run_directory import RunDirectory, open_run
from trials.exported import write_manifest
from trials.record import TrialRecord

if TYPE_CHECKING:
    from nas.exporting.writing import Asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """An export folder.

    Attributes:
        path: the folder: model.safetensors and architecture.json (rebuilt with `search_spaces.build`),
            model.pt2 and model.onnx (raw inputs in, logits out, any batch size), card.md, predict.py and
            examples.
        trial: id of the finalist.
        test_error: its error on the test split, in [0, 1].
        parameters: of the network as trained.
        multiply_adds: of the network as deployed, on one row.
        error: of the live network on the rows that the files were checked on, in [0, 1]: at another
            resolution what it reaches there.
        rows: so many rows of the report half.
        deployed_error: of model.onnx on the same rows, in [0, 1].
        difference: largest difference of a reloaded file's logits from the live network's, over the largest.
        written: its files, by name.
        registered: where MLflow's registry has it, if that was asked for.
    """

    path: Path
    trial: str
    test_error: float
    parameters: int
    multiply_adds: int
    error: float
    rows: int
    deployed_error: float
    difference: float
    written: tuple[str, ...] = ()
    registered: str = ""


def export(
    run_dir: Path | str,
    *,
    task: str | None = None,
    space: str | None = None,
    to: Path | str | None = None,
    by: By = "error",
    resolution: int | None = None,
    crop: float = 0.0,
    precisions: Sequence[str] = (),
    register: str | None = None,
) -> Exported:
    """Write a finalist's network into a new folder.

    Every file is loaded again, in a fresh process, and compared with the live network on validation rows
    before the folder gets its name; an interrupted export leaves nothing.

    Args:
        run_dir: a run directory, a path or a URL.
        task, space: names as in the records; None if the run has finalists of one alone.
        to: the folder to make; it must not exist, or be empty. None: the trial's name, where we are.
        by: what the finalist has least of: `select` error, multiply-adds, or seconds on one row.
        resolution: samples along every axis that it shall take, of networks whose kernels are functions.
        crop: share of the norm of such a kernel that may be left out, in [0, 1).
        precisions: further ONNX files, of ``fp16``, ``bf16`` or ``int8``; the card has what each loses.
        register: name of a model in MLflow's registry that gets it as its newest version, under the alias
            ``champion``; as it was trained, so neither cropped nor at another resolution.

    Raises:
        ValueError: there is no such finalist, its data or weights cannot be read, the folder is taken, the
            resolution does not fit, a file differs from the network, what writes ONNX is not installed, or
            MLflow does not take it.
    """
    if register is not None and (resolution is not None or crop):
        raise ValueError(
            f"the registry takes a network as it was trained, got the resolution {resolution} and the crop "
            f"{crop:g}; leave them out, or register out"
        )
    asked = _asked(resolution, crop, precisions)
    directory = open_run(run_dir)
    there = finalists(directory, task, space)
    record, choice = best(there, by), Choice(by=by, among=len(there))
    target = Path(to) if to is not None else Path(record.trial.id)
    with drafted(target) as draft:
        done = _written(draft, directory, record, choice, asked, target)
        write_manifest(draft)
        if register is not None:
            done = replace(done, registered=register_model(directory, record, register))
    return done


def export_front(
    run_dir: Path | str,
    *,
    task: str | None = None,
    space: str | None = None,
    to: Path | str | None = None,
    resolution: int | None = None,
    crop: float = 0.0,
    precisions: Sequence[str] = (),
) -> tuple[Exported, ...]:
    """Write every finalist that no other beats in both `select` error and multiply-adds, and a table.

    Args:
        run_dir, task, resolution, crop, precisions: see `export`.
        space: None for the finalists of all spaces together.
        to: the folder that holds a folder of each, ``front.md`` and ``front.json``; None: the task's name and
            ``.front``, where we are.

    Raises:
        ValueError: as `export`; then nothing is written, also of the others.
    """
    asked = _asked(resolution, crop, precisions)
    directory = open_run(run_dir)
    there = finalists_of_task(directory, task, space)
    chosen, choice = front(there), Choice(by="front", among=len(there))
    target = Path(to) if to is not None else Path(f"{chosen[0].trial.study.name.split('.')[0]}.front")
    with drafted(target) as draft:
        done = []
        for record in chosen:
            folder = draft / record.trial.id
            folder.mkdir()
            done.append(_written(folder, directory, record, choice, asked, target / folder.name))
            write_manifest(folder)
        plain = [{**asdict(each), "path": each.path.name} for each in done]
        (draft / "front.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        (draft / "front.md").write_text(_table(chosen, done), encoding="utf-8")
    return tuple(done)


def _asked(resolution: int | None, crop: float, precisions: Sequence[str]) -> Asked:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"an export needs {' and '.join(missing)}, not installed here: pip install 'nas-flexconv[export]'"
        )
    from nas.exporting.precision import check_precisions
    from nas.exporting.writing import Asked

    return Asked(resolution=resolution, crop=crop, precisions=check_precisions(precisions))


def _written(
    folder: Path, directory: RunDirectory, record: TrialRecord, choice: Choice, asked: Asked, target: Path
) -> Exported:
    from nas.exporting.writing import write

    facts = write(folder, directory, record, choice, task_of(directory, record), asked)
    assert record.test is not None
    return Exported(
        path=target,
        trial=record.trial.id,
        test_error=record.test.error,
        parameters=record.parameters,
        multiply_adds=facts.frozen_multiply_adds,
        error=facts.live_error,
        rows=facts.rows,
        deployed_error=facts.deployed_error,
        difference=facts.difference,
        written=tuple(sorted(path.name for path in folder.iterdir())),
    )


def _table(records: Sequence[TrialRecord], done: Sequence[Exported]) -> str:
    from nas.exporting.card import error_of_rows

    lines = [
        f"# Front of {records[0].trial.study.task}",
        "",
        "Finalists that no other beats in both select error and multiply-adds. Chosen by the select error, "
        "shown with the test error, which was looked at once for each: the best of several is a little too "
        "good.",
        "",
        "As deployed: of model.onnx, frozen, on the report rows that it was checked on.",
        "",
        "| folder | space | select error (95 % interval, n) | test error (95 % interval, n) "
        "| error as deployed (95 % interval, n) | parameters | multiply-adds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record, each in zip(records, done, strict=True):
        assert record.test is not None
        errors = (
            (record.select_error, record.rows_select),
            (each.test_error, record.test.rows),
            (each.deployed_error, each.rows),
        )
        shown = " | ".join(error_of_rows(*error) for error in errors)
        lines.append(
            f"| {each.path.name} | {record.trial.study.space} | {shown} | {each.parameters:,} "
            f"| {each.multiply_adds:,} |"
        )
    return "\n".join(lines) + "\n"
