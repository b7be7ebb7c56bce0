"""Tables as values: numbers beside one another, as text for a terminal or a file and as HTML for a notebook."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

_NUMBER = re.compile(r"[-+]?[\d.]|-$|nan|inf")


@final
@dataclass(frozen=True)
class Table:
    """A title, a head and rows of as many cells, all text already."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        body = aligned([tuple(map(printable, row)) for row in (self.head, *self.rows)])
        return f"{printable(self.title)}\n{body}" if self.title else body

    def narrowed(self, *columns: int) -> Table:
        """The table with some of its columns, counted from 0."""
        return Table(self.title, _at(self.head, columns), tuple(_at(row, columns) for row in self.rows))

    def html(self) -> str:
        """The table as HTML, every cell escaped; columns of numbers are set to the right."""
        kinds = [
            ' class="number"' if all(_NUMBER.match(cell) for cell in column if cell) else ""
            for column in (zip(*self.rows, strict=True) if self.rows else [()] * len(self.head))
        ]
        caption = f"<caption>{escaped(self.title)}</caption>" if self.title else ""
        rows = "\n".join(_row("td", row, kinds) for row in self.rows)
        return (
            f"<table>{caption}<thead>{_row('th', self.head, kinds)}</thead><tbody>\n{rows}\n</tbody></table>"
        )

    def _repr_html_(self) -> str:
        return self.html()


def _at(cells: Sequence[str], columns: Sequence[int]) -> tuple[str, ...]:
    return tuple(cells[column] for column in columns)


def printable(text: str) -> str:
    """A text without what steers a terminal or turns the direction of writing: such characters stand as in Python.

    Line ends and tabs stay. A name from elsewhere could clear the screen or write a file's title otherwise.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text
    )


def escaped(text: str) -> str:
    """A text as it may stand in HTML, and :func:`printable`."""
    return html.escape(printable(text))


def drawable(text: str) -> str:
    """A name as matplotlib shows it as it is: no formulas between dollars, and no label hidden by its first letter."""
    plain = printable(text).replace("\n", "\\n").replace("\t", "\\t").replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def aligned(rows: Sequence[Sequence[str]], justify: Callable[[str, int], str] = str.ljust) -> str:
    """Rows of equal length as lines with their columns one under the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(justify, row, widths)).rstrip() for row in rows)


def _row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    inner = "".join(f"<{tag}{kind}>{escaped(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
    return f"<tr>{inner}</tr>"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same names as CSV, the names first, lines ending in a line feed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
