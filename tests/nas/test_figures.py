"""What a figure shows: every series that it has numbers of is seen and named; old figures go."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

from nas.comparison import compare
from nas.efficiency import compare_records
from nas.figures import all_figures
from nas.figures_use import anytime_figure, pareto_figure
from tests.nas.builders import PLAN, full_run
from tests.nas.test_anytime import search
from tests.nas.written import small_run, write

SVG = "{http://www.w3.org/2000/svg}"


def test_every_dot_has_a_shape() -> None:
    task = compare_records(full_run(("mnist5k",)), PLAN).tasks[0]
    root = ElementTree.fromstring(pareto_figure(task).svg)
    shapes = {f"#{path.get('id')}": path.get("d") for path in root.iter(f"{SVG}path")}
    uses = [use.get("{http://www.w3.org/1999/xlink}href") for use in root.iter(f"{SVG}use")]
    assert len(uses) > task.spaces[0].designs and all(shapes[use] for use in uses if use)


def test_searches_without_a_median_are_in_the_legend() -> None:
    nothing = search(0, [math.inf]) + search(1, [math.inf]) + search(2, [0.3]) + search(3, [0.2])
    svg = anytime_figure(compare_records(nothing, PLAN).tasks[0]).svg
    assert re.findall(r">(twin[^<]*)</text>", svg) == ["twin, 4 searches"]
    some = compare_records(search(0, [0.3]) + search(1, [0.2]), PLAN).tasks[0]
    assert re.findall(r">(twin[^<]*)</text>", anytime_figure(some).svg) == ["twin, median of 2 searches"]


def test_figures_that_the_report_no_longer_has_go_and_other_files_stay(tmp_path: Path) -> None:
    run = write(tmp_path / "run", small_run()).path
    figures = run / "figures"
    figures.mkdir()
    for name in ("07.gone.edf.svg", "07.gone.edf.csv", "series-9.svg", "my own.svg", "07.gone.txt"):
        (figures / name).write_text("old")
    comparison = compare(run)
    drawn = {f"{name}.{kind}" for name in all_figures(comparison) for kind in ("svg", "csv")}
    assert {path.name for path in figures.iterdir()} == drawn | {"my own.svg", "07.gone.txt"}
