"""One self-contained HTML page: paragraphs, facts, tables, figures as inline SVG. Nothing is fetched, nothing runs.

Every text is escaped. Figures take the page's own colours, so that they can be read on light and on dark ground, and
keep the size they were drawn at, so that letters are of one size in all of them; on a narrow screen they scroll.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from matplotlib.figure import Figure

from qlazy.base.storage import atomic_write
from qlazy.base.tables import Table, escaped, printable
from qlazy.drawing.files import Drawing, drawing
from qlazy.drawing.style import INK

CONVENTIONS: Mapping[str, str] = {
    "angle convention": "exp(-i theta P / 2), radians",
    "loss": "1/(2n) sum ||f - y||^2",
    "dtype": "float64",
}
"""What every study goes by unless its result says otherwise."""

NAME = "report.html"

_CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #333333; --faint: #6b6b6b; --rule: #e6e6e6;
        --wash: #f6f7f8; --shade: #00000033; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #dcdee0; --faint: #9aa0a6; --rule: #34383d; --wash: #1f2226;
          --shade: #ffffff33; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
       overflow-wrap: anywhere; font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--rule); padding-bottom: .25rem; }
.lead { background: var(--wash); border-left: 4px solid #0072B2; padding: .25rem 1rem; }
.wide { overflow-x: auto; margin: 0 0 1.5rem; }
div.wide { background: linear-gradient(to right, var(--paper) 50%, transparent) 0 0 / 4rem 100% no-repeat local,
           linear-gradient(to left, var(--paper) 50%, transparent) 100% 0 / 4rem 100% no-repeat local,
           linear-gradient(to right, var(--shade), transparent) 0 0 / 1rem 100% no-repeat scroll,
           linear-gradient(to left, var(--shade), transparent) 100% 0 / 1rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .25rem .5rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; white-space: nowrap; }
th { white-space: normal; overflow-wrap: normal; vertical-align: bottom; }
.number { text-align: right; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0 0 2rem; } figcaption { color: var(--faint); font-size: .9rem; }
svg { display: block; max-width: 100%; height: auto; min-width: var(--least); } svg text { fill: var(--ink); }
pre { background: var(--wash); padding: .75rem 1rem; overflow-x: auto; font-size: .85rem; }
@page { size: landscape; margin: 12mm; }
@media print {
  :root { --paper: #ffffff; --ink: #000000; --faint: #444444; --rule: #bbbbbb; --wash: #ffffff;
          --shade: transparent; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .wide { overflow: visible; break-inside: avoid; } svg { min-width: 0; max-height: 16cm; }
  table { font-size: 6.5pt; } th, td { padding: 1pt 3pt; }
  pre { white-space: pre-wrap; } h2 { break-after: avoid; }
}
"""

_COLORS = {"#ffffff": "var(--paper)", INK: "var(--ink)", "#000000": "var(--ink)", "#e6e6e6": "var(--rule)"}


@final
@dataclass(frozen=True)
class Page:
    """What a report holds, in the order of the page.

    ``first`` is a short table above all else, ``lead`` the verdict in sentences, ``facts`` what was asked and the
    conventions by name, ``figures`` matplotlib figures by name, above which their captions stand, ``command`` how to
    run it again.
    """

    title: str
    lead: tuple[str, ...]
    facts: Mapping[str, str]
    tables: tuple[Table, ...]
    figures: Mapping[str, Figure | Drawing]
    command: str
    first: Table | None = None

    def html(self) -> str:
        """The page as text."""
        title = escaped(self.title)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{_CSS}</style></head>\n<body>\n<h1>{title}</h1>\n"
            f"{self._first()}{self._lead()}{self._figures()}{self._tables()}{self._facts()}{self._command()}"
            "</body></html>\n"
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` into a folder; returns its path."""
        path = Path(folder, NAME)
        with atomic_write(path) as file:
            file.write(self.html().encode())
        return path

    def _first(self) -> str:
        return "" if self.first is None else _boxed(self.first)

    def _lead(self) -> str:
        paragraphs = "".join(f"<p>{escaped(text)}</p>\n" for text in self.lead)
        return f'<section class="lead">\n{paragraphs}</section>\n'

    def _figures(self) -> str:
        drawn = [(name, drawing(figure)) for name, figure in self.figures.items()]
        captions = [figure.caption or name.replace("_", " ") for name, figure in drawn]
        return "".join(
            f"<h2>{escaped(caption)}</h2>\n"
            f'<figure class="wide">{inline_svg(figure, f"figure{index}-", caption)}</figure>\n'
            for index, (caption, (_, figure)) in enumerate(zip(captions, drawn, strict=True))
        )

    def _tables(self) -> str:
        tables = "".join(map(_boxed, self.tables))
        return f"<h2>Numbers</h2>\n{tables}" if tables else ""

    def _facts(self) -> str:
        entries = "".join(
            f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>\n" for name, value in self.facts.items()
        )
        return f"<h2>What was asked, and the conventions</h2>\n<dl>\n{entries}</dl>\n"

    def _command(self) -> str:
        return f"{_AGAIN}{escaped(self.command)}</pre>\n"


_AGAIN = "<h2>To run it again</h2>\n<pre>"


def command_of(folder: str | os.PathLike[str]) -> str | None:
    """What made the page that stands in a folder; None where there is none that tells."""
    path = Path(folder, NAME)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    _, again, rest = text.rpartition(_AGAIN)
    return html.unescape(rest.partition("</pre>")[0]) if again else None


def _boxed(table: Table) -> str:
    """A table in a box that scrolls, with a shade at the side where it goes on."""
    return f'<div class="wide">{table.html()}</div>\n'


def inline_svg(figure: Figure | Drawing, prefix: str, label: str) -> str:
    """A figure as an SVG element for a page: ids of its own, the page's colours, as wide as it was drawn.

    ``prefix`` makes its ids its own among the figures of a page.
    """
    drawn = drawing(figure)
    text = drawn.file("svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", text)
    for color, variable in _COLORS.items():
        text = text.replace(color, variable)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    # On a narrow screen a figure shrinks to three quarters of its size, then scrolls.
    least = f"--least: {0.75 * drawn.width:.1f}in"
    size = f'viewBox="{box[1]}" width="{_PIXELS * float(box[1].split()[2]):.0f}"'
    name = html.escape(printable(label), quote=True)
    return f'<svg {size} role="img" aria-label="{name}" style="{least}" {_NAMESPACES}>{body.strip()}'


_PIXELS = 96 / 72
"""CSS pixels to a point, of which 96 and 72 are an inch."""
_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
