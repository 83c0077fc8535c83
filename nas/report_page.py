"""The one HTML template of the report: nothing loaded from anywhere, light and dark, phone and print.

It has one script, which sorts tables and nothing else; the page says the same without it.
"""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  script-src 'sha256-$allowed'; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1b1f24; --faint: #59636e;
  --line: #d1d9e0; --yes: #0a6b3d; --no: #a8320a; --open: #6b5200; --yes-paper: #dff5e7; --no-paper: #ffe6dc;
  --open-paper: #fbf0cf; $light }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #0d1117; --card: #161b22; --ink: #e6edf3;
  --faint: #9aa5b1; --line: #30363d; --yes: #7ee2a8; --no: #ffa183; --open: #f0cf65; --yes-paper: #12331f;
  --no-paper: #40200f; --open-paper: #362c0c; $dark } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper);
  color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 .7rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.8rem 0 .5rem; }
p, ul { max-width: 52rem; margin: .5rem 0; }
a { color: inherit; }
.meta { color: var(--faint); margin: 0 0 1.4rem; }
.unfinished { font-weight: 650; color: var(--open); background: var(--open-paper); padding: .6rem .9rem;
  border-radius: 10px; max-width: 60rem; }
.overall { font-size: 1.15rem; max-width: 60rem; margin: 1.2rem 0; }
.verdicts { display: grid; gap: .8rem; margin: 1.2rem 0; }
.verdict, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.verdict { padding: .9rem 1.1rem; }
.verdict p { max-width: 66rem; margin: .35rem 0 0; }
.verdict a { font-weight: 650; text-decoration: none; margin-right: .5rem; }
.badge { display: inline-block; border-radius: .8rem; padding: .05rem .7rem; font-size: .85rem;
  font-weight: 650; margin: .1rem .35rem .1rem 0; border: 1px solid currentColor; }
.yes { color: var(--yes); background: var(--yes-paper); }
.no { color: var(--no); background: var(--no-paper); }
.open { color: var(--open); background: var(--open-paper); }
.plain { color: var(--faint); font-weight: 450; }
.scroll { overflow-x: auto; margin: .8rem 0 .3rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; min-width: 40%; }
th, td { padding: .42rem .65rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { white-space: nowrap; }
th, td { overflow-wrap: break-word; }
.below { display: block; font-size: .93em; color: var(--faint); }
th { font-weight: 600; color: var(--faint); vertical-align: bottom; }
th.text, td.text, th:first-child, td:first-child { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
table.words td, table.words th { text-align: left; white-space: normal; }
tr.lead td:first-child { font-weight: 650; }
th button { all: unset; box-sizing: border-box; cursor: pointer; font-weight: 600; }
th button:hover { color: var(--ink); }
th button:focus-visible, .scroll:focus-visible, a:focus-visible { outline: 2px solid var(--single-mark);
  outline-offset: 2px; }
th button::after { content: " \\2195"; opacity: .55; }
th[aria-sort] button { color: var(--ink); }
th[aria-sort] button::after { opacity: 1; content: " \\2193"; }
th[aria-sort="ascending"] button::after { content: " \\2191"; }
.csv { font-size: .8rem; white-space: nowrap; color: var(--faint); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin: 1.2rem 0; }
figure { margin: 0; padding: .9rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 38rem; margin: 0 auto; }
figure svg text { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif !important; }
figcaption { font-size: .86rem; color: var(--faint); margin-top: .5rem; line-height: 1.45; }
figcaption b { color: var(--ink); }
.note, .small { font-size: .88rem; color: var(--faint); }
details { border-top: 1px solid var(--line); } details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-weight: 600; padding: .55rem 0; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); font-size: .88rem; color: var(--faint); }
code { font: .9em ui-monospace, "Cascadia Mono", Menlo, monospace; }
@media (max-width: 34rem) { body { padding: 1.2rem .9rem 2rem; } h1 { font-size: 1.4rem; }
  figure { padding: .6rem .5rem; }
  th:first-child, td:first-child { min-width: 6.5rem; white-space: normal; } }
@media print { :root { color-scheme: light; font-size: 9.5pt; } @page { margin: 14mm; }
  body { max-width: none; padding: 0; } .csv, th button::after { display: none; }
  figure, .verdict, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; gap: .6rem; } figure { padding: .4rem; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .scroll { overflow: visible; } table { font-size: 6.8pt; width: 100%; } td { white-space: normal; }
  th, td { padding: .2rem .25rem; overflow-wrap: normal; }
  .badge, .verdict, figure { print-color-adjust: exact; } }
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
<footer>$foot</footer>
<script>$script</script>
</body>
</html>
"""

SCRIPT = """
"use strict";
const {compare} = new Intl.Collator("en", {numeric: true});
const key = cell => cell.dataset.value ? Number(cell.dataset.value) : cell.textContent;
const order = (one, other) => {
  const a = key(one), b = key(other);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return compare(one.dataset.group ?? "", other.dataset.group ?? "") ||
    (typeof a === "number" ? a - b : compare(a, b));
};
const next = {none: "ascending", ascending: "descending", descending: "none"};
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], written = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (written.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sort = next[head.ariaSort ?? "none"], sign = sort === "descending" ? -1 : 1;
      for (const each of heads) each.removeAttribute("aria-sort");
      if (sort !== "none") head.setAttribute("aria-sort", sort);
      const cell = row => row.cells[column];
      const empty = written.filter(row => cell(row).dataset.value === "");
      const full = written.filter(row => cell(row).dataset.value !== "");
      if (sort !== "none") full.sort((a, b) => sign * order(cell(a), cell(b)));
      body.append(...(sort === "none" ? written : [...full, ...empty]));
    });
  });
}
"""
"""Sorts a table by the column whose head is pressed: ascending, descending, as written. Empty cells last."""

DARK = {
    "ink": "#e6edf3",
    "single": "#58a6ff",
    "searched0": "#ff8c4c",
    "searched1": "#3fce9b",
    "searched2": "#e3a3c6",
    "searched3": "#f0b83a",
    "default0": "#aab4bf",
    "default1": "#d0b070",
    "default2": "#b79be0",
}
"""Colours of the figures on dark screens, by the names of `drawing.COLOURS`."""
