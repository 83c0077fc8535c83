"""MLflow's pages in a headless Chromium, used as a user uses them.

The browser is the distribution's (Debian: apt install chromium); Playwright only drives it. Where there is
none, that is a failure and not a skip.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60
"""That a page may take; a shared machine is slow."""
QUIET = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
"""
"""As if the assistant's panel had been closed before."""
ADD_CHART = "experiment-view-compare-runs-add-chart"
FIELD = "xpath=ancestor::div[contains(concat(' ', @class, ' '), ' du-bois-light-select ')]"
"""Around the input of a field, over which the value that is selected may lie."""
ROW = "[role=row][row-index]"


def browser() -> str:
    """The program.

    Raises:
        FileNotFoundError: there is none.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise FileNotFoundError(f"none of {', '.join(PROGRAMS)} is on PATH: apt install chromium")
    return program


@contextmanager
def browser_page(width: int = 1280, height: int = 800) -> Iterator[Page]:
    """A page of a fresh browser, `width` by `height` pixels."""
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser(), args=alone)
        context = chromium.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(1000 * SECONDS)
        context.add_init_script(QUIET)
        try:
            yield context.new_page()
        finally:
            chromium.close()


def open_runs(
    page: Page, address: str, query: str, *, order: str = "metrics.`error`", charts: bool = False
) -> None:
    """The runs of an experiment.

    Args:
        page: of the browser.
        address: of the experiment's runs.
        query: what is typed into the search field.
        order: what they are sorted by, smallest first.
        charts: charts beside them instead of columns.
    """
    state = {"workflowType": "machine_learning", "searchFilter": query}
    state |= {"orderByKey": order, "orderByAsc": "true"} | ({"compareRunsMode": "CHART"} if charts else {})
    page.goto("about:blank")
    page.goto(f"{address.partition('?')[0]}?{urlencode(state)}")
    page.wait_for_selector(f"{ROW} a")
    if charts:
        page.get_by_test_id(ADD_CHART).first.wait_for()


def shown_runs(page: Page) -> list[str]:
    """Names of the runs in the table's window, from above."""
    rows = page.locator(ROW).filter(has=page.locator("a[href*='/runs/']"))
    found = {int(row.get_attribute("row-index") or 0): row.locator("a").first for row in rows.all()}
    return [found[index].inner_text() for index in sorted(found)]


def load_all(page: Page) -> None:
    """Every run that matches: the table begins with 100, and groups and charts know those that it has."""
    table, more = page.locator(".ag-body-viewport").first, page.get_by_role("button", name="Load more")
    while True:
        table.evaluate("table => table.scrollTo(0, table.scrollHeight)")  # the button is below the last run
        page.wait_for_timeout(1500)
        if not more.count():
            break
        before = matching(page)
        more.click()
        page.wait_for_function(f"!document.body.innerText.match(/\\b{before}\\s+matching/)")
    table.evaluate("table => table.scrollTo(0, 0)")


def matching(page: Page) -> int:
    """Runs that the table has, as it says itself."""
    return int(page.get_by_text(re.compile("[0-9]+ matching runs?")).inner_text().split()[0])


def fold_sidebar(page: Page) -> None:
    """More room for the table."""
    page.get_by_role("button", name="Toggle sidebar").click()


def show_all(page: Page) -> None:
    """Every run of the table in the charts, not the first ten."""
    page.locator("[data-testid=experiment-view-runs-visibility-column-header]:visible").click()
    page.get_by_role("menuitemradio", name="Show all runs").click()


def add_chart(page: Page, kind: str, *choices: Sequence[str]) -> None:
    """Add a chart to the first section.

    Args:
        page: with charts.
        kind: as the menu names it.
        choices: for each field of the dialog from above, what is chosen in it.
    """
    page.get_by_test_id(ADD_CHART).first.click()
    page.get_by_role("menuitem", name=kind).click()
    dialog = page.get_by_role("dialog")
    for number, names in enumerate(choices, start=1):  # number 0 is the kind
        field = dialog.get_by_role("combobox").nth(number).locator(FIELD)
        for name in names:
            field.click()
            page.keyboard.type(name)
            options = page.locator(".du-bois-light-select-item-option, [role=option]")
            options.filter(has_text=re.compile(f"^{re.escape(name)}$"), visible=True).first.click()
        page.keyboard.press("Tab")
    dialog.get_by_role("button", name="Add chart").click()
    dialog.wait_for(state="hidden")


def enlarge(page: Page, search: str, title: str) -> None:
    """One chart over the whole window.

    Args:
        page: with charts.
        search: a metric or parameter of it, which finds it.
        title: that stands above it.
    """
    page.get_by_placeholder("Search metric charts").fill(search)
    heading = page.locator(f"h4[title='{title}']")
    card = page.get_by_test_id("experiment-view-compare-runs-card").filter(has=heading)
    card.locator("[data-component-id=fullscreen_button_chartcard]").click()
    page.get_by_role("dialog").locator("svg").first.wait_for()


def choose_columns(page: Page, *, add: Sequence[str], drop: Sequence[str] = ("Dataset", "Source")) -> None:
    """Parameters, metrics and tags as columns of the table, and columns that go."""
    page.get_by_role("button", name="Columns").click()
    for name in (*drop, *add):
        page.get_by_placeholder("Search columns").fill(name)
        row = page.locator(".du-bois-light-tree-treenode").filter(has_text=re.compile(f"^{re.escape(name)}$"))
        row.locator(".du-bois-light-tree-checkbox").first.click()
    page.keyboard.press("Escape")


def group_by(page: Page, name: str) -> None:
    """Runs in groups by a tag or a parameter."""
    page.get_by_role("button", name="Group by").click()
    page.get_by_role("menuitemcheckbox", name=name, exact=True).click()
    page.keyboard.press("Escape")
