"""What stands beside an exported network, for whoever is to use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.exporting.backends import DIRECT, Backends
from nas.exporting.choosing import Choice, how_chosen
from nas.exporting.verifying import Checked
from nas.run_directory import RunTask
from trials.exported import Design
from trials.metrics import wilson
from trials.record import Interval, TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Cropped:
    """What leaving out taps did: error before and after, largest difference of a logit over the largest."""

    tolerance: float
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    relative: float
    error_before: float
    error_after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Everything on the card.

    Attributes:
        choice: how it came to be this finalist.
        live_error: of the live network, on the rows that artifacts were checked on.
        rows: so many of the report half.
        frozen_parameters, frozen_multiply_adds: of the deployed form.
        any_extent: names of programs that take inputs of any extent, and those that do not.
        milliseconds: of onnxruntime on one row, on `processor`.
        rate: new sampling rate over that of training, if it is another.
        lower: names of the files of lower precision.
    """

    design: Design
    task: RunTask
    record: TrialRecord
    choice: Choice
    run: str
    checked: Sequence[Checked]
    live_error: float
    rows: int
    kernel_sizes: tuple[tuple[int, ...], ...]
    frozen_parameters: int
    frozen_multiply_adds: int
    any_extent: dict[str, bool]
    backends: Backends
    milliseconds: float
    processor: str
    software: str
    rate: float | None = None
    cropped: Cropped | None = None
    lower: Sequence[str] = ()

    @property
    def deployed_error(self) -> float:
        """Of model.onnx on the rows, in [0, 1]."""
        return next(e.error for e in self.checked if e.name == "model.onnx" and e.error is not None)

    @property
    def difference(self) -> float:
        """Largest difference of a float32 file from the live network, over the largest logit."""
        return max(each.relative for each in self.checked if each.name not in self.lower)


def card(facts: Facts) -> str:
    """The text of card.md."""
    design, record = facts.design, facts.record
    sections = [
        f"# {design.space} on {design.task}",
        f"A classifier of inputs {design.shape} into {design.shape.classes} classes"
        f"{', series of different lengths' if design.shape.variable else ''}: {_names(design.class_names)}. "
        f"Trial {design.trial} of run {facts.run}, design {design.architecture.id} "
        f"(family {design.architecture.family}), commit {design.commit or 'unknown'}.",
        "## Data",
        _data(facts.task),
        "## How good it is",
        _quality(facts),
        "## What it costs",
        _cost(facts),
        "## Checked",
        _checked(facts),
        "## Use",
        _use(facts),
        "## Limits",
        _limits(facts),
    ]
    assert record.test is not None
    return "\n\n".join(sections) + "\n"


def _data(task: RunTask) -> str:
    lines = [
        f"* origin: {task.origin or 'not known to the run'}",
        f"* licence of the data: {task.licence or 'not known to the run; find out before you publish'}",
        f"* digest of the rows: {task.digest[:12]}",
    ]
    return "\n".join(lines + [f"* note: {note}" for note in task.notes])


def _quality(facts: Facts) -> str:
    record, test = facts.record, facts.record.test
    assert test is not None
    select, report = record.rows_select, record.rows_report
    majority = _wilson(record.majority_error, select + report)
    searched = "chosen by" if facts.choice.by in ("error", "front") else "what searches choose by"
    rows = [
        ("test error", test.error, test.error_interval, test.rows, "looked at once; the number to quote"),
        ("test balanced accuracy", test.balanced_accuracy, test.balanced_accuracy_interval, test.rows, ""),
        ("test AUROC", test.auroc, test.auroc_interval, test.rows, ""),
        (
            "report error",
            record.report_error,
            _wilson(record.report_error, report),
            report,
            "validation rows not chosen by",
        ),
        (
            "select error",
            record.select_error,
            _wilson(record.select_error, select),
            select,
            f"{searched}, so too good; the interval does not know of it",
        ),
        ("always the most frequent class", record.majority_error, majority, select + report, ""),
    ]
    table = ["| measure | value | 95 % interval | n | |", "| --- | --- | --- | --- | --- |"]
    for name, value, interval, count, remark in rows:
        if value is not None:
            table.append(f"| {name} | {_percent(value)} | {_interval(interval)} | {count} | {remark} |")
    for anchor in facts.task.anchors:
        table.append(
            f"| {anchor.name} instead: report error | {_percent(anchor.error)} | – | – | {anchor.note} |"
        )
    if facts.rate is not None:
        extent = "x".join(map(str, facts.design.shape.extent))
        table += [
            "",
            f"All of these are at the sampling rate of training. **At {extent} samples, {facts.rate:g} times "
            f"that rate, its error on {facts.rows} resampled report rows is {_percent(facts.live_error)}** "
            f"(95 % interval {_interval(_wilson(facts.live_error, facts.rows))}); it was not trained there, "
            "and resampling adds no detail.",
        ]
    return "\n".join(table)


