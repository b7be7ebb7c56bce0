"""What a command prints of a result: the answer, the table that matters, others where asked, and where all is."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from qlazy.base.tables import Table


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Whether all is printed that the report has."""
    parser.add_argument(
        "--tables", action="store_true", help="print every table and sentence, which the report has anyway"
    )


def print_answer(
    arguments: argparse.Namespace,
    answer: Sequence[str],
    short: Iterable[Table],
    sentences: Iterable[str],
    tables: Iterable[Table],
    page: Path,
) -> None:
    """Print the ``answer`` in sentences and ``short`` tables; where asked, all ``sentences`` and ``tables``."""
    first = tuple(short)
    others = tuple(table for table in tables if table not in first) if arguments.tables else ()
    said = sentences if arguments.tables else answer
    for part in (*map(_wrapped, said), *map(str, (*first, *others))):
        print(f"{part}\n")
    more = "" if arguments.tables else " (--tables prints all tables)"
    print(f"figures, tables and arrays: {page.parent}; all in one page: {page}{more}")


def _wrapped(text: str) -> str:
    """A paragraph in lines as wide as the terminal, where there is one."""
    return textwrap.fill(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


def tell_replaced(folder: Path, arguments: argparse.Namespace) -> None:
    """Say on stderr that the report in a folder was made by another command, if there is one, and will be replaced."""
    from qlazy.drawing.page import command_of  # and matplotlib with it

    earlier = command_of(folder)
    if earlier is None or arguments.quiet or _meant(earlier) == _meant(arguments.command):
        return
    said = " ".join(earlier.split())
    print(
        f"qlazy: the report of this run will take the place of that of `{said}` in {folder}", file=sys.stderr
    )


_ASIDE = re.compile(r"--(?:quiet|json|tables)(?=\s|$)|--(?:out|threads|workers|scheduler)[\s=]+\S+")
"""Options that leave what is reported as it is."""


def _meant(command: str) -> list[str]:
    return _ASIDE.sub("", command).split()
