"""``qlazy study``: run one, print its findings, leave a folder; the list without a name."""

from __future__ import annotations

import argparse
from pathlib import Path

from qlazy.commands import OK
from qlazy.commands.options import add_output
from qlazy.studies import STUDIES, find_study

EXAMPLES = f"""\
studies:
  {", ".join(STUDIES)}

examples:
  qlazy study
  qlazy study wide_circuits
  qlazy study wide_circuits --full --out wide
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study, in which setting, and where to put it."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one; without it, the list")
    parser.add_argument("--full", action="store_true", help="the full setting, which takes its time")
    add_output(parser, None)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished parts of a study are kept as they come."""
    return None if arguments.name is None else _place(arguments)


def _place(arguments: argparse.Namespace) -> Path:
    return Path(arguments.out or Path("qlazy-out", arguments.name))


def run(arguments: argparse.Namespace) -> int:
    """``qlazy study``: run one, print its findings, leave a folder; the list without a name."""
    if arguments.name is None:
        arguments.document = {"studies": STUDIES}
        print("\n".join(f"{name}  {summary}" for name, summary in STUDIES.items()))
        return OK
    module = find_study(arguments.name)
    settings = module.Settings.full() if arguments.full else module.Settings.quick()
    place = _place(arguments)
    result = module.run(settings, place, progress=not arguments.quiet)
    arguments.document = {
        "study": result.study, "settings": result.settings, "conventions": result.conventions,
        "findings": [
            {**finding.as_json(), "interval": finding.interval, "verdict": finding.verdict}
            for finding in result.findings
        ],
        "tables": result.tables, "folder": place,
    }  # fmt: skip
    print(f"{result.table()}\n\nfigures, table and arrays: {place}; all in one page: {place / 'report.html'}")
    return OK
