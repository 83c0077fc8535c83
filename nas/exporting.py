"""The best network of a task and a space, taken out of a run: weights with design, and a frozen .pt2."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.logged_models import register as register_model
from nas.run_directory import RunDirectory, RunTask, open_run
from search_spaces.architecture import Architecture
from trials.plain import to_plain
from trials.record import TrialRecord

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-4
"""Largest difference of a reloaded network's logits from the live one's, relative to the largest logit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an export folder holds.

    Attributes:
        path: the folder: model.safetensors and architecture.json (rebuilt with `search_spaces.build`),
            model.pt2 (raw inputs in, logits out, any batch size).
        trial: id of the finalist.
        test_error: its error on the test split, in [0, 1].
        parameters: of the network as trained.
        difference: largest relative difference of a reloaded artifact from the live network.
        registered: where MLflow's registry has it, if that was asked for.
    """

    path: Path
    trial: str
    test_error: float
    parameters: int
    difference: float
    registered: str = ""


def export(
    run_dir: Path | str, *, task: str, space: str, to: Path | str, register: str | None = None
) -> Exported:
    """Write the finalist with the smallest `select` error into a new folder.

    Every artifact is loaded again and compared with the live network before the folder gets its name.

    Args:
        run_dir: a run directory, a path or a URL.
        task, space: names as in the records.
        to: the folder to make; it must not exist, or be empty.
        register: name of a model in MLflow's registry that gets it as its newest version, under the alias
            ``champion``.

    Raises:
        ValueError: there is no such finalist, the folder is taken, an artifact differs, or MLflow does not
            take it; then there is no folder.
    """
    directory, target = open_run(run_dir), Path(to)
    record = best_finalist(directory, task, space)
    info = directory.info()
    shown = next((each for each in info.tasks if each.name == task), None) if info else None
    if shown is None:
        raise ValueError(f"{directory}/run.json does not know the task {task!r}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not empty; take another --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        difference = _write(directory, record, shown, draft)
        registered = register_model(directory, record, register) if register else ""
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    assert record.test is not None
    return Exported(
        path=target,
        trial=record.trial.id,
        test_error=record.test.error,
        parameters=record.parameters,
        difference=difference,
        registered=registered,
    )


def best_finalist(directory: RunDirectory, task: str, space: str) -> TrialRecord:
    records = directory.read_records()[0]
    finalists = [r for r in records if r.trial.study.kind == "finalist" and r.test is not None]
    there = {(r.trial.study.task, r.trial.study.space) for r in finalists}
    if (task, space) not in there:
        names = (
            ", ".join(f"{t} {s}" for t, s in sorted(there)) or "none yet; let the run finish with --resume"
        )
        raise ValueError(f"there is no finalist of task {task!r} and space {space!r}; there are: {names}")
    ours = [r for r in finalists if (r.trial.study.task, r.trial.study.space) == (task, space)]
    return min(ours, key=lambda r: (r.select_error, r.trial.id))


def _write(directory: RunDirectory, record: TrialRecord, task: RunTask, folder: Path) -> float:
    import torch
    from safetensors.torch import load_model, save_file

    from nas.networks import RawInputs, raw_rows, stored_weights, trained
    from search_spaces.network import build

    weights = stored_weights(directory, record)
    live = trained(record, weights, task)
    save_file(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)
    described = {
        "architecture": record.trial.architecture.to_dict(),
        "shape": to_plain(task.shape),
        "mean": list(task.mean),
        "std": list(task.std),
        "task": task.name,
        "space": record.trial.study.space,
        "trial": record.trial.id,
        "commit": record.commit,
    }
    (folder / "architecture.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    save_program(live, task, folder / "model.pt2")

    raw = raw_rows(task, 5)
    with torch.no_grad():
        expected = RawInputs(live, task)(raw)
        read = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))
        again = build(Architecture.from_dict(read["architecture"]), task.shape)
        load_model(again, folder / "model.safetensors")
        program = torch.export.load(folder / "model.pt2").module()
        outputs = {"model.safetensors": RawInputs(again, task).eval()(raw), "model.pt2": program(raw)}
    worst = 0.0
    for name, output in outputs.items():
        difference = float((output - expected).abs().max() / expected.abs().max())
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{name} differs from the trained network by {difference:.1e} of the largest logit, "
                f"more than {TOLERANCE:.0e}; nothing was written"
            )
        worst = max(worst, difference)
    return worst


def save_program(live: nn.Module, task: RunTask, path: Path) -> None:
    """The frozen network with its input normalisation inside, as a program for any batch size."""
    import torch

    from nas.networks import deployed

    example = torch.zeros(2, task.shape.channels, *task.shape.extent)
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(deployed(live, task), (example,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
