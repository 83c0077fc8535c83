"""The records of the published runs, and the reports from them.

    python -m docs.results.make                    # every report again, from records/*.parquet
    python -m docs.results.make pack runs/primary  # records of runs, a file each, to publish them
    python -m docs.results.make unpack runs/primary  # the run again, to look at or to go on with

A file holds plan, run.json and every design and record as they are, but for names of hosts and of folders.
Times, loads and losses of epochs keep six decimals: more only make it larger.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from docs.results.tables import summary
from nas.comparison import Written, write_report
from nas.run_directory import open_run

HERE = Path(__file__).parent
RECORDS = HERE / "records"
CHECKOUT = HERE.parent.parent
KEPT = ("report.md", "report.html")
"""Of a report; figures and their numbers lie in the page."""


def pack(run: Path) -> Path:
    """Publish the records of a run, or of one that run.sh made; hosts become ``host-1``, ``host-2``, ...

    Raises:
        ValueError: it is no run.
    """
    if not (run / "config.json").exists():
        raise ValueError(f"a run directory holds a config.json, {run} does not")
    found = [path for name in ("config.json", "planned.json", "run.json") if (path := run / name).exists()]
    found += sorted(path for kind in ("design", "record") for path in run.glob(f"trials/*/{kind}.json"))
    contents = {path: json.loads(path.read_text(encoding="utf-8")) for path in found}
    opened = contents.get(run / "run.json", {}).get("tasks", ())
    tasks = [each["task"] for each in (*opened, *contents.values()) if isinstance(each.get("task"), dict)]
    folders = {Path(task["source"]).parent for task in tasks if Path(task["source"]).is_absolute()}
    places = {str(folder): "data" for folder in folders}
    places |= {str(CHECKOUT): "checkout", str(Path.home()): "home"}
    places.pop("/", None)
    known = dict.fromkeys(host for content in contents.values() if (host := content.get("host")))
    hosts = {host: f"host-{i}" for i, host in enumerate(known, start=1)}
    rows = []
    for path, content in contents.items():
        if host := content.get("host"):
            content["host"] = hosts[host]
            for name in ("log", "reason"):
                content[name] = _without(content.get(name), hosts)
        if "tracking_uri" in content:
            content["tracking_uri"] = None
        for epoch in content.get("curve", ()):
            epoch |= {key: _rounded(value) for key, value in epoch.items() if not key.endswith("error")}
        text = json.dumps(_without(content, places), indent=1)
        rows.append({"name": path.relative_to(run).as_posix(), "content": text})
    RECORDS.mkdir(parents=True, exist_ok=True)
    to = RECORDS / f"{run.name}.parquet"
    schema = pa.schema([("name", pa.string()), ("content", pa.string())])
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema),
        to,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
    )
    return to


def _rounded(content: Any) -> Any:
    """The same with six decimals."""
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return round(content, 6) if isinstance(content, float) else content


def _without(content: Any, places: Mapping[str, str]) -> Any:
    """The same without names of folders, longest first."""
    if isinstance(content, dict):
        return {key: _without(value, places) for key, value in content.items()}
    if isinstance(content, list):
        return [_without(value, places) for value in content]
    if isinstance(content, str):
        for place in sorted(places, key=len, reverse=True):
            content = content.replace(place, places[place])
    return content


def unpack(packed: Path, run: Path) -> None:
    """A run directory again: what was recorded, without checkpoints and weights.

    Raises:
        ValueError: nothing of that name is published, or the run is there.
    """
    if not packed.exists():
        raise ValueError(f"{packed.stem} is not published: there is no {packed}")
    if run.exists():
        raise ValueError(f"{run} is there; name a new folder, or remove it")
    for row in pq.read_table(packed).to_pylist():
        path = run / row["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["content"], encoding="utf-8")


def report(packed: Path) -> Written:
    """The report of one run, into a folder of its name."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / packed.stem
        unpack(packed, run)
        written = write_report([open_run(run)])
        to = HERE / packed.stem
        to.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copyfile(run / name, to / name)
        return written


def reports() -> None:
    """All reports, and the tables over them."""
    made = {packed.stem: report(packed) for packed in sorted(RECORDS.glob("*.parquet"))}
    if made:
        comparisons = {name: written.comparison for name, written in made.items()}
        unfinished = {name: written.unfinished for name, written in made.items()}
        (HERE / "summary.md").write_text(summary(comparisons, unfinished), encoding="utf-8")


def main() -> None:
    """Pack or unpack what is named, or make all reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="(un)pack RUN_DIR", help="nothing: make the reports")
    verb, *runs = parser.parse_args().what or [""]
    if verb not in ("", "pack", "unpack"):
        parser.error(f"verbs are pack and unpack, got {verb}")
    for run in map(Path, runs):
        try:
            if verb == "pack":
                print(pack(run))
            else:
                unpack(RECORDS / f"{run.name}.parquet", run)
        except ValueError as error:
            parser.error(str(error))
    if not verb:
        reports()


if __name__ == "__main__":
    main()
