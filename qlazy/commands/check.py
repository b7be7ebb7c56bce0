"""``qlazy check``: is it lazy, is it flat, is it classical? A sentence first, then what it rests on, and a page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qlazy.checking.check import ALPHAS, SEEDS, check
from qlazy.checking.panels import PANELS
from qlazy.commands import FAILED, OK
from qlazy.commands.options.data import add_data, read_data
from qlazy.commands.options.kinds import names, positive
from qlazy.commands.options.models import MODELS_HELP, add_qnodes, read_qnodes
from qlazy.commands.options.output import add_output
from qlazy.commands.options.training import add_training, read_method
from qlazy.commands.showing.answer import add_tables, print_answer, tell_replaced
from qlazy.training.effort import watched

EXAMPLES = f"""\
{MODELS_HELP}
examples:
  qlazy check circuit.py:qnode --data mine.csv --target label
  qlazy check circuit.py:qnode --shapes weights=2x4x3 --inputs x
  qlazy check hardware_efficient:layers=2 --data moons --features 2 --panels lazy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, its data, training, the questions and where to put it all."""
    parser.add_argument("subject", metavar="MODEL", help="circuit or net, as below")
    add_qnodes(parser)
    add_data(parser)
    add_training(parser, ALPHAS, SEEDS)
    group = parser.add_argument_group("verdict")
    group.add_argument(
        "--panels", type=names, default=tuple(PANELS), metavar="A,...",
        help=f"the questions ({','.join(PANELS)})",
    )  # fmt: skip
    group.add_argument(
        "--small", type=float, default=0.1, metavar="S",
        help="a change of at most this share is lazy (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--workers", type=positive, metavar="N", help="that many runs at a time")
    add_output(parser, Path("qlazy-out/check"))
    add_tables(parser)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished runs are kept as they come."""
    return Path(arguments.out)


def run(arguments: argparse.Namespace) -> int:
    """``qlazy check``: ask, print the answers, leave a page."""
    data = read_data(arguments)
    tell_replaced(arguments.out, arguments)
    with watched() as effort:
        verdict = check(
            arguments.subject,
            data,
            **read_qnodes(arguments),
            panels=arguments.panels,
            alphas=arguments.alphas,
            seeds=arguments.seeds,
            **read_method(arguments),
            small=arguments.small,
            out=arguments.out,
            workers=arguments.workers,
            progress=not arguments.quiet,
        )
    if not arguments.quiet and effort.kept:
        print(f"qlazy: {effort.kept_text}", file=sys.stderr)
    arguments.document = {
        "model": verdict.model, "data": verdict.data, "decisions": verdict.decisions, "sentence": verdict.sentence,
        "sentences": verdict.sentences(), "absent": verdict.absent, "facts": verdict.facts, "tables": verdict.tables(),
        "folder": arguments.out,
    }  # fmt: skip
    page = verdict.report(arguments.out, arguments.command)
    print(f"{data.description}\n{verdict.model}: {verdict.facts['parameters']} parameters\n")
    print_answer(arguments, verdict.answer(), verdict.summary(), verdict.paragraphs(), verdict.tables(), page)
    diverged = [run for run in getattr(verdict.panels.get("lazy"), "runs", ()) if run.diverged]
    for one in diverged:
        print(f"qlazy: seed {one.seed}, a = {one.alpha:g}: {one.diverged}", file=sys.stderr)
    return FAILED if diverged else OK