def _cost(facts: Facts) -> str:
    record = facts.record
    lines = [
        f"* as trained: {record.parameters:,} parameters, {record.multiply_adds:,} multiply-adds a row",
        f"* as deployed: {facts.frozen_parameters:,} numbers, {facts.frozen_multiply_adds:,} multiply-adds a "
        f"row; kernels of {_sizes(facts.kernel_sizes)} taps",
        f"* one row in onnxruntime: {facts.milliseconds:.2f} ms ({facts.processor}; {facts.software})",
        f"* convolutions of model.pt2: {_backends(facts.backends)}",
    ]
    if (crop := facts.cropped) is not None:
        lines.append(
            f"* cropped at {crop.tolerance:g} of each kernel's norm: from {_sizes(crop.before)} taps to "
            f"{_sizes(crop.after)}; largest change of a logit {crop.relative:.1e} of the largest logit, "
            f"error {_percent(crop.error_before)} before and {_percent(crop.error_after)} after, on "
            f"{facts.rows} rows"
        )
    return "\n".join(lines)


def _backends(measured: Backends) -> str:
    seconds, direct = measured.seconds[measured.taken], measured.seconds[DIRECT]
    others = ", ".join(f"{name} {1000 * each:.2f} ms" for name, each in measured.seconds.items())
    gain = f", {direct / seconds:.1f} times as fast as direct" if measured.taken != DIRECT else ""
    return f"{measured.taken}{gain} (measured on {measured.rows} rows: {others})"


def _cropping(facts: Facts) -> str:
    return "; model.pt2 and model.onnx with it cropped" if facts.cropped is not None else ""


def _checked(facts: Facts) -> str:
    lines = [
        f"Each file was loaded in a fresh process and compared with the live network on {facts.rows} rows of "
        f"the report half (its error there: {_percent(facts.live_error)}){_cropping(facts)}.",
        "",
        "| file | rows | largest difference of a logit | over the largest logit | same prediction | error "
        "| 95 % interval |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in facts.checked:
        lines.append(
            f"| {each.where} | {each.rows} | {each.difference:.1e} | {each.relative:.1e} "
            f"| {100 * each.agreement:.2f} % | {_percent(each.error)} "
            f"| {_interval(_wilson(each.error, facts.rows))} |"
        )
    fewer = [
        f"{each.name} {100 * (each.error - facts.live_error):+.1f}"
        for each in facts.checked
        if each.name in facts.lower and each.error is not None
    ]
    if fewer:
        lines += ["", f"Points of error over the live network's, on the same rows: {', '.join(fewer)}."]
    return "\n".join(lines)


def _use(facts: Facts) -> str:
    shape = facts.design.shape
    raw = "values in [0, 1]" if shape.dimensions > 1 else "values in the unit of the data"
    ends = ", NaN after the end of a shorter series" if shape.variable else ""
    takes = "; ".join(
        f"{name} takes {'any extent (at the same sampling rate)' if any_extent else 'this extent only'}"
        for name, any_extent in facts.any_extent.items()
    )
    return "\n".join(
        [
            f"Raw inputs go in: float32 (batch, {shape.channels}, {', '.join(map(str, shape.extent))}), "
            f"{raw}{ends}; normalisation is inside. Logits come out, (batch, classes). Any batch size; "
            f"{takes}.",
            "",
            "* `python predict.py rows.npy` needs onnxruntime and numpy",
            "* `torch.export.load('model.pt2').module()` needs torch, not this product",
            "* `search_spaces.build` with architecture.json and model.safetensors gives the network as "
            "trained, for normalised inputs; `python -m trials FOLDER --task T --to DIR` and `nas run "
            "--spaces flexconv,FOLDER` train its design anew",
            "",
            "Meant for inputs that come from where the data above come from, decoded as they were.",
        ]
    )


def _limits(facts: Facts) -> str:
    return "\n".join(
        [
            "* It answers one of its classes to any input, also to what is none of them; its softmax is not "
            "calibrated.",
            f"* {how_chosen(facts.record, facts.choice)}",
            "* Nothing is known of how it does on other sources, groups of people or under attack.",
            "* The checksums in manifest.json tell damage, not tampering.",
        ]
    )


def _wilson(error: float | None, rows: int) -> Interval | None:
    """Interval of an error, a share of so many rows; None where there are no rows or no error."""
    if error is None or rows < 1 or not 0 <= error <= 1:
        return None
    return wilson(round(error * rows), rows)


def error_of_rows(error: float, rows: int) -> str:
    """An error with its interval and n, for a cell of a table."""
    between = _interval(_wilson(error, rows))
    return f"{_percent(error)} ({between}, {rows})" if between else _percent(error)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def _sizes(sizes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, size)) for size in sizes)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 20 else f"{', '.join(names[:19])}, ... {names[-1]}"
