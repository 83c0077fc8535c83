"""MLflow's pages over a real run, in a real browser."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from nas.run_directory import RunDirectory
from tests.nas.browser import (
    ADD_CHART,
    add_chart,
    browser_page,
    choose_columns,
    enlarge,
    group_by,
    load_all,
    matching,
    open_runs,
    show_all,
    shown_runs,
)
from tests.nas.clusters import ROOT, started
from tests.nas.mlflow_servers import without_mlflow
from tests.nas.test_stores import NAS
from trials.record import TrialRecord

pytestmark = pytest.mark.slow
SETTINGS = "population=6 repeats=0 seeds=1 search_trials=4 finalist_seeds=1 search_seeds=1 epochs=3"
DESIGNS = "tags.nas.level = 'trial' and tags.nas.space = 'twin' and tags.nas.kind = 'population'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def records(folder: Path) -> list[TrialRecord]:
    """Of a run in the folder of this module."""
    settings = [word for setting in (*SETTINGS.split(), "grace_epochs=1") for word in ("--set", setting)]
    command = [*NAS, "run", "smoke", "--tasks", "digits@rows=300", "--run-dir", "run", *settings]
    subprocess.run(command, cwd=folder, env=without_mlflow(), check=True, stdout=subprocess.DEVNULL)
    return RunDirectory(folder / "run").read_records()[0]


@pytest.fixture(scope="module")
def address(records: list[TrialRecord], folder: Path) -> Iterator[str]:
    """Of the run's trials in MLflow's pages."""
    with started([*NAS, "show", "run", "--ui"], folder, without_mlflow()) as shown:
        assert shown.stdout is not None
        yield next(line for line in shown.stdout if line.startswith("MLflow: ")).split()[1]


def test_children_are_filtered_by_tag_and_sorted_by_error(address: str, records: list[TrialRecord]) -> None:
    ours = [r for r in records if (r.trial.study.space, r.trial.study.kind) == ("twin", "population")]
    hosts: set[str] = set()
    with browser_page() as page:
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
        open_runs(page, address, DESIGNS)
        found = shown_runs(page)
        assert sorted(found) == sorted(each.trial.id for each in ours) and len(found) == matching(page) == 6
        errors = {each.trial.id: each.error for each in ours}
        assert [errors[name] for name in found] == sorted(errors.values())
        choose_columns(page, add=("error", "kernel_1"))
        cells = " ".join(page.locator("[role=row][row-index='0']:visible").all_inner_texts()).split()
        best = next(each for each in ours if each.trial.id == found[0])
        assert float(cells[-2]) == pytest.approx(best.error, abs=1e-4)
        assert cells[-1] == str(best.trial.values["kernel_1"])
        open_runs(page, address, "tags.nas.finalist = 'true' and tags.nas.task = 'digits@rows=300'")
        finalists = [each.trial.id for each in records if each.trial.study.kind == "finalist"]
        assert sorted(shown_runs(page)) == sorted(finalists)
        group_by(page, "nas.space")
        spaces = {each.trial.study.space for each in records if each.trial.study.kind == "finalist"}
        page.get_by_text("Group:").nth(len(spaces) - 1).wait_for()
        assert page.get_by_text("Group:").count() == len(spaces)
    assert hosts <= {"127.0.0.1", ""}


def test_the_parallel_coordinates_show_designs_and_errors(address: str) -> None:
    axes = [*(f"kernel_{number}" for number in range(1, 6)), "error"]
    with browser_page() as page:
        open_runs(page, address, DESIGNS, charts=True)
        load_all(page)
        show_all(page)
        assert page.get_by_test_id(ADD_CHART).count() >= 1
        add_chart(page, "Parallel coordinates", axes[:-1], ["error"])
        enlarge(page, "kernel_1", "Parallel Coordinates")
        titles = page.get_by_role("dialog").locator(".axis-title, .label")
        titles.nth(len(axes) - 1).wait_for()
        assert titles.all_text_contents() == axes


def test_the_pictures_of_the_documentation_can_be_taken(address: str, tmp_path: Path) -> None:
    views = ("trials", "finalists")
    command = [sys.executable, "docs/screenshots.py", address, *views, "--to", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    for view in views:
        picture = Image.open(tmp_path / f"{view}.png")
        assert picture.size == (1120, 630)
        assert (tmp_path / f"{view}.png").stat().st_size < 100_000
        counts = sorted((count for count, _ in picture.convert("RGB").getcolors(1 << 24)), reverse=True)
        assert math.fsum(counts[1:]) > 0.05 * 1120 * 630  # not one colour
