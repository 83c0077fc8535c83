"""`python -m trials DESIGN.json --to DIR`: one trial, where there is nothing but torch and the data."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from search_spaces.architecture import Architecture
from trials.exported import on_task, read_design
from trials.plain import dumps, from_plain
from trials.recipe import STANDARD, Recipe
from trials.record import EpochMetrics, Study, Trial, Verdict
from trials.reference import Task
from trials.storage import Storage
from trials.task import open_task


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one trial and writes ``DIR/trials/<id>/design.json`` and ``record.json``.

    Returns:
        0 for a completed trial, 1 for a failed one, also if its record is there already; 2 for a mistake of
        the user's, said in one line.
    """
    parser = argparse.ArgumentParser(prog="python -m trials", description="Train and score one design.")
    parser.add_argument(
        "design", type=Path, help="design.json of a run, the JSON of an architecture, or an export folder"
    )
    parser.add_argument(
        "--task",
        help="a task, such as digits@rows=500 or a directory (default: the design's, with its sizes)",
    )
    parser.add_argument("--rows", type=int, help="use at most so many rows (default: the design's, else all)")
    parser.add_argument(
        "--seed", type=int, help="of the training; also numbers the trial (default: the design's)"
    )
    parser.add_argument(
        "--weights",
        action="store_true",
        help="begin with the weights of the export folder, not with new ones",
    )
    parser.add_argument("--to", required=True, help="run directory to write to, or its URL")
    options = parser.parse_args(arguments)
    try:
        if options.weights and not options.design.is_dir():
            raise ValueError(f"--weights takes those of an export folder, got {options.design}")
        trial = _trial(options.design, options.task, options.rows, options.seed)
        return _run(trial, options.to, options.design if options.weights else None)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _trial(path: Path, source: str | None, rows: int | None, seed: int | None) -> Trial:
    """The trial that a file and the command line ask for; the command line wins."""
    if path.is_dir():
        trial = _taken_back(path, source)
    else:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} must be JSON: {error}") from error
        if isinstance(data, dict) and "family" in data:
            if source is None:
                raise ValueError(f"{path} is an architecture and names no task; give one with --task")
            trial = _external(Architecture.from_dict(data), source, STANDARD.for_space("external"))
        else:
            trial = from_plain(Trial, data, str(path))
    task = trial.task
    if source is not None:
        asked = Task.parse(source)
        task = task.at(source) if asked == Task(source=source) else asked
    if rows is not None:
        task = dataclasses.replace(task, rows=rows)
    return dataclasses.replace(
        trial,
        task=task,
        study=dataclasses.replace(trial.study, task=task.name),
        number=trial.number if seed is None else seed,  # a repeat is a trial of its own
        seed=trial.seed if seed is None else seed,
    )


def _external(architecture: Architecture, source: str, recipe: Recipe) -> Trial:
    return Trial(
        study=Study(task=source, space="external", kind="population"),
        number=0,
        task=Task.parse(source),
        architecture=architecture,
        values={},
        recipe=recipe,
        seed=0,
    )


def _taken_back(folder: Path, source: str | None) -> Trial:
    """The design of an export folder on a task, at the learning rate and weight decay that it had."""
    design = read_design(folder)
    if source is None:
        raise ValueError(f"{folder} is an export and its task may not be here; give one with --task")
    architecture = on_task(design, open_task(source).shape, str(folder))
    recipe = dataclasses.replace(
        STANDARD.for_space("external"), learning_rate=design.learning_rate, weight_decay=design.weight_decay
    )
    return _external(architecture, source, recipe)


def _continuing(trial: Trial, folder: Path) -> Trial:
    """The trial under a name that says that it did not begin with new weights."""
    design = read_design(folder)
    study = dataclasses.replace(trial.study, space="continued")
    return dataclasses.replace(
        trial, study=study, architecture=design.architecture, selected_from=design.trial
    )


def _recorded(record: bytes, trial: Trial, folder: Storage) -> str:
    """The status of a record, if it is this trial's: names of what comes from elsewhere hold no design."""
    try:
        found = json.loads(record)
        status, theirs = str(found["status"]), found["trial"]
        ours = json.loads(dumps(trial))
        same = all(theirs[part] == ours[part] for part in ("architecture", "seed", "selected_from"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder.root}/record.json cannot be read; remove {folder.root}: {error}"
        ) from error
    if not same:
        raise ValueError(
            f"{folder.root} holds the record of another design or seed; take another --to, or another --seed"
        )
    return status


def _run(trial: Trial, to: str, weights: Path | None) -> int:
    from trials import checkpoint
    from trials.continuing import begin_with
    from trials.names import CHECKPOINT
    from trials.training import run_trial

    if weights is not None:
        trial = _continuing(trial, weights)
    folder = Storage(to.rstrip("/")).below(f"trials/{trial.id}")
    if (there := folder.get("record.json")) is not None:
        status = _recorded(there, trial, folder)
        print(f"{trial.id} is there, {status}; remove {folder.root} to train it again")
        return 0 if status == "completed" else 1
    task = open_task(trial.task)
    if weights is not None and checkpoint.load(folder, trial) is None:
        begin_with(weights, trial, task, folder)
    folder.put("design.json", dumps(trial).encode())

    def show(metrics: EpochMetrics) -> Verdict:
        spent = metrics.seconds_data + metrics.seconds_training + metrics.seconds_evaluation
        print(
            f"epoch {metrics.epoch}/{trial.recipe.epochs}  loss {metrics.train_loss:.3f}  "
            f"error {100 * metrics.select_error:.1f} % (select) {100 * metrics.report_error:.1f} % (report)  "
            f"{spent:.1f} s",
            flush=True,
        )
        return "continue"

    record = run_trial(trial, task, report=show, folder=folder)
    assert record is not None, "nobody paused it"
    folder.put("record.json", dumps(record).encode())
    folder.remove(CHECKPOINT)
    reason = f": {record.reason.splitlines()[0]}" if record.reason else ""
    print(f"{trial.id} {record.status}{reason}; written to {folder.root}/record.json")
    return 0 if record.status == "completed" else 1


if __name__ == "__main__":
    raise SystemExit(main())
