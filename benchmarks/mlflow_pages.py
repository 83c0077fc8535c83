"""How long MLflow's pages take to open over many trials, in a headless browser.

    python -m benchmarks.mlflow_pages --trials 2000 --repeats 5

Closed-form trials with the parameters, metrics and tags of real ones in an SQLite file, as a local run has
it, and `nas show --ui` over it. Seconds from the address to the first rows: of all runs, of the trials alone,
sorted by error, and to the first chart; each in a browser that has never been there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.mlflow_trials import put_run
from nas.rebuilding import rebuild_into
from tests.nas.browser import browser_page, open_runs
from tests.nas.clusters import ROOT, started
from trials import surroundings

TRIALS = "tags.nas.level = 'trial'"


def all_runs(page: Page, address: str) -> None:
    open_runs(page, address, "", order="attributes.start_time")


def trials_by_error(page: Page, address: str) -> None:
    open_runs(page, address, TRIALS)


def charts(page: Page, address: str) -> None:
    open_runs(page, address, TRIALS, charts=True)
    page.locator("[data-testid=experiment-view-compare-runs-card] svg.main-svg").first.wait_for()


def seconds(view: Callable[[Page, str], None], address: str) -> float:
    with browser_page() as page:
        began = time.perf_counter()
        view(page, address)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    views = (all_runs, trials_by_error, charts)
    took: dict[str, list[float]] = {view.__name__: [] for view in views}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rebuild_into(str(put_run(given.trials, given.epochs, folder / "run", None)), None, lambda line: None)
        command = [sys.executable, "-c", "from nas.cli import main; main()", "show", "run", "--ui"]
        with started(command, folder) as server:
            assert server.stdout is not None
            address = next(line for line in server.stdout if line.startswith("MLflow: ")).split()[1]
            for _ in range(given.repeats):
                for view in views:
                    took[view.__name__].append(seconds(view, address))
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
    said = {
        name: {"median": round(statistics.median(each), 2), "each": [round(s, 2) for s in sorted(each)]}
        for name, each in took.items()
    }
    about = {"trials": given.trials, "commit": surroundings.commit(), "on": surroundings.processor()}
    print(json.dumps(said | about))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
