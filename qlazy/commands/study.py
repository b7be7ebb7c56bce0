"""``qlazy study``: run one, print its findings, leave a folder; the list without a name."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from qlazy.base.tables import Table
from qlazy.commands import OK
from qlazy.commands.options.output import add_output
from qlazy.commands.showing.answer import add_tables, print_answer, tell_replaced
from qlazy.studies import STUDIES, find_study
from qlazy.studies.result import HEAD, StudyResult

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
    add_tables(parser)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished parts of a study are kept as they come."""
    return None if arguments.name is None else _place(arguments)


def _place(arguments: argparse.Namespace) -> Path:
    return Path(arguments.out or Path("qlazy-out", arguments.name))


LONG = 20
"""As many findings are all printed; of more those that are not settled."""


def _short(result: StudyResult) -> tuple[Table, ...]:
    """The findings, or of many those that fail or are left undecided, without what a claim could have shown."""
    open_ones = [one for one in result.findings if one.verdict not in ("agrees", "reported")]
    chosen = result.findings if len(result.findings) <= LONG else open_ones
    title = (
        "" if chosen is result.findings else f"of {len(result.findings)} findings those that are not settled"
    )
    table = replace(replace(result, findings=tuple(chosen)).findings_table(), title=title)
    columns = (
        HEAD.index(name)
        for name in ("experiment", "quantity", "claim", "measured", "95 % interval", "verdict")
    )
    return (table.narrowed(*columns),) if chosen else ()


def run(arguments: argparse.Namespace) -> int:
    """``qlazy study``: run one, print its findings, leave a folder; the list without a name."""
    if arguments.name is None:
        arguments.document = {"studies": STUDIES}
        print("\n".join(f"{name}  {summary}" for name, summary in STUDIES.items()))
        return OK
    from qlazy.drawing.page import NAME
    from qlazy.studies.report import claims_of

    module = find_study(arguments.name)
    settings = module.Settings.full() if arguments.full else module.Settings.quick()
    place = _place(arguments)
    tell_replaced(place, arguments)
    result = module.run(settings, place, progress=not arguments.quiet)
    arguments.document = {
        "study": result.study, "settings": result.settings, "conventions": result.conventions,
        "findings": [
            {**finding.as_json(), "interval": finding.interval, "verdict": finding.verdict}
            for finding in result.findings
        ],
        "tables": result.tables, "folder": place,
    }  # fmt: skip
    claims, whole = claims_of(result), (*result.tables, result.findings_table())
    print_answer(arguments, claims[:1], _short(result), claims, whole, place / NAME)
    return OK
