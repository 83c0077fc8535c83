"""What `nas show RUN_DIR TRIAL` prints: everything that is known of one trial."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.run_directory import RunDirectory, open_run
from nas.trial_names import found
from trials.names import CHECKPOINT
from trials.record import EpochMetrics, Trial, TrialRecord

MOST_EPOCHS = 20
"""A longer curve is shown thinned: so many epochs, the first and the last among them."""


def one_trial(path: Path | str, name: str) -> RenderableType:
    """Design, recipe, curve, costs, where it ran, why it failed, and the last lines it wrote.

    Args:
        path: of the run directory, or its URL.
        name: of the trial, as in the records; the only one that ends so will do, such as ``search.0.0003``.

    Raises:
        ValueError: the run has no such trial, or several; the message names the nearest.
    """
    directory = open_run(path)
    trials = {trial.id: trial for trial in directory.read_trials()[0]}
    records = {record.trial.id: record for record in directory.read_records()[0]}
    known = trials | {each.trial.id: each.trial for each in records.values()}
    trial = known[found(name, known, path)]
    record = records.get(trial.id)
    parts: list[RenderableType] = [_facts(trial, record)]
    if record is None:
        parts.append(Text(_unfinished(directory, trial)))
        return Group(*parts)
    if record.curve:
        parts.append(_curve(record.curve))
    if record.reason:
        parts += [Text("\nwhy it failed"), Text(record.reason)]
    if record.log:
        parts += [Text(f"\nthe last {len(record.log)} lines of its log"), *map(Text, record.log)]
    return Group(*parts)


def _unfinished(directory: RunDirectory, trial: Trial) -> str:
    begun = CHECKPOINT in directory.folder(trial.id).names()
    kept = "it has a checkpoint to go on from" if begun else "it has no checkpoint"
    return f"no record yet: it runs, or waits to be run again; {kept}"


def _facts(trial: Trial, record: TrialRecord | None) -> Table:
    recipe = trial.recipe
    facts = {
        "task": str(trial.task),
        "values": ", ".join(f"{name}={value}" for name, value in trial.values.items()) or "none to choose",
        "architecture": f"{trial.architecture.id}: {trial.architecture.to_json()}",
        "recipe": f"{recipe.name}: {recipe.epochs} epochs, batch {recipe.batch_size}, "
        f"learning rate {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}",
        "seed": str(trial.seed),
    }
    if trial.selected_from:
        facts["design of"] = trial.selected_from
    if record is not None:
        facts |= _ended(record)
    table = Table(
        title=f"trial {trial.id}", title_justify="left", box=None, padding=(0, 1), show_header=False
    )
    table.add_column()
    table.add_column(overflow="fold")
    for what, value in facts.items():
        table.add_row(what, Text(value))
    return table


def _ended(record: TrialRecord) -> dict[str, str]:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started))
    attempts = "" if record.attempts == 1 else f", {record.attempts} attempts"
    device = f" ({record.peak_device_bytes / 1e6:.0f} MB of it)" if record.peak_device_bytes else ""
    facts = {
        "status": f"{record.status}, {len(record.curve)} of {record.trial.recipe.epochs} epochs{attempts}",
        "host": f"{record.host}, process {record.process}",
        "device": f"{record.device}{device}, share {record.device_share:g}, "
        f"at most {record.co_residents} other trials beside it",
        "began": f"{began}, {record.finished - record.started:.1f} s until it ended",
        "seconds": f"{record.wall:.1f} (setup {record.seconds_setup:.1f}, data {record.seconds_data:.1f}, "
        f"training {record.seconds_training:.1f}, evaluation {record.seconds_evaluation:.1f}), "
        f"waiting {record.seconds_waiting:.1f}",
        "network": f"{record.parameters:,} parameters, {record.multiply_adds:,} multiply-adds",
        "memory": f"{record.peak_memory_bytes / 1e6:.0f} MB of the process at most",
        "software": f"{record.software} {record.commit}".strip(),
    }
    if record.test is not None:
        facts["test"] = f"{100 * record.test.error:.1f} % of {record.test.rows} rows"
    return facts


def _curve(curve: tuple[EpochMetrics, ...]) -> Table:
    shown = _thinned(len(curve))
    thinned = "" if len(shown) == len(curve) else f" ({len(shown)} of {len(curve)} epochs)"
    table = Table(title=f"\ncurve{thinned}", title_justify="left", box=None, padding=(0, 1))
    for column in ("epoch", "train loss", "select %", "report %", "select loss", "seconds", "kernels"):
        table.add_column(column, overflow="fold", justify="left" if column == "kernels" else "right")
    for each in (curve[i] for i in shown):
        table.add_row(
            str(each.epoch),
            f"{each.train_loss:.4f}",
            f"{100 * each.select_error:.1f}",
            f"{100 * each.report_error:.1f}",
            f"{each.select_loss:.4f}",
            f"{each.seconds_data + each.seconds_training + each.seconds_evaluation:.1f}",
            " ".join("x".join(map(str, size)) for size in each.kernel_sizes),
        )
    return table


def _thinned(epochs: int) -> list[int]:
    """Positions to show, evenly spread."""
    if epochs <= MOST_EPOCHS:
        return list(range(epochs))
    return [round(i * (epochs - 1) / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)]
