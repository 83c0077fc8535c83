"""The one HTML template of the report: no script, nothing loaded from anywhere, light and dark, print."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1b1f24; --faint: #59636e;
  --line: #d1d9e0; --yes: #0a6b3d; --no: #a8320a; --open: #6b5200; --yes-paper: #dff5e7; --no-paper: #ffe6dc;
  --open-paper: #fbf0cf; $light }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --card: #161b22; --ink: #e6edf3;
  --faint: #9aa5b1; --line: #30363d; --yes: #7ee2a8; --no: #ffa183; --open: #f0cf65; --yes-paper: #12331f;
  --no-paper: #40200f; --open-paper: #362c0c; $dark } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper);
  color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .7rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.8rem 0 .5rem; }
p, ul { max-width: 52rem; margin: .5rem 0; }
a { color: inherit; }
.meta { color: var(--faint); margin: 0 0 1.4rem; }
.overall { font-size: 1.15rem; max-width: 60rem; margin: 1.2rem 0; }
.verdicts { display: grid; gap: .8rem; margin: 1.2rem 0; }
.verdict, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.verdict { padding: .9rem 1.1rem; }
.verdict p { max-width: 66rem; margin: .35rem 0 0; }
.verdict a { font-weight: 650; text-decoration: none; margin-right: .5rem; }
.badge { display: inline-block; border-radius: 1rem; padding: .05rem .7rem; font-size: .85rem;
  font-weight: 650; margin-right: .35rem; border: 1px solid currentColor; }
.yes { color: var(--yes); background: var(--yes-paper); }
.no { color: var(--no); background: var(--no-paper); }
.open { color: var(--open); background: var(--open-paper); }
.plain { color: var(--faint); font-weight: 450; }
.scroll { overflow-x: auto; margin: .8rem 0 .3rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; min-width: 40%; }
th, td { padding: .42rem .65rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { white-space: nowrap; }
.below { display: block; font-size: .82rem; color: var(--faint); }
th { font-weight: 600; color: var(--faint); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table.words td, table.words th { text-align: left; white-space: normal; }
tbody tr:first-child td:first-child { font-weight: 650; }
table.words tbody tr:first-child td:first-child { font-weight: inherit; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin: 1.2rem 0; }
figure { margin: 0; padding: .9rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 38rem; margin: 0 auto; }
figure svg text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif !important; }
figcaption { font-size: .86rem; color: var(--faint); margin-top: .5rem; line-height: 1.45; }
figcaption b { color: var(--ink); }
.note, .small { font-size: .88rem; color: var(--faint); }
details { margin: .7rem 0; } summary { cursor: pointer; font-weight: 600; }
code { font: .9em ui-monospace, "Cascadia Mono", Menlo, monospace; }
@media print { body { max-width: none; padding: 0; } figure, .verdict { break-inside: avoid; } }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="meta">$meta</p>
</header>
<main>
$body
</main>
</body>
</html>
"""

DARK = {
    "ink": "#e6edf3",
    "single": "#58a6ff",
    "searched0": "#ff8c4c",
    "searched1": "#3fce9b",
    "searched2": "#e3a3c6",
    "searched3": "#f0b83a",
    "default0": "#aab4bf",
    "default1": "#d0b070",
    "default2": "#8fd3ff",
}
"""Colours of the figures on dark screens, by the names of `drawing.COLOURS`."""
