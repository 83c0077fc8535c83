"""What stands beside an exported network, for whoever is to use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.exporting.backends import DIRECT, Backends
from nas.exporting.verifying import Checked
from nas.run_directory import RunTask
from trials.exported import Design
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
        live_error: of the live network, on the rows that artifacts were checked on.
        rows: so many of the report half.
        frozen_parameters, frozen_multiply_adds: of the deployed form.
        any_extent: names of programs that take inputs of any extent, and those that do not.
        milliseconds: of onnxruntime on one row.
        rate: new sampling rate over that of training, if it is another.
        lower: names of the files of lower precision.
    """

    design: Design
    task: RunTask
    record: TrialRecord
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
    software: str
    rate: float | None = None
    cropped: Cropped | None = None
    lower: Sequence[str] = ()

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
    rows = [
        ("test error", test.error, test.error_interval, test.rows, "looked at once; the number to quote"),
        ("test balanced accuracy", test.balanced_accuracy, test.balanced_accuracy_interval, test.rows, ""),
        ("test AUROC", test.auroc, test.auroc_interval, test.rows, ""),
        ("report error", record.report_error, None, record.rows_report, "validation rows not chosen by"),
        ("select error", record.select_error, None, record.rows_select, "chosen by, so too good"),
        (
            "always the most frequent class",
            record.majority_error,
            None,
            record.rows_select + record.rows_report,
            "",
        ),
    ]
    table = ["| measure | value | 95 % interval | n | |", "| --- | --- | --- | --- | --- |"]
    for name, value, interval, count, remark in rows:
        if value is not None:
            table.append(f"| {name} | {_percent(value)} | {_interval(interval)} | {count} | {remark} |")
    for anchor in facts.task.anchors:
        table.append(
            f"| {anchor.name} instead: report error | {_percent(anchor.error)} | | {record.rows_report} | |"
        )
    if facts.rate is not None:
        extent = "x".join(map(str, facts.design.shape.extent))
        table += [
            "",
            f"All of these are at the sampling rate of training. **At {extent} samples, {facts.rate:g} times "
            f"that rate, its error on {facts.rows} resampled report rows is {_percent(facts.live_error)}**; "
            "it was not trained there, and resampling adds no detail.",
        ]
    return "\n".join(table)


def _cost(facts: Facts) -> str:
    record = facts.record
    lines = [
        f"* as trained: {record.parameters:,} parameters, {record.multiply_adds:,} multiply-adds a row",
        f"* as deployed: {facts.frozen_parameters:,} numbers, {facts.frozen_multiply_adds:,} multiply-adds a "
        f"row; kernels of {_sizes(facts.kernel_sizes)} taps",
        f"* one row in onnxruntime: {facts.milliseconds:.2f} ms ({facts.software})",
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
        "| file | largest difference of a logit | over the largest logit | same prediction | error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in facts.checked:
        lines.append(
            f"| {each.name} | {each.difference:.1e} | {each.relative:.1e} | {100 * each.agreement:.2f} % "
            f"| {_percent(each.error)} |"
        )
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
            "* It was chosen among finalists by its select error: expect the test error's interval, not its "
            "middle.",
            "* Nothing is known of how it does on other sources, groups of people or under attack.",
            "* The checksums in manifest.json tell damage, not tampering.",
        ]
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def _sizes(sizes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, size)) for size in sizes)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 20 else f"{', '.join(names[:19])}, ... {names[-1]}"
