"""``qlazy diff``: the derivative of a program as programs, or what can be said of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from qlazy.base.errors import require
from qlazy.commands import FAILED, OK
from qlazy.commands.json_documents import add_json
from qlazy.commands.options.kinds import folder
from qlazy.commands.options.models import add_sizes, read_sizes

CHECKED = 1e-7
"""What a derivative may be off from central differences."""

EXAMPLES = """\
examples:
  qlazy diff my/program.qasm --wrt a --out derivative
  qlazy diff p2 --wrt "a[3, 0]" --mode shift --check
  qlazy diff qnn_medium_while --wrt t1 --count
  qlazy diff repeat_until_success:rounds=3 --wrt b --additive
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which program, with respect to what, and in which form."""
    parser.add_argument(
        "name", metavar="NAME", help="a family of `qlazy circuits`, or the path of an OpenQASM 3 file"
    )
    add_sizes(parser)
    parser.add_argument("--wrt", metavar="NAME", help="the parameter: a, theta[2], theta[1, 2]")
    parser.add_argument(
        "--mode", choices=("ancilla", "shift", "sampled"), default="ancilla",
        help="one run with an ancilla, shifts without, or one program at random (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--loops", choices=("exit", "discard"),
        help="what has not left a loop at its bound goes on, or is lost as in while^(T) (default: as the file says)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of --check and of --mode sampled (%(default)s)"
    )
    add_json(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--out", type=folder, metavar="DIR", help="folder for a file a program (default: print them)"
    )
    group.add_argument("--check", action="store_true", help="compare with central differences instead")
    group.add_argument("--count", action="store_true", help="count occurrences and programs instead")
    group.add_argument("--additive", action="store_true", help="print the sum before compilation instead")


def run(arguments: argparse.Namespace) -> int:
    """``qlazy diff``: the derivative of a program as programs, or what can be said of it."""
    from qlazy.commands.showing import derivatives
    from qlazy.quantum.corpus import load_program
    from qlazy.quantum.derivatives import SampledDerivative, additive_form, differentiate

    name, sizes = read_sizes(arguments)
    program = load_program(name, **sizes)
    if arguments.loops is not None:
        program = replace(program, loops=arguments.loops)
    if arguments.count:
        arguments.document = derivatives.counts_document(program, arguments.wrt)
        print(derivatives.counts_text(program, arguments.wrt))
        return OK
    require(arguments.wrt is not None, "--wrt", "name the parameter, as in --wrt theta[2]", "absent")
    if arguments.additive:
        arguments.document = {"program": program.name, "additive": str(additive_form(program, arguments.wrt))}
        print(arguments.document["additive"])
        return OK
    found = differentiate(program, arguments.wrt, arguments.mode)
    terms: Sequence[Any] = found if not isinstance(found, SampledDerivative) else ()
    if isinstance(found, SampledDerivative):
        terms, found = [found.draw(torch.Generator().manual_seed(arguments.seed))], found.derivative
    print(derivatives.derivative_text(found))
    arguments.document = derivatives.derivative_document(found)
    if arguments.check:
        error = derivatives.check_error(found, arguments.seed)
        arguments.document["check"] = {"largest_difference": error, "passes": error < CHECKED}
        print(f"largest difference from central differences: {error:.2g}")
        return OK if error < CHECKED else FAILED
    if arguments.out is None:
        arguments.document["programs"] = derivatives.programs(terms)
        print("\n" + "\n".join(arguments.document["programs"]), end="")
    else:
        paths = derivatives.save_programs(terms, arguments.out)
        arguments.document["files"] = paths
        print(f"{len(paths)} file{'s' * (len(paths) != 1)}: {arguments.out}")
    return OK
