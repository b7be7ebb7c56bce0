"""Tables as values: numbers beside one another, as text for a terminal or a file and as HTML for a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

_NUMBER = re.compile(r"[-+]?[\d.]|-$|nan|inf")


@final
@dataclass(frozen=True)
class Table:
    """A title, a head and rows of as many cells, all text already."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        body = aligned([self.head, *self.rows])
        return f"{self.title}\n{body}" if self.title else body

    def html(self) -> str:
        """The table as HTML, every cell escaped; columns of numbers are set to the right."""
        kinds = [
            ' class="number"' if all(_NUMBER.match(cell) for cell in column if cell) else ""
            for column in (zip(*self.rows, strict=True) if self.rows else [()] * len(self.head))
        ]
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        rows = "\n".join(_row("td", row, kinds) for row in self.rows)
        return (
            f"<table>{caption}<thead>{_row('th', self.head, kinds)}</thead><tbody>\n{rows}\n</tbody></table>"
        )

    def _repr_html_(self) -> str:
        return self.html()


def aligned(rows: Sequence[Sequence[str]], justify: Callable[[str, int], str] = str.ljust) -> str:
    """Rows of equal length as lines with their columns one under the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(justify, row, widths)).rstrip() for row in rows)


def _row(tag: str, cells: Sequence[str], kinds: Sequence[str]) -> str:
    inner = "".join(
        f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)
    )
    return f"<tr>{inner}</tr>"
