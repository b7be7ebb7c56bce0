"""The atlas as one table that sorts by a click on a column's head: no other page of qlazy runs a script."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from pathlib import Path

from qlazy.base.storage import atomic_write
from qlazy.base.tables import Table

NAME = "atlas.html"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color-scheme: light dark; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th { position: sticky; top: 0; cursor: pointer; background: Canvas; text-align: left; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8884; white-space: nowrap; }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
"""

_SCRIPT = """
const heads = [...document.querySelectorAll("th")], body = document.querySelector("tbody");
heads.forEach((head, column) => head.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const of = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [first, second] = [of(a), of(b)], [x, y] = [Number(first), Number(second)];
    return isNaN(x) || isNaN(y) ? first.localeCompare(second) : x - y;
  };
  const rows = [...body.rows].sort((a, b) => up ? order(a, b) : order(b, a));
  heads.forEach(one => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
}));
"""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?(?=[ %]|$)")


def write_page(tables: Sequence[Table], folder: str | os.PathLike[str]) -> Path:
    """Write ``atlas.html``, all data sets in one table; returns its path."""
    head = ("data", *tables[0].head)
    rows = [(table.title.split(":")[0], *row) for table in tables for row in table.rows]
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    titles = "".join(f"<li>{html.escape(table.title)}</li>" for table in tables)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>The atlas</title>\n'
        f"<style>{_STYLE}</style></head><body>\n<h1>Which circuit is lazy on which data, and does training pay?</h1>\n"
        "<p>Intervals are 95 %, over seeds or over seeds and test samples. Differences are in points of test accuracy. "
        "A click on a column's head sorts by it.</p>\n"
        f"<table><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table>\n<ul>{titles}</ul>\n"
        f"<script>{_SCRIPT}</script></body></html>\n"
    )
    path = Path(folder, NAME)
    with atomic_write(path) as file:
        file.write(text.encode())
    return path


def _cell(text: str) -> str:
    """A cell that begins with a number sorts by it."""
    number = _NUMBER.match(text)
    value = f' data-value="{float(number[0]):g}"' if number else ""
    return f"<td{value}>{html.escape(text)}</td>"
