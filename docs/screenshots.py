"""The pictures of docs/mlflow.md, taken of a real run in MLflow's own pages.

    python docs/screenshots.py http://127.0.0.1:5000/#/experiments/1/runs

The address is the one that `nas show RUN_DIR --ui` prints; the run is one of `nas run smoke`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.nas.browser import (
    add_chart,
    browser_page,
    choose_columns,
    enlarge,
    fold_sidebar,
    group_by,
    load_all,
    open_runs,
    show_all,
)

BARE = ("Dataset", "Source", "Models")
"""Columns that make room."""
COLOURS = 96
"""Of a picture, so that it stays small."""
DESIGNS = "tags.nas.task = 'digits' and tags.nas.space = 'twin' and tags.nas.kind = 'population'"
LEARNED = "tags.nas.space = 'flexconv' and tags.nas.task = 'digits_sequence'"
TRIALS = f"{DESIGNS} and tags.nas.level = 'trial'"


def trials(page: Page, address: str) -> None:
    open_runs(page, address, "tags.nas.level = 'trial'")
    fold_sidebar(page)
    choose_columns(
        page, add=("error", "multiply_adds", "space", "kind"), drop=("Dataset", "Source", "Models")
    )


def one_space(page: Page, address: str) -> None:
    open_runs(page, address, TRIALS)
    fold_sidebar(page)
    choose_columns(
        page,
        add=("error", "multiply_adds", *(f"kernel_{i}" for i in range(1, 4))),
        drop=("Dataset", "Source", "Models"),
    )


def finalists(page: Page, address: str) -> None:
    open_runs(page, address, "tags.nas.finalist = 'true'", order="metrics.`test_error`")
    fold_sidebar(page)
    choose_columns(page, add=("test_error", "test_error_low", "test_error_high"))


def stopped(page: Page, address: str) -> None:
    open_runs(page, address, "tags.nas.status = 'stopped'")
    fold_sidebar(page)
    choose_columns(page, add=("epoch", "select_error", "nas.status"), drop=BARE)


def cheap(page: Page, address: str) -> None:
    query = "metrics.error < 0.02 and metrics.multiply_adds < 1000000 and tags.nas.task = 'digits'"
    open_runs(page, address, query)
    fold_sidebar(page)
    choose_columns(
        page, add=("error", "multiply_adds", "parameters", "space"), drop=("Dataset", "Source", "Models")
    )


def groups(page: Page, address: str) -> None:
    open_runs(page, address, "tags.nas.kind = 'population' and tags.nas.level = 'trial'")
    load_all(page)
    fold_sidebar(page)
    choose_columns(page, add=("error", "multiply_adds", "seconds"), drop=BARE)
    group_by(page, "nas.task")
    group_by(page, "nas.space")


def parallel(page: Page, address: str) -> None:
    open_runs(page, address, TRIALS, charts=True)
    load_all(page)
    show_all(page)
    kernels = [f"kernel_{number}" for number in range(1, 6)]
    add_chart(page, "Parallel coordinates", kernels, ["multiply_adds", "error"])
    enlarge(page, "kernel_1", "Parallel Coordinates")


def scatter(page: Page, address: str) -> None:
    open_runs(page, address, "tags.nas.level = 'trial' and tags.nas.task = 'digits'", charts=True)
    load_all(page)
    show_all(page)
    add_chart(page, "Scatter chart", ["multiply_adds"], ["error"])
    enlarge(page, "multiply_adds", "multiply_adds vs. error")


def curves(page: Page, address: str) -> None:
    query = "tags.nas.level = 'trial' and tags.nas.task = 'digits' and tags.nas.kind = 'population'"
    open_runs(page, address, query, charts=True)
    load_all(page)
    group_by(page, "nas.space")
    enlarge(page, "select_error", "select_error")


def sizes(page: Page, address: str) -> None:
    open_runs(page, address, f"{LEARNED} and tags.nas.level = 'trial'", charts=True)
    show_all(page)
    enlarge(page, "taps_5", "taps_5")


VIEWS: tuple[Callable[[Page, str], None], ...] = (
    trials,
    one_space,
    finalists,
    stopped,
    cheap,
    groups,
    parallel,
    scatter,
    curves,
    sizes,
)


def take(page: Page, address: str, view: Callable[[Page, str], None], folder: Path) -> Path:
    """One picture, named after its view."""
    view(page, address)
    page.wait_for_timeout(1500)  # charts move into place
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    path = folder / f"{view.__name__}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("views", nargs="*", help="default: all", metavar="VIEW")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "mlflow", help="folder")
    given = parser.parse_args()
    given.to.mkdir(exist_ok=True)
    for view in VIEWS:
        if not given.views or view.__name__ in given.views:
            with browser_page(1120, 630) as page:  # a fresh one: MLflow remembers columns and charts
                path = take(page, given.address, view, given.to)
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
