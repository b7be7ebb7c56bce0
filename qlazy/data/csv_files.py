"""CSV files as tables of texts: which delimiter, whether there is a header, and where a row is not like the others."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from qlazy.base.errors import refuse, require
from qlazy.base.memory import available_bytes
from qlazy.data.columns import DECIMAL_POINTS, Table, is_number, is_position

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ANEW_UTF8 = "pandas `read_csv(path, encoding='cp1252').to_csv(path, index=False)`, by the encoding it has"
_LOOKED_AT = 50
_BYTES_READ = 16
"""Memory that a byte of a file takes as texts of Python, at most."""


def read_csv(path: Path, chosen: Sequence[str | int]) -> Table:
    """The cells of a CSV file as texts, by column.

    The delimiter is whichever of comma, semicolon and tab divides the first rows alike. The first row names the
    columns; where it holds numbers alone there are no names, and columns are counted from 0. A first row of numbers
    and texts is one of names if one of the ``chosen`` is among them, and of values if all of those are positions.

    Raises ValueError, with the line, for what is no such table; OSError for a file that cannot be read.
    """
    _require_room(path)
    lines = io.StringIO(_decoded(path), newline="")
    delimiter = _delimiter(path, lines)
    rows = list(_records(path, lines, delimiter))
    require(rows, path.name, "hold a table", "empty")
    for line, row in rows:
        must = f"have {len(rows[0][1])} cells in every row, divided by {_DELIMITERS[delimiter]}, as its first"
        require(len(row) == len(rows[0][1]), path.name, must, f"of {len(row)} in line {line}")
    headed = _has_header(path, rows[0][1], chosen)
    names = rows[0][1] if headed else [str(index) for index in range(len(rows[0][1]))]
    _require_names(path, names)
    body = rows[1:] if headed else rows
    require(body, path.name, "hold rows below its header", "a header alone")
    places = np.array([line for line, _ in body])
    columns = zip(*(row for _, row in body), strict=True)
    return Table(
        path.name,
        {name: np.array(cells, dtype=object) for name, cells in zip(names, columns, strict=True)},
        lambda row: f"line {places[row]}",
    )


def _require_room(path: Path) -> None:
    size, free = path.stat().st_size, available_bytes(torch.device("cpu"))
    must = f"fit in the {free / 2**30:.1f} GiB of memory available"
    needed = _BYTES_READ * size
    have = f"of {size / 2**30:.1f} GiB, up to {needed / 2**30:.1f} GiB once read (an NPZ file takes less)"
    require(needed <= free, path.name, must, have)


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
        require(b"\0" not in raw, path.name, "be a text file", "binary")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = f"not in line {line}, byte {raw[error.start]:#04x} (save it as CSV UTF-8: {_ANEW_UTF8})"
        return refuse(path.name, f"be text in {encoding[:6].rstrip('-').upper()}", found)


def _delimiter(path: Path, lines: io.StringIO) -> str:
    """The one that divides the first rows alike; else that which makes most of the first row."""
    widths: dict[str, list[int]] = {}
    for delimiter in _DELIMITERS:
        first: list[int] = []
        try:
            first.extend(len(row) for _, row in islice(_records(path, lines, delimiter), _LOOKED_AT))
        except ValueError:  # a quote that is none with this delimiter; if with all, reading says where
            first.append(0)
        if first[:1] > [1]:
            widths[delimiter] = first
    alike = [delimiter for delimiter, found in widths.items() if len(set(found)) == 1]
    said = " and ".join(_DELIMITERS[delimiter] for delimiter in alike)
    must = "have its cells divided by commas, semicolons or tabs (numbers have a decimal point)"
    remedy = f" (with decimal commas: {DECIMAL_POINTS})" if len(alike) > 1 and "," in alike else ""
    require(len(alike) <= 1, path.name, must, f"divided alike by {said}{remedy}")
    if alike or widths:
        return alike[0] if alike else max(widths, key=lambda delimiter: widths[delimiter][0])
    lone = next(_records(path, lines, ","), None)
    require(lone is None or len(lone[1]) > 1, path.name, must, f"of one column, {lone and lone[1][0]!r}")
    return refuse(path.name, "hold a table", "empty")


def _records(path: Path, lines: io.StringIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, and the line each begins in."""
    lines.seek(0)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    begins = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        refuse(path.name, "be a CSV file", f"none from line {begins} on: {error}")


def _has_header(path: Path, first: Sequence[str], chosen: Sequence[str | int]) -> bool:
    numbers = [is_number(cell) for cell in first]
    if not any(numbers) or any(
        name in first and not is_number(name) for name in chosen if isinstance(name, str)
    ):
        return True
    if all(numbers):
        counted = len(first) > 1 and first == [str(index) for index in range(len(first))]
        must = "have names of columns in its first line, or values"
        require(not counted, path.name, must, f"{', '.join(first)} there, which could be either")
        return False
    must = "have names of columns in its first line, or none and a target told by its position"
    shown = f"{', '.join(first[:8])}{', ...' * (len(first) > 8)} there, names of numbers or a row of values"
    require(chosen and all(is_position(one) for one in chosen), path.name, must, shown)
    return False


def _require_names(path: Path, names: Sequence[str]) -> None:
    nameless = [index for index, name in enumerate(names) if not name]
    must = "have a name for every column in its first line (pandas: `to_csv(..., index=False)`)"
    require(not nameless, path.name, must, f"without one for column {', '.join(map(str, nameless))} (from 0)")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    require(not twice, path.name, "name each column once", f"of several called {', '.join(twice)}")
